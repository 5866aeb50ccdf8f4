import type { SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import { type MadeCall, roleOf } from './roles.ts'

/** Calls of one role in a row. */
export type Run = {
  /** The role. */
  readonly text: string
  readonly calls: number
  /** Requests of all of them. */
  readonly requests: number
  /** What they came to, each result with how many had it; null stands for no result. */
  readonly results: ReadonlyMap<number | null, number>
}

/**
 * Roles of calls that the moment decides, not the kernel's work: events come in and are left (`iret`, and `xen_version` by which
 * Linux lets pending ones in), timers are set, tasks are switched and waited for. Any of them may stand anywhere.
 */
const OF_THE_MOMENT: readonly RegExp[] = [
  /^iret$/,
  /^xen_version version$/,
  /^sched_op /,
  /^vcpu_op (set|stop)_singleshot_timer$/,
  /^fpu_taskswitch$/,
  /^stack_switch$/,
  /^set_segment_base /,
  /^console_io /,
  /^multicall \[.*(stack_switch|fpu_taskswitch).*\]$/,
]

/** Whether the moment decides when, and how often, there is a call of that role. */
export function isOfTheMoment(text: string): boolean {
  return OF_THE_MOMENT.some((pattern) => pattern.test(text))
}

/** Calls in runs, those of the moment apart: they would cut the others into pieces that differ. */
export function runsOf(
  calls: readonly MadeCall[],
  symbols: SymbolTable,
): { readonly runs: readonly Run[]; readonly moments: ReadonlyMap<string, Run> } {
  const runs: Mutable[] = []
  const moments = new Map<string, Mutable>()
  for (const call of calls) {
    const { text, requests } = roleOf(call, symbols)
    const run = isOfTheMoment(text) ? momentRun(moments, text) : lastRun(runs, text)
    run.calls++
    run.requests += requests
    run.results.set(call.rc, (run.results.get(call.rc) ?? 0) + 1)
  }
  return { runs, moments }
}

type Mutable = { text: string; calls: number; requests: number; results: Map<number | null, number> }

const empty = (text: string): Mutable => ({ text, calls: 0, requests: 0, results: new Map() })

function momentRun(moments: Map<string, Mutable>, text: string): Mutable {
  const known = moments.get(text) ?? empty(text)
  moments.set(text, known)
  return known
}

function lastRun(runs: Mutable[], text: string): Mutable {
  const last = runs.at(-1)
  if (last?.text === text) return last
  const fresh = empty(text)
  runs.push(fresh)
  return fresh
}
