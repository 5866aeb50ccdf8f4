import { hex, hex64, hexVa } from '../bits/address.ts'
import type { TraceEvent } from './events.ts'

/** One event in a line, for people. */
export function describeEvent(event: TraceEvent): string {
  switch (event.kind) {
    case 'op':
      return `line ${event.line}: ${event.text}`
    case 'console':
      return event.text
    case 'fill':
      return event.count === 1
        ? `store of ${hex64(event.lo, event.hi)} to mfn ${bare(event.table)}, slot ${event.slot}`
        : `stores to mfn ${bare(event.table)}, ${event.count} entries from slot ${event.slot} on`
    case 'ptwr':
      return `store to the live L1 mfn ${bare(event.table)}, slot ${event.slot}, ${event.refused ? 'refused' : 'carried out by Xen'}`
    case 'type':
      return `mfn ${bare(event.mfn)} from ${event.from} to ${event.to}`
    case 'fault':
      return `page fault at ${hexVa(event.va)}, error ${event.error & 3}`
    case 'linux':
      return event.what
    case 'hypercall':
      return `${event.name}${hypercallDetail(event.args)}${event.rc === 0 ? '' : ` = ${event.rc}`}`
  }
}

function hypercallDetail(args: Record<string, unknown>): string {
  const { command, mfn, va, table, slot, lo, hi } = args
  if (typeof lo === 'number' && typeof hi === 'number' && typeof table === 'number') {
    const place = typeof va === 'number' ? `va ${hexVa(va)}` : `mfn ${bare(table)}, slot ${String(slot)}`
    return ` of ${place} to ${hex64(lo, hi)}`
  }
  if (typeof mfn === 'number') return ` ${String(command)} mfn ${bare(mfn)}`
  return ''
}

function bare(n: number): string {
  return hex(n).slice(2)
}
