import { accountOf } from '../../../explain/report/boot-account.ts'
import { type BootResult, boot, traceHeader, traceLine } from '../../../run/boot/boot.ts'
import { BadInput, bootOptions, type RawBootOptions } from '../../../run/boot/boot-options.ts'
import { loadMap, withTrace } from '../../files.ts'
import { type Io, painted } from '../../io.ts'
import type { KernelFlags } from './boot-kernel.ts'
import { dashed } from './kernel-spec.ts'

/** What `xenolith boot` takes beside the options of a boot. */
export type BootFlags = RawBootOptions &
  KernelFlags & {
    readonly json?: boolean
    readonly trace?: string
    readonly expect?: string
    readonly wall?: string
  }

/**
 * Boots a model here, prints what guest and Xen said, then why. Returns the exit status; `account` and `bootMachine` are
 * parameters for tests alone.
 */
export function runModel(options: BootFlags, io: Io, bootMachine = boot, account = accountOf): number {
  const stray = OF_KERNELS.find((name) => options[name] !== undefined)
  if (stray !== undefined)
    throw new BadInput(`--${dashed(stray)} is for real kernels; give --kernel FILE, too`)
  const machine = bootOptions(options)
  if (typeof machine.map === 'string') machine.map = loadMap(machine.map)

  const result = withTrace(options.trace, (line) => {
    line?.(traceHeader({ boot: machine }))
    return bootMachine(machine, line && ((event) => line(traceLine(event))))
  })

  if (options.json) {
    io.json(JSON.stringify(result, null, 2))
  } else {
    for (const line of shownLines(result))
      io.out(line.startsWith('(XEN)') ? painted(io, 'yellow', line) : line)
    for (const line of account(result, machine)) io.out(line)
  }
  if (options.expect === undefined || options.expect === result.outcome) return 0
  io.err(`xenolith: expected ${options.expect}, but the outcome was ${result.outcome}`)
  return 1
}

/** Options that have no meaning for a model. */
const OF_KERNELS = [
  'ramdisk',
  'name',
  'seed',
  'dom0Mem',
  'noAcpi',
  'batch',
  'raw',
  'input',
  'timeout',
  'consoleLimit',
  'until',
  'tier',
  'junit',
  'explain',
  'systemMap',
] as const

/**
 * The lines to show. The seed's log was taken without an early console, on which the kernel's own log would have shown: the
 * seed is shown as it was mailed. Every other boot is shown whole.
 */
function shownLines(result: BootResult): string[] {
  const isSeed = result.machine?.scenario === 'seed' && result.outcome === 'refused' && result.via === 'pin'
  return isSeed ? result.console.filter((_, i) => result.sources[i] !== 'log') : result.console
}
