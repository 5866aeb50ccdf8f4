import { readLines, readText } from '../files/read.ts'
import { specOfTrace } from '../run/ask/replay.ts'
import type { RunSpec } from '../run/ask/rerun.ts'
import { bootOptions, type RawBootOptions } from '../run/boot/boot-options.ts'
import { guestRun } from '../run/kernel/kernel-boot.ts'
import { parseRecording } from '../run/script/script.ts'
import { tierOf } from '../run/tiers.ts'
import { loadMap } from './files.ts'
import { isKernelBoot, type KernelSpecFlags, kernelOfHeader, kernelSpec } from './verbs/boot/kernel-spec.ts'

/** Options by which a verb says which run it is about: a trace's, a script's, or a boot's. */
export type RunFlags = RawBootOptions &
  KernelSpecFlags & {
    readonly trace?: string
    readonly script?: string
    readonly frames?: string
  }

/** The run that the options name; without any, the seed's scenario. */
export function runSpec(flags: RunFlags): RunSpec {
  if (flags.trace !== undefined) {
    const header = readLines(flags.trace)[0] ?? ''
    const kernel = kernelOfHeader(header, flags.trace, tierOf(flags.tier))
    return kernel === null ? specOfTrace(header, flags.trace) : { guest: guestRun(kernel) }
  }
  if (isKernelBoot(flags)) return { guest: guestRun(kernelSpec(flags)) }
  if (flags.script !== undefined) return scriptSpec(flags.script, flags)
  const boot = bootOptions(flags)
  if (typeof boot.map === 'string') boot.map = loadMap(boot.map)
  return { boot }
}

/** A script in a file, and how it is run. One that begins with `#domu` is for a domU. */
export function scriptSpec(
  file: string,
  flags: {
    readonly xen?: string
    readonly holes?: string
    readonly domu?: boolean
    readonly frames?: string
  },
): Extract<RunSpec, { script: unknown }> {
  const text = readText(file)
  return {
    script: {
      text,
      domain: flags.domu === true || text.startsWith('#domu') ? 'domU' : 'dom0',
      ...(flags.xen === undefined ? {} : { xen: flags.xen }),
      ...(flags.holes === undefined ? {} : { holes: flags.holes }),
      ...(flags.frames === undefined ? {} : { frames: parseRecording(readText(flags.frames), flags.frames) }),
    },
  }
}
