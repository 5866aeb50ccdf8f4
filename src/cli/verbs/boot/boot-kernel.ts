import { LineSplitter } from '../../../bits/line-splitter.ts'
import { checkWritable, writeWhole } from '../../../files/write.ts'
import { type Sink, traceHeader, traceLine } from '../../../run/boot/boot.ts'
import { BadInput } from '../../../run/boot/boot-options.ts'
import { type KernelResult, KernelRun, type KernelSpec } from '../../../run/kernel/kernel-boot.ts'
import { explanationLines } from '../../../run/kernel/kernel-explain.ts'
import { withTrace } from '../../files.ts'
import { type Io, painted } from '../../io.ts'
import { printJson } from '../../json.ts'
import { junitReport } from '../../junit.ts'
import { configOf, type KernelSpecFlags, kernelHeader, kernelSpec } from './kernel-spec.ts'
import { hasTerminal, runOnTerminal } from './terminal.ts'

/** What `xenolith boot` takes for a real kernel. */
export type KernelFlags = KernelSpecFlags & {
  readonly batch?: boolean
  readonly json?: boolean
  readonly junit?: string
  readonly snapshot?: string
  readonly trace?: string
  readonly expect?: string
}

/** Exit statuses by how a guest ends. 2 means something else everywhere. */
const STATUS: Readonly<Record<KernelResult['outcome'], number>> = {
  poweroff: 0,
  reboot: 1,
  crash: 3,
  watchdog: 4,
  'soft-reset': 5,
  suspend: 6,
  idle: 7,
  'time-limit': 7,
  'console-limit': 8,
  interrupted: 130,
}

/** Boots a real kernel: on a terminal if there is one, else as a batch. */
export async function runKernel(flags: KernelFlags, io: Io): Promise<number> {
  if (flags.expect !== undefined) throw new BadInput('--expect is for model kernels; leave it out')
  const config = configOf(flags)
  if (config !== null && config.ignored.length > 0) {
    io.err(`xenolith: ${flags.config}: of no effect here: ${config.ignored.join(', ')}`)
  }
  checkWritable('--junit', flags.junit)
  checkWritable('--snapshot', flags.snapshot)
  const spec = kernelSpec(flags, config)
  const wantsBatch = flags.batch || flags.json || (flags.input ?? flags.trace) !== undefined
  const run = wantsBatch || !hasTerminal() ? runTraced(spec, flags, io) : await runTerminal(spec, flags, io)
  const result = run.result()
  if (flags.snapshot !== undefined) {
    if (run.isAlive) writeWhole(flags.snapshot, run.snapshot())
    else io.err(`xenolith: ${flags.snapshot}: not written, as there is nothing to go on with`)
  }
  if (flags.junit !== undefined) writeWhole(flags.junit, junitReport(result))
  if (flags.json) printJson(io, result)
  else tell(result, io)
  return STATUS[result.outcome]
}

const STEPS = { unpack: 'unpacking the kernel', read: 'reading it', build: 'building the domain' } as const

/** Progress, for people who watch: it would only be in the way in a file. */
function progressOf(io: Io): (step: keyof typeof STEPS) => void {
  return (step) => {
    if (process.stderr.isTTY) io.err(`xenolith: ${STEPS[step]}`)
  }
}

/** A batch, with every event in a file if one is named for it. */
function runTraced(spec: KernelSpec, flags: KernelFlags, io: Io): KernelRun {
  return withTrace(flags.trace, (line) => {
    line?.(traceHeader(kernelHeader(flags, spec)))
    const sink: Sink | null = line === undefined ? null : (event) => line(traceLine(event))
    return runBatch(spec, flags, io, sink)
  })
}

/** The console goes out as it comes. A terminal's carriage returns mean nothing in a file. */
function runBatch(spec: KernelSpec, flags: KernelFlags, io: Io, sink: Sink | null): KernelRun {
  const isSilent = flags.json === true
  const ended: string[] = []
  const lines = new LineSplitter((line) => ended.push(line))
  const run = new KernelRun(spec, {
    progress: progressOf(io),
    ready: (xen) => {
      xen.sink = sink
    },
    keepsConsole: keepsConsole(flags),
    output: (bytes, source) => {
      if (isSilent) return
      if (source === 'xen') {
        const line = new TextDecoder().decode(bytes).replace(/\n$/, '')
        return io.out(line.startsWith('(XEN)') ? painted(io, 'yellow', line) : line)
      }
      lines.push(bytes)
      // Lines that came together go out together: a guest may write many thousands of short ones.
      if (ended.length > 0) io.out(ended.join('\n'))
      ended.length = 0
    },
  })
  run.runToEnd()
  if (lines.rest !== '') io.out(lines.rest)
  return run
}

/** Whether the console is wanted whole at the end; what is only printed needs no memory. */
function keepsConsole(flags: KernelFlags): boolean {
  return flags.json === true || flags.junit !== undefined
}

async function runTerminal(spec: KernelSpec, flags: KernelFlags, io: Io): Promise<KernelRun> {
  const { columns, rows } = process.stdout
  // Nothing tells a PV guest how large its console is; what the kernel does not know of its command line is init's.
  const size = `TERM=${process.env.TERM ?? 'linux'} COLUMNS=${columns} LINES=${rows}`
  const append = 'append' in spec && spec.append !== undefined ? `${spec.append} ${size}` : size
  // Somebody watches, who can leave: there is no limit to what he is shown unless he sets one.
  const keeps = keepsConsole(flags)
  const options = { ...spec, ...(keeps || spec.consoleLimit !== undefined ? {} : { consoleLimit: Infinity }) }
  const run = new KernelRun('restore' in options ? options : { ...options, append }, {
    progress: progressOf(io),
    keepsConsole: keeps,
    output: (bytes) => void process.stdout.write(bytes),
  })
  io.err('xenolith: ^] leaves')
  await runOnTerminal(run)
  return run
}

/** How it ended, and what there is to explain. */
function tell(result: KernelResult, io: Io): void {
  for (const explanation of result.explanations) {
    const [title, ...lines] = explanationLines(explanation)
    io.out('')
    io.out(painted(io, 'bold', title))
    for (const line of lines) io.out(line)
  }
  const seconds = (result.nanoseconds / 1e9).toFixed(3)
  const how = HOW[result.outcome]
  io.err(
    `xenolith: ${result.name} ${how}, after ${seconds} s of its time, ${result.instructions} instructions`,
  )
}

const HOW: Readonly<Record<KernelResult['outcome'], string>> = {
  poweroff: 'powered off',
  reboot: 'rebooted',
  suspend: 'was suspended',
  crash: 'crashed',
  watchdog: 'was stopped by its watchdog',
  'soft-reset': 'was reset',
  idle: 'waits for input that does not come; see --input',
  'time-limit': 'had no more time',
  'console-limit': 'wrote more than its console holds; see --console-limit',
  interrupted: 'was left',
}
