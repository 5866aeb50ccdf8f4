import * as v from 'valibot'
import { listOf, text, whole } from '../../files/checked.ts'
import { MEMORY_MODELS } from '../../run/boot/boot-options.ts'
import { MapForm } from '../../run/maps/map-form.ts'
import type { Row, SweepSpec } from './piece.ts'
import { MOST_MACHINES, outcomesOf, type Space } from './space.ts'

/**
 * What sweeps are in files and messages: whoever reads one back says by these what it has to be. That its numbers make
 * machines is for `checkSpace` to say.
 */

const MOST_BYTES = 2 ** 52
const Words = text(4096)
/** Values of an axis: what can be typed, many times over. */
const MOST_VALUES = 100_000
const MOST_NAMES = 10_000

function numbersUpTo(most: number) {
  const Range = v.pipe(
    v.strictObject({ from: whole(0, most), to: whole(0, most), step: whole(1, most) }),
    v.check(({ from, to }) => from <= to, 'a range that ends before it begins'),
  )
  return v.pipe(listOf(v.nullable(v.union([whole(0, most), Range])), MOST_VALUES), v.minLength(1))
}

function axisOf<const Item extends v.GenericSchema>(item: Item) {
  return v.pipe(listOf(item, MOST_NAMES), v.minLength(1))
}

/** Commits by 7 to 40 hex digits. */
const Commits = listOf(v.pipe(v.string(), v.regex(/^[0-9a-f]{7,40}$/)), 1000)

const FileForm = v.strictObject({ file: Words, sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) })

const SpaceForm = v.strictObject({
  maps: axisOf(v.nullable(v.union([Words, MapForm]))),
  memory: numbersUpTo(2 ** 40),
  memoryCap: v.nullable(whole(1, 2 ** 40)),
  vEnd: numbersUpTo(MOST_BYTES),
  kernelSize: numbersUpTo(MOST_BYTES),
  initrdSize: numbersUpTo(MOST_BYTES),
  append: axisOf(v.nullable(Words)),
  xen: axisOf(text(64)),
  linux: axisOf(Words),
  common: v.strictObject({
    domain: v.exactOptional(v.picklist(['dom0', 'domU'])),
    firmwareMap: v.exactOptional(v.boolean()),
    memoryModel: v.exactOptional(v.picklist(MEMORY_MODELS)),
    with: v.exactOptional(Commits),
    without: v.exactOptional(Commits),
    holes: v.exactOptional(text(200)),
  }),
  toolstack: v.exactOptional(
    v.strictObject({ maxMemory: v.exactOptional(whole(1, 2 ** 40)), hasMap: v.exactOptional(v.boolean()) }),
  ),
  real: v.exactOptional(
    v.strictObject({
      files: axisOf(FileForm),
      ramdisk: v.nullable(FileForm),
      until: v.nullable(Words),
      timeLimit: whole(0, 1e9),
      acpi: v.boolean(),
    }),
  ),
}) satisfies v.GenericSchema<unknown, Space>

export const SpecForm = v.strictObject({
  space: SpaceForm,
  seed: whole(0, 2 ** 32 - 1),
  forecast: v.boolean(),
}) satisfies v.GenericSchema<unknown, SweepSpec>

const ENDING = {
  signature: text(1000),
  pfn: v.exactOptional(v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,13}$/))),
  detail: v.exactOptional(Words),
}

const MODELS = ['booted', 'refused', 'fault', 'impossible'] as const

/** What became of one machine. */
export const RowForm = v.strictObject({
  n: whole(0, MOST_MACHINES - 1),
  outcome: v.picklist([...MODELS, 'crashed', 'ended']),
  ...ENDING,
  skipped: v.exactOptional(v.literal(true)),
  checked: v.exactOptional(v.literal(true)),
  forecast: v.exactOptional(v.strictObject({ outcome: v.picklist(MODELS), ...ENDING })),
}) satisfies v.GenericSchema<unknown, Row>

/** Whether a boot of that space can come to what a row says. */
export function isOutcomeOf(space: Space, { outcome, forecast }: Row): boolean {
  return outcomesOf(space).includes(outcome) && (space.real === undefined || forecast === undefined)
}
