import { type Evidence, recordsOf, walkAddress, walkEnd } from '../evidence.ts'
import { groupFields } from '../log/message-table.ts'
import { vectorName } from '../log/xen-lines.ts'
import { LEVEL_SPAN, regionOf } from './regions.ts'
import { layoutReason } from './type-words.ts'
import {
  domainText,
  errnoOf,
  errnoText,
  hexOf,
  hypercallName,
  poisonMeaning,
  readAddress,
  readFoldedFlags,
  readPte,
} from './values.ts'

/** Everything in a log that is a number to most readers, said in words. Each list is bounded. */
export type Decoded = {
  readonly typeWords: readonly DecodedTypeWord[]
  /** Entries of page tables: in messages, walks and multicalls. */
  readonly entries: readonly { word: string; mfn: string; flags: string; line: number }[]
  /** Xen's fold of an entry's flags into 24 bits. */
  readonly flags: readonly { word: string; flags: readonly string[]; line: number }[]
  readonly errors: readonly { value: string; name: string; where: string; line: number }[]
  readonly domains: readonly { id: string; says: string; line: number }[]
  readonly walks: readonly DecodedWalk[]
  readonly traps: readonly { vector: number; says: string; line: number }[]
  readonly calls: readonly { call: string; result: string; args: readonly string[]; line: number }[]
  readonly registers: readonly { name: string; value: string; says: string; line: number }[]
  readonly poison: readonly { word: string; says: string; line: number }[]
}

export type DecodedTypeWord = {
  readonly word: string
  readonly type: string
  readonly count: number
  readonly flags: readonly string[]
  /** The layout of src/bits/type-word.ts, by its first version, and why it was taken. */
  readonly layout: string
  readonly why: string
  readonly line: number
}

export type DecodedWalk = {
  readonly address: string
  readonly region: string
  /** How it ends, in a sentence. */
  readonly end: string
  readonly levels: readonly { level: number; slot: number; entry: string; flags: string; pfn: string }[]
  readonly line: number
}

const MOST = 64

/** Decodes what a boot's records hold. */
export function decode(evidence: Evidence): Decoded {
  const xens = recordsOf(evidence, 'xen')
  const multicalls = recordsOf(evidence, 'multicall').flatMap(({ calls }) => calls)
  const dumps = recordsOf(evidence, 'registers')
  const registers = dumps.flatMap(({ values, line }) =>
    Object.entries(values).map(([name, value]) => ({ name, value, line })),
  )
  const words = [
    ...xens.flatMap(({ fields, line, message }) =>
      groupFields(message).flatMap((name) =>
        fields[name] === undefined ? [] : [{ word: fields[name], line }],
      ),
    ),
    ...recordsOf(evidence, 'walk').flatMap(({ levels, line }) =>
      levels.map(({ pfn }) => ({ word: pfn, line })),
    ),
    ...multicalls.flatMap(({ args, line }) => args.map((word) => ({ word, line }))),
    ...registers.map(({ value, line }) => ({ word: value, line })),
  ]
  return {
    typeWords: typeWords(evidence),
    entries: unique([
      ...xens.flatMap(({ fields, line }) => entryOf(fields.pte, line)),
      ...multicalls.flatMap(({ args, line }) => args.slice(1).flatMap((word) => entryOf(word, line))),
    ]),
    flags: unique(
      xens
        .filter(({ group, fields }) => group === 'bad-flags' && fields.flags !== undefined)
        .map(({ fields, line }) => ({
          word: fields.flags,
          flags: readFoldedFlags(fields.flags).map(
            ({ name, bit, meaning }) => `${name} (bit ${bit}): ${meaning}`,
          ),
          line,
        })),
    ),
    errors: unique([
      ...xens
        .filter(({ fields }) => fields.rc !== undefined)
        .map(({ fields, line }) => ({
          value: fields.rc,
          name: errnoText(Number(fields.rc)),
          where: 'message',
          line,
        })),
      ...multicalls
        .filter(({ result }) => result < 0)
        .map(({ result, line, index }) => ({
          value: String(result),
          name: errnoText(result),
          where: `call ${index} of a multicall`,
          line,
        })),
      ...registers.flatMap(({ name, value, line }) => {
        const errno = errnoOf(value)
        return errno === undefined ? [] : [{ value, name: errno, where: name, line }]
      }),
    ]),
    domains: unique(
      xens.flatMap(({ fields, line }) =>
        ['l1e_owner', 'pg_owner', 'real_pg_owner', 'domid']
          .map((name) => fields[name])
          .filter((id) => id !== undefined && /^-?\d+$/.test(id))
          .map((id) => ({ id, says: domainText(id), line })),
      ),
    ),
    walks: recordsOf(evidence, 'walk')
      .slice(0, MOST)
      .map((walk) => {
        const address = walkAddress(walk)
        return {
          address: hexOf(address),
          region: regionOf(address)?.name ?? 'a hole of the address space',
          end: walkEndText(walkEnd(walk)),
          levels: walk.levels.map(({ level, slot, entry, pfn }) => ({
            level,
            slot,
            entry,
            flags: readPte(entry)?.flags ?? '',
            pfn,
          })),
          line: walk.line,
        }
      }),
    traps: recordsOf(evidence, 'trap')
      .slice(0, MOST)
      .map(({ vector, errorCode, line }) => ({
        vector,
        says:
          vectorName(vector) +
          (vector === 14 && errorCode !== undefined ? `: ${pageFaultText(errorCode)}` : ''),
        line,
      })),
    calls: multicalls.slice(0, MOST).map(({ op, result, args, line }) => ({
      call: hypercallName(op),
      result: errnoText(result),
      args,
      line,
    })),
    registers: registers
      .flatMap(({ name, value, line }) => {
        const says = registerText(name, value)
        return says === undefined ? [] : [{ name, value, says, line }]
      })
      .slice(0, MOST),
    poison: unique(
      words.flatMap(({ word, line }) => {
        const says = poisonMeaning(word)
        return says === undefined ? [] : [{ word, says, line }]
      }),
    ),
  }
}

