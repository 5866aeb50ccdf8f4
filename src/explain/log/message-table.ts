// biome-ignore lint/style/noRestrictedImports: data/ is no room: it holds facts, and nothing in it imports anything.
import data from '../../../data/xen-messages.json' with { type: 'json' }

import { nextHash, sieveOf } from './sieve.ts'

/** A range of source lines: a call that spans several is printed with its first or its last, as the compiler has it. */
export type SourceLines = readonly [file: string, first: number, last: number]

/** A message of Xen in one wording. */
export type MessageTemplate = {
  readonly group: string
  /** printf's format. */
  readonly template: string
  readonly fields: readonly string[]
  /** First and last release that has this wording, and the last whose release builds print it. */
  readonly from: string
  readonly to: string
  readonly releaseTo?: string
  readonly lines?: Readonly<Record<string, readonly SourceLines[]>>
}

/** The releases that the table knows, in the order in which they came; `seed` is xen-unstable of May 2011. */
export const XEN_RELEASES: readonly string[] = data.versions
/** What logs are read by: a message without a group says nothing in one. */
export const MESSAGES = data.messages.filter(
  ({ group }) => group !== undefined,
) as unknown as readonly MessageTemplate[]

/** A message found in a line. */
export type FoundMessage = {
  readonly index: number
  readonly message: MessageTemplate
  /** By name; a field that the line lacks, as its end is cut off, is not there. */
  readonly fields: Readonly<Record<string, string>>
  /** Whether the line holds the message to its end. */
  readonly whole: boolean
  /** Where the words begin in the line. */
  readonly start: number
  /** Whether digits were read from letters that look like them. */
  readonly corrected: boolean
}

/** What is read as the digit that it looks like, in a field of digits: of a photographed or retyped screen. */
/** Letters for digits, of either case: what disregards case lets both through. */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  ...{ o: '0', O: '0', Q: '0', q: '0' },
  ...{ l: '1', L: '1', i: '1', I: '1', '|': '1' },
}
/** So many letters of a message are enough to know it without its fields. */
const TELLING = 16
/** Letters of the longest words that a field of text has: a trap's name, a file's, a function's. */
const LONGEST_WORDS = 120
/** What small letters have and capitals lack; other characters of keys have it or get it. */
const CASE_BIT = 0x20
const SPEC = /%#?0?\d*l?[xXdu]|%pv|%pd|%pS|%\.?\d*s|%p/g

type Compiled = {
  readonly index: number
  readonly message: MessageTemplate
  readonly pattern: RegExp
  /** Which fields are digits of base 16. */
  readonly hex: readonly boolean[]
}

const byKey = new Map<string, Compiled[]>()
for (const [index, message] of MESSAGES.entries()) {
  const key = keyOf(message.template)
  const specs = message.template.match(SPEC) ?? []
  const pattern = patternOf(message.template, key)
  const compiled = { index, message, pattern, hex: specs.map((spec) => /(?:[xX]|%p)$/.test(spec)) }
  byKey.set(key, [...(byKey.get(key) ?? []), compiled])
}
// The longest key first, so that a key which begins another is not found in its place.
const ANY_KEY = new RegExp(
  [...byKey.keys()]
    .sort((a, b) => b.length - a.length)
    .map((key) => escaped(key).replaceAll(' ', '\\s+'))
    .join('|'),
  'gi',
)

/** The message of Xen that a line holds, wherever in it, perhaps cut short: of several wordings the one that fits best. */
export function findMessage(text: string): FoundMessage | undefined {
  if (!mayHoldKey(text)) return undefined
  let best: (FoundMessage & { readonly rank: number }) | undefined
  // Each pattern looks through the whole line: once, however often its key stands there.
  const tried = new Set<string>()
  ANY_KEY.lastIndex = 0
  for (let word = ANY_KEY.exec(text); word !== null; word = ANY_KEY.exec(text)) {
    const key = word[0].toLowerCase().replace(/\s+/g, ' ')
    if (tried.has(key)) continue
    tried.add(key)
    for (const compiled of byKey.get(key) ?? []) {
      const match = compiled.pattern.exec(text)
      if (match === null) continue
      const found = foundMessage(compiled, match)
      // Two common words alone (`Bad page`) are anybody's; with a field behind them they are Xen's.
      if (!found.whole && word[0].length < TELLING && Object.keys(found.fields).length === 0) continue
      // Two wordings can differ in a capital alone (Mfn, mfn); the one as written is the version's.
      const exact = match[0].startsWith(compiled.message.template.trim().slice(0, 3))
      const rank = (found.whole ? 1e6 : 0) + match[0].length * 2 + (exact ? 1 : 0)
      if (best === undefined || rank > best.rank) best = { ...found, rank }
    }
  }
  return best
}

