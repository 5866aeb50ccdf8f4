import * as v from 'valibot'
import type { MemoryMap } from '../../run/maps/maps.ts'
import type { Border } from '../queue/kinds.ts'
import { PIECE, pieceCount, type SweepSpec } from './piece.ts'
import { machineCount } from './space.ts'

/** What a sweep is, and what its rows are, to whoever reads them back. */
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const step = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const text = (most: number) => v.pipe(v.string(), v.maxLength(most))
const axis = <Item extends v.GenericSchema>(item: Item) => v.pipe(v.array(item), v.minLength(1))

const RANGE = v.pipe(
  v.strictObject({ from: count, to: count, step }),
  v.check(({ from, to }) => from <= to, 'a range ends before it begins'),
)
const NUMBERS = axis(v.union([v.null(), count, RANGE]))

const RANGE_TYPES = [
  'usable',
  'reserved',
  'ACPI data',
  'ACPI NVS',
  'unusable',
] as const satisfies readonly MemoryMap['entries'][number]['type'][]

const MAP = v.strictObject({
  name: text(1000),
  kind: v.picklist(['host', 'guest']),
  entries: axis(v.strictObject({ start: count, end: count, type: v.picklist(RANGE_TYPES) })),
  partial: v.boolean(),
  source: v.string(),
  era: v.optional(v.string()),
  nrPages: v.optional(count),
  vEnd: v.optional(count),
  append: v.optional(v.string()),
})

const SPACE = v.strictObject({
  maps: axis(v.union([v.null(), text(1000), MAP])),
  memory: NUMBERS,
  memoryCap: v.nullable(count),
  vEnd: NUMBERS,
  kernelSize: NUMBERS,
  initrdSize: NUMBERS,
  append: axis(v.nullable(text(1023))),
  xen: axis(text(100)),
  linux: axis(text(100)),
  common: v.strictObject({
    domain: v.optional(v.picklist(['dom0', 'domU'])),
    firmwareMap: v.optional(v.boolean()),
    with: v.optional(v.array(text(40))),
    without: v.optional(v.array(text(40))),
    holes: v.optional(text(1000)),
  }),
})

/** A sweep as a file or a message has it. */
export const SWEEP_SPEC = v.strictObject({ space: SPACE, seed: count, forecast: v.boolean() })

const OUTCOME = {
  outcome: v.picklist(['booted', 'refused', 'fault', 'impossible']),
  signature: text(1000),
  pfn: v.optional(v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/))),
  detail: v.optional(text(10_000)),
}

/** What became of a machine, as a file or a message has it. */
export const ROW = v.pipe(
  v.strictObject({
    n: count,
    ...OUTCOME,
    skipped: v.optional(v.literal(true)),
    checked: v.optional(v.literal(true)),
    forecast: v.optional(v.strictObject(OUTCOME)),
  }),
  v.check(
    ({ outcome, signature }) => (outcome === 'booted') === (signature === ''),
    'a machine that booted has no signature, and one that failed has one',
  ),
)

function rowsOf({ space }: SweepSpec, piece: number): v.GenericSchema {
  const first = piece * PIECE
  const rows = Math.min(PIECE, machineCount(space) - first)
  return v.pipe(
    v.array(ROW),
    v.length(rows),
    v.check((list) => list.every(({ n }, i) => n === first + i), 'rows of other machines'),
  )
}

export const border: Border = {
  spec: SWEEP_SPEC,
  pieces: ({ space }: SweepSpec) => pieceCount(space),
  result: rowsOf,
}
