import * as v from 'valibot'
// biome-ignore lint/style/noRestrictedImports: data/ is no room: it holds facts, and nothing in it imports anything.
import data from '../../../data/memory-maps.json' with { type: 'json' }
import { BadInput, nearest } from '../../bits/bad-input.ts'
import { foreignText } from '../../bits/foreign-text.ts'
import { E820, type E820Entry, type E820Type } from '../../xen/abi.ts'
import { MapRecordForm, MOST_RANGES } from './map-form.ts'
import { parseMapLog } from './map-log.ts'

/** A machine's or a guest's physical memory map, with what its log says about the kernel that ran there. */
export type MemoryMap = {
  readonly name: string
  /** `host`: as Xen saw it; `guest`: as the kernel printed it. */
  readonly kind: 'host' | 'guest'
  readonly entries: readonly E820Entry[]
  /** Whether the source says that lines are missing. */
  readonly partial: boolean
  /** Where the map comes from, for people. */
  readonly source: string
  /** Versions, machine and year of the log. */
  readonly era?: string
  /** Frames of 4 KiB that the domain had, when the log says it. */
  readonly nrPages?: number
  /** Bytes, relative to the kernel's virtual base, when the log says it. */
  readonly vEnd?: number
  /** The kernel's command line that belongs to the layout. */
  readonly append?: string
}

const GIB_4 = 0x100000000
/** One past the largest physical address of x86-64, bytes. */
const PHYSICAL_END = 2 ** 52

let shipped: readonly MemoryMap[] | null = null

/** The maps of data/memory-maps.json, in its order. */
export function shippedMaps(): readonly MemoryMap[] {
  shipped ??= (data.maps as unknown[]).map((record, i) =>
    fromRecord(record, 'memory-maps.json', `map ${i + 1}`),
  )
  return shipped
}

/** The shipped map of that name. */
export function findMap(name: string): MemoryMap {
  const map = shippedMaps().find((candidate) => candidate.name === name)
  if (map) return map
  const names = shippedMaps().map((candidate) => candidate.name)
  const near = nearest(name, names)
  throw new BadInput(
    `no map is named "${name}"${near ? `: did you mean ${near}?` : ''}; 'xenolith maps' lists them`,
  )
}

/**
 * A map from the text of a file: JSON like data/memory-maps.json (one record, a file whose `maps` holds one, or the
 * entries alone), or a boot log as pasted, of Xen or of Linux. The map is checked as `checkMap` does, with the lines of
 * the log in the messages.
 */
