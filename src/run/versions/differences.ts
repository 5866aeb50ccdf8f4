import { MESSAGE_IDS, type Printed, printedBy } from '../../xen/console/messages.ts'
import { FIELD_TEXTS } from '../../xen/versions/fields.ts'
import { versions } from '../../xen/versions/index.ts'
import type { XenVersion } from '../../xen/versions/version.ts'

/** The parts of a version that can differ, each a record of fields. */
export const PARTS = ['rules', 'errnos', 'abi', 'words', 'messages'] as const
export type Part = (typeof PARTS)[number]

/** A value of a version's as its file has it. */
export type Value = unknown

/** A field in which a version differs from another; of records, the entry: `badFlags.l1`. */
export type FieldDifference = {
  readonly part: Part
  readonly field: string
  /** What the field says. */
  readonly what: string
  /** Undefined for an entry that one of them lacks. */
  readonly before: Value
  readonly now: Value
}

/** How the machine's messages differ, by their names: printed here and not there, not here and there, worded otherwise. */
export type MessageDifferences = {
  readonly came: readonly string[]
  readonly went: readonly string[]
  readonly reworded: readonly { readonly name: string; readonly before: string; readonly now: string }[]
  /** How many are worded alike and stand elsewhere. */
  readonly moved: number
}

/**
 * The version that another one is told by: of a release build, the debug build of the same release; else the debug build
 * before it. Null for the first.
 */
export function versionBefore(version: XenVersion): XenVersion | null {
  const earlier = versions.slice(0, versions.indexOf(version)).filter((other) => isDebug(other))
  return earlier.at(-1) ?? null
}

function isDebug({ messages }: XenVersion): boolean {
  return messages.build === 'debug'
}

/** Fields in which two versions differ, in the order in which the versions have them. */
export function fieldDifferences(before: XenVersion, now: XenVersion): FieldDifference[] {
  return PARTS.flatMap((part) => {
    const texts: Readonly<Record<string, string>> = FIELD_TEXTS[part]
    return Object.keys(texts).flatMap((field) => {
      const [a, b] = [fieldOf(before[part], field), fieldOf(now[part], field)]
      return entryDifferences(field, a, b).map((entry) => ({ part, what: texts[field], ...entry }))
    })
  })
}

type EntryDifference = { readonly field: string; readonly before: Value; readonly now: Value }

/** A record differs by its entries, anything else as a whole; a layout goes by its name. */
function entryDifferences(field: string, before: Value, now: Value): EntryDifference[] {
  if (JSON.stringify(before) === JSON.stringify(now)) return []
  const [a, b] = [entriesOf(before), entriesOf(now)]
  if (a === null || b === null) return [{ field, before, now }]
  if ('name' in a && 'name' in b) return [{ field, before: a.name, now: b.name }]
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return keys.length === 0
    ? [{ field, before, now }]
    : keys.flatMap((key) => entryDifferences(`${field}.${key}`, a[key], b[key]))
}

/** The entries of a record, none where there is none; null for any other value. */
function entriesOf(value: Value): Readonly<Record<string, Value>> | null {
  if (value === null || value === undefined) return {}
  return isRecord(value) ? value : null
}

function isRecord(value: Value): value is Readonly<Record<string, Value>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fieldOf(part: object, field: string): Value {
  return (part as Readonly<Record<string, Value>>)[field]
}

/** How the messages of two versions differ. */
export function messageDifferences(before: XenVersion, now: XenVersion): MessageDifferences {
  const pairs = MESSAGE_IDS.map((name) => ({
    name,
    before: printedBy(before.messages, name),
    now: printedBy(now.messages, name),
  }))
  const both = pairs.flatMap((pair) =>
    pair.before === null || pair.now === null
      ? []
      : [{ name: pair.name, before: pair.before, now: pair.now }],
  )
  return {
    came: pairs.filter((pair) => pair.before === null && pair.now !== null).map(({ name }) => name),
    went: pairs.filter((pair) => pair.before !== null && pair.now === null).map(({ name }) => name),
    reworded: both
      .filter((pair) => pair.before.template !== pair.now.template)
      .map(({ name, ...pair }) => ({ name, before: pair.before.template, now: pair.now.template })),
    moved: both.filter((pair) => isMoved(pair.before, pair.now)).length,
  }
}

function isMoved(before: Printed, now: Printed): boolean {
  return before.template === now.template && before.place !== now.place
}