// Three letters of each key, without blanks, whatever their case: most lines have none of them, and no pattern is tried.
const KEY_LETTERS = sieveOf([...byKey.keys()].map(longestWord))

function mayHoldKey(text: string): boolean {
  const { table } = KEY_LETTERS
  let hash = 0
  for (let i = 0; i < text.length; i++) {
    hash = nextHash(hash, text.charCodeAt(i) | CASE_BIT)
    if (table[hash] !== 0) return true
  }
  return false
}

/** Digits as Xen prints them: lower case, look-alikes put right. A name for a frame, as transcripts have it (`<A>`), stays. */
export function plainHex(text: string): string {
  if (text.startsWith('<')) return text
  return text.replace(/[oqli|]/gi, (letter) => LOOK_ALIKES[letter]).toLowerCase()
}

function foundMessage(compiled: Compiled, match: RegExpExecArray): FoundMessage {
  const fields: Record<string, string> = {}
  let corrected = false
  compiled.hex.forEach((isHex, i) => {
    const raw = match[i + 1]
    if (raw === undefined) return
    const value = isHex ? plainHex(raw) : raw
    if (isHex && value.toLowerCase() !== raw.toLowerCase()) corrected = true
    fields[compiled.message.fields[i] ?? `field${i}`] = value
  })
  const whole = Object.keys(fields).length === compiled.hex.length
  return { index: compiled.index, message: compiled.message, fields, whole, start: match.index, corrected }
}

/**
 * A template as a pattern: blanks of any width, and hexadecimal fields that take look-alike letters. All up to the
 * key's words must be there; behind them the line may end anywhere, as lines get cut.
 */
function patternOf(template: string, key: string): RegExp {
  const specs = template.trim().match(SPEC) ?? []
  const literals = template.trim().split(SPEC)
  const keyAt = literals.findIndex((text) => text.replace(/\s+/g, ' ').toLowerCase().includes(key))
  const pieces = literals.flatMap((text, i) => [
    literal(text),
    ...(i < specs.length ? [field(specs[i])] : []),
  ])
  const needed = pieces.slice(0, keyAt * 2 + 1).join('')
  const rest = pieces.slice(keyAt * 2 + 1).reduceRight((tail, piece) => `(?:${piece}${tail})?`, '')
  return new RegExp(needed + rest, 'i')
}

/**
 * The words between two fields. Blanks next to a sign are taken by one of the two alone: what both could take would be
 * tried in every division between them.
 */
function literal(text: string): string {
  const tokens = text.match(/[=:()]|\s+|[^\s=:()]+/g) ?? []
  const isBlank = (token: string | undefined) => token?.trim() === ''
  return tokens
    .map((token, i) => {
      const [before, after] = [tokens[i - 1], tokens[i + 1]]
      if (isBlank(token)) return '\\s+'
      if (token === '(') return '[({\\[]'
      if (token === ')') return '[)}\\]]?'
      if (token === '=') return `${isBlank(before) ? '' : '\\s*'}=${isBlank(after) ? '' : '\\s*'}`
      if (token !== ':') return escaped(token)
      return after === undefined ? '\\s*:?' : isBlank(after) ? '(?:\\s*:)?' : ':'
    })
    .join('')
}

function field(spec: string): string {
  if (spec === '%pv') return '(d(?:\\d+|\\[\\w+\\])v\\d+)'
  if (spec === '%pd') return '(d(?:\\d+|\\[\\w+\\])|NULL)'
  if (spec.endsWith('S')) return '(\\S+)'
  if (spec.endsWith('s')) return `([^\\s:[](?:[^:[]{0,${LONGEST_WORDS}}[^\\s:[])?)`
  if (/[du]$/.test(spec)) return '(-?\\d+)'
  return '(?:0x)?([0-9a-fA-FoOQlI|]+(?![0-9a-zA-Z])|<[^<>\\s]{1,40}>)'
}

/** The words by which a message is looked for: its longest run without fields and punctuation, lower case. */
function keyOf(template: string): string {
  const runs = template
    .split(SPEC)
    .flatMap((text) => text.split(/[^\w ./]+/))
    .map((run) => run.trim().replace(/\s+/g, ' ').toLowerCase())
  return runs.toSorted((a, b) => b.length - a.length)[0]
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}

/** The names of a message's fields that are words or frames; the others are small numbers and names. */
export function groupFields(index: number): readonly string[] {
  return MESSAGES[index].fields.filter((name) => /^(?:mfn|pfn|pte|saw|exp|taf|addr|frame)/.test(name))
}

/** The longest word of a key, as the sieve sees it. */
function longestWord(key: string): string {
  const word = key.split(/[^a-z]+/).toSorted((a, b) => b.length - a.length)[0]
  return word.length >= 3 ? word : key
}