function typeWords(evidence: Evidence): DecodedTypeWord[] {
  return unique(
    evidence.badTypes.flatMap(({ saw, exp, record }) =>
      [saw, exp].map(({ word, type, count, flags, layout }) => ({
        word,
        type,
        count,
        flags,
        layout,
        why: layoutReason(layout, evidence.xen),
        line: record.line,
      })),
    ),
  )
}

function entryOf(word: string | undefined, line: number) {
  const entry = word === undefined ? undefined : readPte(word)
  if (entry === undefined || word!.length < 8 || poisonMeaning(word!) !== undefined) return []
  return [{ word: word!, mfn: entry.mfn, flags: entry.flags, line }]
}

/** The error code of a page fault, in words. */
export function pageFaultText(code: number): string {
  return [
    (code & 1) === 0 ? 'the page was not present' : 'the page was present and the right was missing',
    (code & 2) === 0 ? ((code & 16) === 0 ? 'a read' : 'an instruction fetch') : 'a write',
    (code & 4) === 0 ? 'by the kernel' : 'by user code',
  ].join(', ')
}

function walkEndText(end: ReturnType<typeof walkEnd>): string {
  if (end.missing !== undefined)
    return `ends at L${end.missing}: its entry is not present, so the ${LEVEL_SPAN[end.missing]} around the address are not mapped`
  if (!end.whole) return 'is cut: the log has no more levels'
  return end.readOnlyAt === undefined
    ? 'is complete, and each level allows writing'
    : `is complete, and the L${end.readOnlyAt} entry lacks RW`
}

/** Registers that say something: an error, a poison, an address of a known region. Plain numbers say nothing. */
function registerText(name: string, value: string): string | undefined {
  const errno = errnoOf(value)
  if (errno !== undefined) return `${errno}, the answer of a hypercall`
  const poison = poisonMeaning(value)
  if (poison !== undefined) return poison
  if (name.startsWith('cr') && name !== 'cr2') return undefined
  return value.length === 16 && value.startsWith('ffff') ? readAddress(value) : undefined
}

/** Without what is there already, whatever its line; at most `MOST`. */
function unique<T extends { readonly line: number }>(items: readonly T[]): T[] {
  const seen = new Map<string, T>()
  for (const item of items) {
    const { line: _, ...said } = item
    const key = JSON.stringify(said)
    if (!seen.has(key)) seen.set(key, item)
    if (seen.size >= MOST) break
  }
  return [...seen.values()]
}