export function parseMap(text: string, fileName: string): MemoryMap {
  return /^\s*(?:\{|\[\s*(?:["{[\]]|$))/.test(text) ? fromJson(text, fileName) : fromLog(text, fileName)
}

/** Refuses what no machine can have, in one line that names the file and the entry; gives the map back. */
export function checkMap(map: MemoryMap): MemoryMap {
  checkEntries(map.entries, map.name, (i) => `entry ${i + 1}`)
  return map
}

function checkEntries(entries: readonly E820Entry[], file: string, where: (i: number) => string): void {
  if (entries.length === 0)
    throw new BadInput(`${file}: the map is empty; it needs at least one range of RAM`)
  if (entries.length > MOST_RANGES)
    throw new BadInput(`${file}: the map has more than ${MOST_RANGES} ranges; is it one map?`)
  const range = (i: number) => `0x${entries[i].start.toString(16)}-0x${entries[i].end.toString(16)}`
  for (const [i, entry] of entries.entries()) {
    if (entry.end <= entry.start)
      throw new BadInput(`${file}: ${where(i)}: the end of ${range(i)} is not above its start`)
    if (entry.end > PHYSICAL_END)
      throw new BadInput(`${file}: ${where(i)}: ${range(i)} ends beyond the 52 bits of a physical address`)
  }
  const order = entries.map((_, i) => i).sort((a, b) => entries[a].start - entries[b].start)
  for (let k = 1; k < order.length; k++) {
    const [low, high] = [order[k - 1], order[k]]
    if (entries[high].start < entries[low].end)
      throw new BadInput(`${file}: ${where(high)}: ${range(high)} overlaps ${range(low)} of ${where(low)}`)
  }
  if (!entries.some((entry) => entry.type === 'usable' && entry.start < GIB_4))
    throw new BadInput(`${file}: no usable RAM below 4 GiB, where a PV kernel is loaded`)
}

function fromLog(text: string, fileName: string): MemoryMap {
  const { maps, ...facts } = parseMapLog(text, fileName)
  const best = maps.toSorted((a, b) => a.rank - b.rank)[0]
  if (!best)
    throw new BadInput(
      `${fileName}: no memory map found; it must be JSON, or a log with lines such as "BIOS-e820: [mem 0x0-0xfff] usable"`,
    )
  checkEntries(best.entries, fileName, (i) => `line ${best.lines[i]}`)
  const others = maps.filter((map) => map !== best).map((map) => `${map.title} at line ${map.lines[0]}`)
  const source = [
    `${fileName}: ${best.title} at line ${best.lines[0]}`,
    ...best.notes,
    ...(others.length > 0 ? [`not used: ${others.join(', ')}`] : []),
  ].join('; ')
  return {
    name: baseName(fileName),
    kind: best.kind,
    entries: best.entries,
    partial: /^#.*truncated/im.test(text),
    source,
    // The builder's lines are about the dom0 of this host; a guest's own map belongs to another domain.
    ...(best.kind === 'host' ? facts : {}),
  }
}

function fromJson(text: string, fileName: string): MemoryMap {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new BadInput(`${fileName}: line ${lineOfError(error as Error, text)}: this is not valid JSON`)
  }
  if (Array.isArray(json)) return checkedRecord({ entries: json }, fileName)
  const maps = (json as { maps?: unknown } | null)?.maps
  if (maps === undefined) return checkedRecord(json, fileName)
  if (!Array.isArray(maps)) throw new BadInput(`${fileName}: "maps" is not a list`)
  if (maps.length !== 1)
    throw new BadInput(`${fileName}: the file holds ${maps.length} maps; give a file that holds one`)
  return checkedRecord(maps[0], fileName)
}

function checkedRecord(record: unknown, fileName: string): MemoryMap {
  const map = fromRecord(record, fileName, 'the map')
  checkEntries(map.entries, fileName, (i) => `entry ${i + 1}`)
  return map
}

/** V8 names a position or a line for most errors of JSON; where it names none, the text ended too early. */
function lineOfError(error: Error, text: string): number {
  const line = /\(line (\d+) /.exec(error.message)
  if (line) return Number(line[1])
  const position = /at position (\d+)/.exec(error.message)
  return text.slice(0, position ? Number(position[1]) : undefined).split('\n').length
}

function fromRecord(json: unknown, file: string, what: string): MemoryMap {
  const read = v.safeParse(MapRecordForm, json, { abortEarly: true })
  if (!read.success) throw new BadInput(`${file}: ${wrong(read.issues[0], what)}`)
  const { name, kind, entries, partial, source, era, nrPages, vEnd, append } = read.output
  const notes = new Set<string>()
  return {
    name: name ?? baseName(file),
    kind: kind.startsWith('host') ? 'host' : 'guest',
    entries: entries.map(({ start, end, type }) => {
      if (Object.hasOwn(E820, type)) return { start, end, type: type as E820Type }
      notes.add(`${type} taken as reserved`)
      return { start, end, type: 'reserved' }
    }),
    partial: partial === true,
    source: [source ?? file, ...notes].join('; '),
    ...(era === undefined ? {} : { era }),
    ...(nrPages === undefined ? {} : { nrPages }),
    ...(vEnd === undefined ? {} : { vEnd }),
    ...(append === undefined ? {} : { append }),
  }
}

const A_NUMBER = 'must be a number of bytes or frames, or a string such as "0x100000"'

/** What is wrong with a record, by its first field that is. */
function wrong({ path, input }: v.BaseIssue<unknown>, what: string): string {
  const keys = path?.map(({ key }) => key) ?? ['entries']
  const field = keys.at(-1)
  const where = keys.length > 1 ? `entry ${Number(keys[1]) + 1}` : ''
  if (field === 'entries' && Array.isArray(input)) return `${what} has more than ${MOST_RANGES} ranges`
  if (field === 'entries') return `${what} has no list "entries"`
  if (field === 'kind') return `kind "${foreignText(String(input))}" is neither host nor guest`
  if (field === 'start' || field === 'end') return `${where}: "${field}" ${A_NUMBER}`
  if (field === 'type') return `${where}: "type" is missing`
  if (field === 'nrPages' || field === 'vEnd') return `"${field}" ${A_NUMBER}`
  return where === '' ? `"${String(field)}" must be a string, and not so long` : `${where} is no range`
}

function baseName(fileName: string): string {
  return fileName.replace(/^.*[\\/]/, '').replace(/\.[^.]*$/, '')
}
