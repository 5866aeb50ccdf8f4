import type { Sink } from '../../trace/events.ts'
import { HYPERCALL } from '../abi.ts'

const NAMES = new Map<number, string>(Object.entries(HYPERCALL).map(([name, nr]) => [nr, name]))
/** Hypercalls that tell of each of their requests themselves. */
const TELL_THEMSELVES = new Set<string | undefined>([
  'mmu_update',
  'mmuext_op',
  'update_va_mapping',
  'update_va_mapping_otherdomain',
])

/** Tell of a hypercall that is over, unless its requests have told of themselves. */
export function traceHypercall(sink: Sink, nr: number, rc: number): void {
  const name = NAMES.get(nr)
  if (TELL_THEMSELVES.has(name)) return
  sink({ kind: 'hypercall', name: name ?? `hypercall ${nr}`, rc, args: {} })
}
