import * as v from 'valibot'
import { listOf, text, whole } from '../../files/checked.ts'
import { E820, type E820Type } from '../../xen/abi.ts'
import type { MemoryMap } from './maps.ts'

/** Far more ranges than any firmware gives; Xen itself takes 1024 at most. */
export const MOST_RANGES = 4096
const RANGE_TYPES = Object.keys(E820) as E820Type[]
/** 52 bits of a physical address. */
const MOST_BYTES = 2 ** 52
const MOST_FRAMES = 2 ** 40
const Name = text(4096)
const Words = text(2 ** 16)

/** A `MemoryMap` as the program itself writes it into traces, sweeps and checkpoints. `checkMap` says whether it can be. */
export const MapForm = v.strictObject({
  name: Name,
  kind: v.picklist(['host', 'guest']),
  entries: listOf(
    v.strictObject({
      start: whole(0, MOST_BYTES),
      end: whole(0, MOST_BYTES),
      type: v.picklist(RANGE_TYPES),
    }),
    MOST_RANGES,
  ),
  partial: v.boolean(),
  source: Words,
  era: v.exactOptional(Words),
  nrPages: v.exactOptional(whole(0, MOST_FRAMES)),
  vEnd: v.exactOptional(whole(0, MOST_BYTES)),
  append: v.exactOptional(Words),
}) satisfies v.GenericSchema<unknown, MemoryMap>

/** A JSON number, or a string as people write addresses: `0x100000`. */
function numberUpTo(most: number) {
  const Digits = v.pipe(v.string(), v.regex(/^(0x[0-9a-f]{1,16}|\d{1,20})$/i), v.transform(Number))
  return v.pipe(v.union([v.number(), Digits]), v.integer(), v.minValue(0), v.maxValue(most))
}

/** A map as people write it down: data/memory-maps.json. What else they say of it is theirs. */
export const MapRecordForm = v.object({
  name: v.optional(Name),
  kind: v.optional(v.picklist(['host', 'guest', 'host-e820', 'guest-e820']), 'host'),
  entries: listOf(
    // An end beyond the addresses that there are is told with its range.
    v.object({ start: numberUpTo(2 ** 64), end: numberUpTo(2 ** 64), type: text(100) }),
    MOST_RANGES,
  ),
  partial: v.optional(v.unknown()),
  source: v.optional(Words),
  era: v.optional(Words),
  nrPages: v.optional(numberUpTo(MOST_FRAMES)),
  vEnd: v.optional(numberUpTo(MOST_BYTES)),
  append: v.optional(Words),
})
