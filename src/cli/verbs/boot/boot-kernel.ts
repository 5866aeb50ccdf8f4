import { BadInput } from '../../../bits/bad-input.ts'
import { checkWritable, writeWhole } from '../../../files/write.ts'
import type { KernelResult } from '../../../run/kernel/kernel-boot.ts'
import { faultText } from '../../../run/kernel/kernel-fault.ts'
import { type Io, painted } from '../../io.ts'
import { printJson } from '../../json.ts'
import { junitReport } from '../../junit.ts'
import { type Ending, supervise, wallLimit } from '../../thread/supervisor.ts'
import type { KernelSpecFlags } from './kernel-spec.ts'
import type { KernelTask, KernelTaskResult } from './kernel-task.ts'
import { endLine, hasTerminal, takeTerminal } from './terminal.ts'

/** What `xenolith boot` takes for a real kernel. */
export type KernelFlags = KernelSpecFlags & {
  readonly batch?: boolean
  readonly raw?: boolean
  readonly json?: boolean
  readonly junit?: string
  readonly snapshot?: string
  readonly trace?: string
  readonly expect?: string
  readonly wall?: string
}

/** Exit statuses by how a guest ends. 2 means something else everywhere. */
const STATUS: Readonly<Record<KernelResult['outcome'], number>> = {
  poweroff: 0,
  reached: 0,
  reboot: 1,
  crash: 3,
  watchdog: 4,
  'soft-reset': 5,
  suspend: 6,
  idle: 7,
  'time-limit': 7,
  'wall-limit': 7,
  'console-limit': 8,
  'host-memory': 9,
  interrupted: 130,
}

/** Boots a real kernel, on a thread of its own: on a terminal if there is one, else as a batch. */
export async function runKernel(flags: KernelFlags, io: Io): Promise<number> {
  if (flags.expect !== undefined) throw new BadInput('--expect is for model kernels; leave it out')
  const wall = wallLimit(flags.wall)
  checkWritable('--junit', flags.junit)
  checkWritable('--snapshot', flags.snapshot)
  const isBatch = flags.batch || flags.json || (flags.input ?? flags.trace) !== undefined || !hasTerminal()
  const { columns, rows } = process.stdout
  const ending = await supervise<KernelTaskResult>({
    task: 'kernel',
    options: { flags, terminal: isBatch ? null : { columns, rows } } satisfies KernelTask,
    colour: io.colour,
    wall,
    listens: true,
    ...(isBatch ? {} : { terminal: takeTerminal }),
  })
  if (!isBatch) endLine()
  const status = report(ending, flags, io)
  // The shell, too, is to see that it was a signal.
  if (ending.signal !== null) process.kill(process.pid, ending.signal)
  return status
}

function report(ending: Ending<KernelTaskResult>, flags: KernelFlags, io: Io): number {
  if (ending.isUnread) return 0
  if (ending.value === null) return reportNone(ending, io)
  const { result, compiled, explained, snapshot } = ending.value
  if (snapshot === 'impossible') {
    io.err(`xenolith: ${flags.snapshot}: not written, as there is nothing to go on with`)
  }
  if (flags.junit !== undefined) writeWhole(flags.junit, junitReport(result))
  if (flags.json) printJson(io, { ...result, compiled })
  else tell(result, explained, io)
  return STATUS[result.outcome]
}

/** Of a run that did not come back: it was ended where it was. */
function reportNone({ reason, isFull, ...run }: Ending<KernelTaskResult>, io: Io): number {
  const outcome = isFull ? 'host-memory' : (reason ?? 'interrupted')
  io.err(`xenolith: the guest ${HOW[outcome]}, ${after(run)}; it did not come back to say more`)
  return STATUS[outcome]
}

/** How it ended, and what there is to explain. */
function tell(result: KernelResult, explained: KernelTaskResult['explained'], io: Io): void {
  for (const [title, ...lines] of explained) {
    io.out('')
    io.out(painted(io, 'bold', title))
    for (const line of lines) io.out(line)
  }
  const fault = result.fault === null ? '' : ` on ${faultText(result.fault)}`
  io.err(`xenolith: ${result.name} ${HOW[result.outcome]}${fault}, ${after(result)}`)
}

function after({ instructions, nanoseconds }: { instructions: number; nanoseconds: number }): string {
  return `after ${(nanoseconds / 1e9).toFixed(3)} s of its time, ${instructions} instructions`
}

const HOW: Readonly<Record<KernelResult['outcome'], string>> = {
  poweroff: 'powered off',
  reached: 'came to the line of --until',
  reboot: 'rebooted',
  suspend: 'was suspended',
  crash: 'crashed',
  watchdog: 'was stopped by its watchdog',
  'soft-reset': 'was reset',
  idle: 'waits for input that does not come; see --input',
  'time-limit': 'had no more time',
  'wall-limit': 'had no more of our time',
  'console-limit': 'wrote more than its console holds; see --console-limit',
  'host-memory': 'needs more memory than this host can give it',
  interrupted: 'was left',
}
