import { BadInput } from '../run/boot-options.ts'
import {
  type KernelOptions,
  type KernelResult,
  KernelRun,
  type KernelRunOptions,
  type NamedFile,
  type RestoreOptions,
} from '../run/kernel-boot.ts'
import { explanationLines } from '../run/kernel-explain.ts'
import { kernelOptions, type RawKernelOptions } from '../run/kernel-options.ts'
import { parseXlConfig, type XlConfig } from '../run/xl-config.ts'
import { checkWritable, readBytes, readText, writeWhole } from './files.ts'
import { type Io, painted } from './io.ts'
import { junitReport } from './junit.ts'
import { hasTerminal, runOnTerminal } from './terminal.ts'

/** What `xenolith boot` takes for a real kernel. */
export type KernelFlags = RawKernelOptions & {
  readonly config?: string
  readonly kernel?: string
  readonly ramdisk?: string
  readonly input?: string
  readonly systemMap?: string
  readonly batch?: boolean
  readonly json?: boolean
  readonly junit?: string
  readonly snapshot?: string
  readonly restore?: string
  readonly trace?: string
  readonly expect?: string
}

/** Far above any kernel's or initrd's file. */
const LARGEST_IMAGE = 2 ** 30
const LARGEST_INPUT = 2 ** 24

/** Whether the options are those of a real kernel. */
export function isKernelBoot(flags: KernelFlags): boolean {
  return flags.kernel !== undefined || flags.config !== undefined || flags.restore !== undefined
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
  interrupted: 130,
}

/** Boots a real kernel: on a terminal if there is one, else as a batch. */
export async function runKernel(flags: KernelFlags, io: Io): Promise<number> {
  for (const option of ['trace', 'expect'] as const) {
    if (flags[option] !== undefined) throw new BadInput(`--${option} is for model kernels; leave it out`)
  }
  const config = flags.config === undefined ? null : parseXlConfig(readText(flags.config), flags.config)
  if (config !== null && config.ignored.length > 0) {
    io.err(`xenolith: ${flags.config}: of no effect here: ${config.ignored.join(', ')}`)
  }
  checkWritable('--junit', flags.junit)
  checkWritable('--snapshot', flags.snapshot)
  const options = withFiles(flags, config)
  const isBatch = flags.batch === true || flags.json === true || flags.input !== undefined || !hasTerminal()
  const run = isBatch ? runBatch(options, flags, io) : await runTerminal(options, io)
  const result = run.result()
  if (flags.snapshot !== undefined) {
    if (run.isAlive) writeWhole(flags.snapshot, run.snapshot())
    else io.err(`xenolith: ${flags.snapshot}: not written, as there is nothing to go on with`)
  }
  if (flags.junit !== undefined) writeWhole(flags.junit, junitReport(result))
  if (flags.json) io.out(JSON.stringify(result, null, 2))
  else tell(result, io)
  return STATUS[result.outcome]
}

type Options = (KernelOptions | RestoreOptions) & KernelRunOptions

function withFiles(flags: KernelFlags, config: XlConfig | null): Options {
  const options = kernelOptions(flags, config)
  if (flags.restore !== undefined) {
    const set = IN_SNAPSHOT.find((name) => flags[name] !== undefined)
    if (set !== undefined) throw new BadInput(`--restore has a machine already; leave out --${set}`)
    return { ...withInput(flags), ...options, restore: fileOf(flags.restore) }
  }
  const kernel = flags.kernel ?? config?.kernel
  if (kernel === undefined || kernel === '') {
    throw new BadInput(`${flags.config ?? '--kernel'}: names no kernel; give one, as in --kernel vmlinuz`)
  }
  const ramdisk = flags.ramdisk ?? config?.ramdisk
  return {
    ...withInput(flags),
    ...options,
    kernel: fileOf(kernel),
    ...(ramdisk === undefined ? {} : { ramdisk: fileOf(ramdisk) }),
  }
}

/** What a snapshot brings along. */
const IN_SNAPSHOT = ['config', 'kernel', 'ramdisk', 'memory', 'append', 'name', 'seed', 'xen'] as const

function fileOf(name: string): NamedFile {
  return { name, bytes: readBytes(name, LARGEST_IMAGE) }
}

function withInput(flags: KernelFlags): KernelRunOptions {
  return {
    ...(flags.input === undefined ? {} : { input: readBytes(flags.input, LARGEST_INPUT) }),
    ...(flags.systemMap === undefined ? {} : { systemMap: readText(flags.systemMap) }),
  }
}

const STEPS = { unpack: 'unpacking the kernel', read: 'reading it', build: 'building the domain' } as const

/** Progress, for people who watch: it would only be in the way in a file. */
function progressOf(io: Io): (step: keyof typeof STEPS) => void {
  return (step) => {
    if (process.stderr.isTTY) io.err(`xenolith: ${STEPS[step]}`)
  }
}

/** The console goes out as it comes. A terminal's carriage returns mean nothing in a file. */
function runBatch(options: Options, flags: KernelFlags, io: Io): KernelRun {
  const isSilent = flags.json === true
  let partial = ''
  const decoder = new TextDecoder()
  const run = new KernelRun(options, {
    progress: progressOf(io),
    output: (bytes, source) => {
      if (isSilent) return
      if (source === 'xen') {
        const line = new TextDecoder().decode(bytes).replace(/\n$/, '')
        return io.out(line.startsWith('(XEN)') ? painted(io, 'yellow', line) : line)
      }
      const lines = (partial + decoder.decode(bytes, { stream: true })).split('\n')
      partial = lines.pop() ?? ''
      for (const line of lines) io.out(line.replace(/\r+$/, ''))
    },
  })
  run.runToEnd()
  if (partial !== '' && !isSilent) io.out(partial.replace(/\r+$/, ''))
  return run
}

async function runTerminal(options: Options, io: Io): Promise<KernelRun> {
  const { columns, rows } = process.stdout
  // Nothing tells a PV guest how large its console is; what the kernel does not know of its command line is init's.
  const size = `TERM=${process.env.TERM ?? 'linux'} COLUMNS=${columns} LINES=${rows}`
  const append = 'append' in options && options.append !== undefined ? `${options.append} ${size}` : size
  const run = new KernelRun('restore' in options ? options : { ...options, append }, {
    progress: progressOf(io),
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
  interrupted: 'was left',
}
