import { bootOptions, type RawBootOptions } from '../run/boot-options.ts'
import { specOfTrace } from '../run/replay.ts'
import type { RunSpec } from '../run/rerun.ts'
import { loadMap, readLines } from './files.ts'

/** Options by which a verb says which run it is about: a trace's, or a boot's. */
export type RunFlags = RawBootOptions & { readonly trace?: string }

/** The run that the options name; without any, the seed's scenario. */
export function runSpec(flags: RunFlags): RunSpec {
  if (flags.trace !== undefined) return specOfTrace(readLines(flags.trace)[0] ?? '', flags.trace)
  const boot = bootOptions(flags)
  if (typeof boot.map === 'string') boot.map = loadMap(boot.map)
  return { boot }
}
