import { decodeTypeWord, TYPE_LAYOUTS, type TypeLayout, type TypeWord } from '../../bits/type-word.ts'
import type { BadType, LoggedXen, ReadWord } from '../evidence.ts'
import type { LogRecord, XenMessage } from '../log/records.ts'
import { atLeast } from './fingerprint.ts'

/**
 * Which of the five layouts a log's type words have. The version decides when it is known; the words themselves decide
 * much: what Xen wanted (`exp`) is a bare type, no flag and no count, so 7000… is the four-bit field of 4.0 to 4.9 and
 * e000… the three-bit field of 3.4 or of 4.10 and later.
 */
export function layoutsOf(xen: LoggedXen, words: readonly { saw?: string; exp?: string }[]): TypeLayout[] {
  const fitting = TYPE_LAYOUTS.filter((layout) => words.every((pair) => plausible(layout, pair)))
  const byVersion = TYPE_LAYOUTS.filter((layout) => inVersion(layout, xen))
  const both = fitting.filter((layout) => byVersion.includes(layout))
  // A patched Xen may carry another version's layout; what the words say weighs more than a guessed version.
  if (both.length > 0) return both
  return fitting.length > 0 ? fitting : byVersion
}

const SPANS: Readonly<Record<string, readonly [from: string, to: string]>> = {
  '3.0': ['3.0.0', '3.3'],
  '3.4': ['3.4', '3.4'],
  '4.0': ['4.0', '4.9'],
  '4.10': ['4.10', '4.16'],
  '4.17': ['4.17.0', 'unstable'],
}

function inVersion(layout: TypeLayout, xen: LoggedXen): boolean {
  const [from, to] = SPANS[layout.name]
  return atLeast(to, xen.from) && atLeast(xen.to, from)
}

function plausible(layout: TypeLayout, { saw, exp }: { saw?: string; exp?: string }): boolean {
  if (exp !== undefined) {
    const wanted = readWord(layout, exp)
    if (wanted === undefined || wanted.type === 'none' || wanted.flags.length > 0 || wanted.count > 0)
      return false
  }
  if (saw === undefined) return true
  const seen = readWord(layout, saw)
  // A refused frame is in use: it has a type and a count; a lock or a half-done validation is the rare case.
  return (
    seen !== undefined &&
    seen.type !== 'none' &&
    seen.count > 0 &&
    seen.count < 2 ** 26 &&
    !seen.flags.includes('locked')
  )
}

/** A printed word in a layout; a word of 32 bits is also printed with 16 digits. */
export function readWord(layout: TypeLayout, word: string): TypeWord | undefined {
  if (!/^[0-9a-f]{1,16}$/.test(word)) return undefined
  const bits = BigInt(`0x${word}`)
  if (layout.digits === 8 && bits >> 32n !== 0n) return undefined
  return decodeTypeWord(layout, bits)
}

/** The refused types of a log, read; and the other layouts in which they could be read, when the log leaves it open. */
export function badTypes(
  records: readonly LogRecord[],
  xen: LoggedXen,
): { readonly badTypes: BadType[]; readonly alternatives: readonly string[] } {
  const found = records.filter(
    (record): record is XenMessage => record.kind === 'xen' && record.group === 'bad-type',
  )
  const whole = found.filter(({ fields }) => fields.exp !== undefined)
  if (whole.length === 0) return { badTypes: [], alternatives: [] }
  const pairs = whole.map(({ fields }) => ({ saw: fields.saw, exp: fields.exp }))
  const layouts = layoutsOf(xen, pairs)
  // 4.17's layout is 4.10's with one more flag: where both fit, the later says no less.
  const [layout] = layouts
  const read = (word: string): ReadWord | undefined => {
    const decoded = readWord(layout, word)
    return decoded === undefined ? undefined : { word, layout: layout.name, ...decoded }
  }
  const badTypes = whole.flatMap((record) => {
    const [saw, exp] = [read(record.fields.saw), read(record.fields.exp)]
    if (saw === undefined || exp === undefined) return []
    return [{ record, saw, exp, mfn: record.fields.mfn ?? '?', pfn: record.fields.pfn ?? '?' }]
  })
  const alternatives = layouts
    .slice(1)
    .filter((other) => pairs.some((pair) => says(other, pair.exp) !== says(layout, pair.exp)))
    .map((other) => other.versions)
  return { badTypes, alternatives }
}

function says(layout: TypeLayout, word: string): string | undefined {
  return readWord(layout, word)?.type
}

/** Why a layout was chosen, in a sentence. */
export function layoutReason(layout: string, xen: LoggedXen): string {
  const { versions } = TYPE_LAYOUTS.find((one) => one.name === layout)!
  const known = xen.how === 'nothing' ? 'the words make sense in no other' : `${xen.sure}`
  return `read as Xen ${versions} prints type words (${known})`
}

/** A word in a few: `writable, validated, count 1`. */
export function sayWord(word: TypeWord): string {
  return [word.type, ...word.flags, ...(word.count > 0 ? [`count ${word.count}`] : [])].join(', ')
}
