import * as v from 'valibot'
import { BadInput } from '../bits/bad-input.ts'
import { foreignText } from '../bits/foreign-text.ts'
import { checked } from '../files/checked.ts'
import { TRACE_SCHEMA } from './events.ts'

const Hex = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/))

/** The fields that an event of each kind must have, as they stand in a file. There may be others, of a later version. */
const EVENTS = {
  op: v.looseObject({ line: v.number(), text: v.string() }),
  console: v.looseObject({ source: v.string(), text: v.string() }),
  hypercall: v.looseObject({ name: v.string(), rc: v.number(), args: v.looseObject({}) }),
  type: v.looseObject({ mfn: Hex, from: v.string(), to: v.string() }),
  fill: v.looseObject({ table: Hex, slot: v.number(), count: v.number(), entry: Hex }),
  ptwr: v.looseObject({ table: Hex, slot: v.number(), entry: Hex, refused: v.boolean() }),
  fault: v.looseObject({ va: Hex, error: v.number() }),
  linux: v.looseObject({ what: v.string(), args: v.looseObject({}) }),
}

const Kind = v.looseObject({ kind: v.optional(v.unknown()) })
const HeaderForm = v.looseObject({ schema: v.literal(TRACE_SCHEMA), run: v.looseObject({}) })

/** The header of a trace file, checked. Throws BadInput that names the file and the line. */
export function validateHeader(line: string, file: string): { run: Record<string, unknown> } {
  const header = parsed(line, file, 1)
  if (header.kind !== 'header') throw new BadInput(`${file}:1: no trace: the first line must be its header`)
  if (typeof header.schema === 'number' && header.schema !== TRACE_SCHEMA) {
    throw new BadInput(
      `${file}:1: a trace of schema ${header.schema}; this version reads schema ${TRACE_SCHEMA}`,
    )
  }
  const { run } = checked({ value: header, schema: HeaderForm, what: `${file}:1` })
  return { run }
}

/** One line of events, checked against the schema. Throws BadInput. */
export function validateEvent(line: string, file: string, number: number): void {
  const event = parsed(line, file, number)
  const kind = String(event.kind)
  if (!Object.hasOwn(EVENTS, kind)) {
    throw new BadInput(`${file}:${number}: no event is of kind "${foreignText(kind.slice(0, 60))}"`)
  }
  const schema: v.GenericSchema = EVENTS[kind as keyof typeof EVENTS]
  checked({ value: event, schema, what: `${file}:${number}, ${kind}` })
}

function parsed(line: string, file: string, number: number): v.InferOutput<typeof Kind> {
  try {
    const event = v.safeParse(Kind, JSON.parse(line))
    if (event.success) return event.output
  } catch {}
  throw new BadInput(`${file}:${number}: not a JSON object; was the trace cut off?`)
}
