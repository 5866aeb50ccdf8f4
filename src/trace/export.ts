import { hex, hex64, hexVa } from '../bits/address.ts'
import { TRACE_SCHEMA, type TraceEvent } from './events.ts'

/** Fields that are frames or bytes: they are written in hexadecimal, as every log of Xen has them. */
const HEX_FIELDS = new Set([
  'mfn',
  'table',
  'pfn',
  'start',
  'end',
  'top',
  's',
  'e',
  't',
  'lastRw',
  'bytes',
  'base',
])

/**
 * An event as one line of a trace file: docs/trace.md. Frames and addresses are `0x` strings, the two halves of an entry
 * are one, and everything else is as it is.
 */
export function traceLine(event: TraceEvent): string {
  return JSON.stringify(readable(event as unknown as Record<string, unknown>))
}

/** The first line of a trace: its schema, and what was run, so that it can be run again. */
export function traceHeader(run: object): string {
  return JSON.stringify({ kind: 'header', schema: TRACE_SCHEMA, run })
}

function readable(value: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    if (key === 'hi' && 'lo' in value) continue
    if (key === 'lo') out.entry = `0x${hex64(field as number, value.hi as number)}`
    else if (key === 'va' || key === 'address') out[key] = `0x${hexVa(field as number)}`
    else if (typeof field === 'number' && HEX_FIELDS.has(key)) out[key] = field < 0 ? null : hex(field)
    else if (typeof field === 'object' && field !== null && !Array.isArray(field)) {
      out[key] = readable(field as Record<string, unknown>)
    } else out[key] = field
  }
  return out
}
