import { errnoName } from '../../bits/errno.ts'
import { HYPERCALL, MEMORY_OP } from '../../xen/abi.ts'
import type { FieldDifference, MessageDifferences, VersionDescription } from './describe.ts'

/** Versions of Xen as text. */

/** Tables of abi.calls and abi.memoryOps go by numbers, which have names. */
const NAMED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'abi.calls': HYPERCALL,
  'abi.memoryOps': MEMORY_OP,
}
/** Fields that are sets of bits, or addresses. */
const HEX = /^rules\.(badFlags|fastPath)|^abi\.(version|clobber)$|^messages\.entryFault\.labels$/

/** A line a version: its name, release, build, and the holes that it has open. */
export function versionRows(all: readonly VersionDescription[]): string[][] {
  return [
    ['NAME', 'RELEASE', 'BUILD', 'LOGS FROM', 'OPEN HOLES', 'DIFFERS FROM'],
    ...all.map(({ name, release, build, standsFrom, holes, since }) => [
      name,
      release,
      build,
      standsFrom === '0.0' ? 'the first' : standsFrom,
      holes.map(({ advisory }) => advisory).join(' ') || '-',
      since === null ? '-' : `${since.name} in ${since.fields.length}`,
    ]),
  ]
}

/** What differs from the version before: a line a field, then the messages. */
export function differenceLines({ name, since }: VersionDescription): string[] {
  if (since === null) return [`${name} is the first one there is.`]
  if (since.fields.length === 0)
    return [`${name} has the fields of ${since.name}.`, ...messageLines(since.messages)]
  const rows = since.fields.map((difference) => [fieldName(difference), changeText(difference)])
  const width = Math.max(...rows.map(([field]) => field.length))
  return [
    ...since.fields.flatMap((difference, i) => [
      ...(difference.part === since.fields[i - 1]?.part ? [] : [difference.part]),
      `  ${rows[i][0].padEnd(width)}  ${rows[i][1]}`,
      `  ${' '.repeat(width)}  ${difference.what}`,
    ]),
    ...messageLines(since.messages),
  ]
}

function messageLines({ came, went, reworded, moved }: MessageDifferences): string[] {
  return [
    'lines on the console',
    ...(came.length > 0 ? [`  printed as well: ${came.join(', ')}`] : []),
    ...(went.length > 0 ? [`  not printed: ${went.join(', ')}`] : []),
    ...reworded.flatMap(({ name, before, now }) => [
      `  ${name}: ${JSON.stringify(before)}`,
      `  ${' '.repeat(name.length)}  ${JSON.stringify(now)}`,
    ]),
    `  worded alike, at other places: ${moved}`,
  ]
}

/** The field within its part; numbers of calls by their names. */
function fieldName({ part, field }: FieldDifference): string {
  const [table, number] = field.split('.')
  const names = NAMED[`${part}.${table}`]
  if (names === undefined) return field
  const name = Object.entries(names).find(([, its]) => String(its) === number)?.[0]
  return name === undefined ? field : `${table}.${name}`
}

function changeText({ part, field, before, now }: FieldDifference): string {
  const show = (value: unknown): string => valueText(`${part}.${field}`, value)
  return `${show(before)} -> ${show(now)}`
}

function valueText(path: string, value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) {
    const parts = value.map((one) => valueText(path, one))
    return parts.length === 0 ? 'none' : parts.join(' ')
  }
  switch (typeof value) {
    case 'boolean':
      return value ? 'yes' : 'no'
    case 'number':
      return numberText(path, value)
    case 'string':
      return value === '' ? "''" : value
  }
  return JSON.stringify(value)
}

function numberText(path: string, value: number): string {
  if (HEX.test(path)) return `0x${value.toString(16)}`
  const isError = /^errnos\.|^abi\.(calls|memoryOps)/.test(path)
  return (isError && value !== 0 ? errnoName(value) : undefined) ?? String(value)
}
