import { BadInput } from '../bits/bad-input.ts'
import { TRACE_SCHEMA } from './events.ts'

type Field = 'string' | 'number' | 'hex' | 'boolean' | 'object'

/** The fields that an event of each kind must have, as they stand in a file. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  op: { line: 'number', text: 'string' },
  console: { source: 'string', text: 'string' },
  hypercall: { name: 'string', rc: 'number', args: 'object' },
  type: { mfn: 'hex', from: 'string', to: 'string' },
  fill: { table: 'hex', slot: 'number', count: 'number', entry: 'hex' },
  ptwr: { table: 'hex', slot: 'number', entry: 'hex', refused: 'boolean' },
  fault: { va: 'hex', error: 'number' },
  linux: { what: 'string', args: 'object' },
}

/** The header of a trace file, checked. Throws BadInput that names the file and the line. */
export function validateHeader(line: string, file: string): { run: object } {
  const header = parsed(line, file, 1)
  if (header.kind !== 'header') throw new BadInput(`${file}:1: no trace: the first line must be its header`)
  if (header.schema !== TRACE_SCHEMA) {
    throw new BadInput(
      `${file}:1: a trace of schema ${String(header.schema)}; this version reads schema ${TRACE_SCHEMA}`,
    )
  }
  if (typeof header.run !== 'object' || header.run === null) {
    throw new BadInput(`${file}:1: the header does not say what was run`)
  }
  return { run: header.run }
}

/** One line of events, checked against the schema. Throws BadInput. */
export function validateEvent(line: string, file: string, number: number): void {
  const event = parsed(line, file, number)
  const fields = FIELDS[String(event.kind)]
  if (fields === undefined)
    throw new BadInput(`${file}:${number}: no event is of kind "${String(event.kind)}"`)
  for (const [name, type] of Object.entries(fields)) {
    if (!fits(event[name], type))
      throw new BadInput(`${file}:${number}: "${name}" of ${String(event.kind)} must be ${words(type)}`)
  }
}

function parsed(line: string, file: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {}
  throw new BadInput(`${file}:${number}: not a JSON object; was the trace cut off?`)
}

function fits(value: unknown, type: Field): boolean {
  if (type === 'hex') return typeof value === 'string' && /^0x[0-9a-f]+$/.test(value)
  return typeof value === type && value !== null
}

function words(type: Field): string {
  return type === 'hex' ? 'a 0x number in a string' : `of type ${type}`
}
