// biome-ignore lint/style/noRestrictedImports: data/ is no room: it holds facts, and nothing in it imports anything.
import data from '../../../data/xen-messages.json' with { type: 'json' }
import { hex64 } from '../../bits/address.ts'
import { DOMID, domainName } from '../../bits/domid.ts'
import type { Messages } from '../versions/messages.ts'
import { LOG_LEVEL } from './guest-log.ts'

/**
 * Every line of Xen's memory code that the machine prints, by the name that it has here, with the facts that the code which
 * prints it knows. Wording, severity, macro and source lines are those of data/xen-messages.json, for the release that a
 * version names; a release without a message does not print it.
 */
const FACTS = {
  pageRef: ['mfn'],
  linearWritable2: [],
  linearWritable3: [],
  linearWritable4: [],
  badL1Flags: ['flags'],
  badL2Flags: ['flags'],
  badL3Flags: ['flags'],
  badL4Flags: ['flags'],
  badL1FlagsMod: ['flags'],
  badL2FlagsMod: ['flags'],
  badL3FlagsMod: ['flags'],
  badL4FlagsMod: ['flags'],
  implicitUnmap: ['l1e_owner', 'pte'],
  failureL1: ['rc', 'slot'],
  failureL2: ['rc', 'slot'],
  failureL3: ['rc', 'slot'],
  failureL4: ['rc', 'slot'],
  xenSlotL4: ['slot', 'pl4e'],
  typeOverflow: ['mfn'],
  badType: ['saw', 'exp', 'mfn', 'pfn'],
  validating: ['mfn', 'pfn', 'type', 'caf', 'taf'],
  baseptr: ['mfn'],
  userBaseptr: ['rc', 'mfn'],
  unknownDomain: ['domid'],
  itselfForeign: [],
  setForeign: [],
  setForeignDomain: [],
  pinning: ['rc', 'mfn'],
  alreadyPinned: ['mfn'],
  notPinned: ['mfn'],
  unpinOwner: ['mfn', 'pg_owner'],
  flushCache: [],
  flushCacheGlobal: [],
  setLdt: ['ptr', 'ents'],
  mmuextCommand: ['cmd'],
  mmuCommand: ['cmd'],
  normalUpdate: [],
  machphys: [],
  ptwrGet: [],
  ptwrAccess: ['cr2', 'addr', 'bytes'],
  pageFree: ['domid', 'gmfn'],
  pageInvalid: ['domid', 'gmfn'],
  multicallReentry: [],
  mmioDenied: ['pg_owner', 'mfn'],
  globalKernel: ['pfn'],
  globalKernelPtwr: ['pfn'],
  iretFault: [],
  iretNoUser: [],
  iretFatal: [],
  cacheOfHeap: [],
  unhandled: ['trap', 'vec', 'vcpu', 'ec'],
  unhandledPageFault: ['domid', 'vcpu', 'ec'],
  getPage: ['mfn', 'rd', 'owner', 'caf', 'taf'],
  clearing: ['mfn'],
  copyingFrom: ['mfn'],
  copyingTo: ['mfn'],
  steal: ['mfn', 'domid', 'owner', 'caf', 'taf'],
  gettingMfn: ['mfn', 'pfn', 'pte', 'l1e_owner', 'pg_owner'],
  otherOwner: ['pg_owner', 'l1e_owner', 'real_pg_owner'],
  notWritableType: [],
  forcedReadOnly: ['l1e_owner', 'mfn'],
  superpageFlag: [],
  superpageUnaligned: ['mfn'],
  superpageUnmarkUnaligned: ['mfn'],
  superpageOff: [],
  superpageUnmarkOff: [],
  noExtentIncrease: ['extent_order', 'domid', 'memflags', 'slot', 'nr_extents'],
  noExtentPopulate: ['extent_order', 'domid', 'memflags', 'slot', 'nr_extents'],
} as const satisfies Record<string, readonly string[]>

export type MessageId = keyof typeof FACTS

/** Something that a message names a domain by: its id, or null for the owner of a frame that has none. */
export type DomainFact = { readonly domain: number | null }

/** A number up to 2^53, a 64-bit word or digits already, or a domain. */
export type Fact = number | bigint | string | DomainFact

/** What a message has to be told: every fact that one of its wordings prints. */
export type Facts<Id extends MessageId> = (typeof FACTS)[Id] extends readonly []
  ? []
  : [facts: Readonly<Record<(typeof FACTS)[Id][number], Fact>>]

/** The facts that the machine tells a message: their names. */
export function factsOf(id: MessageId): readonly string[] {
  return FACTS[id]
}

export const MESSAGE_IDS = Object.keys(FACTS) as readonly MessageId[]

/** How Xen prints a message: with file, line and vCPU, in debug builds only; with the vCPU; or bare. */
type Macro = 'gdprintk' | 'gprintk' | 'printk'

/** A message as the table has it: see the table's own note. */
type Entry = {
  readonly printed?: readonly string[]
  readonly template: string
  readonly later?: Readonly<Record<string, { readonly template?: string; readonly how?: Macro }>>
  readonly how?: Macro
  readonly level?: keyof typeof LOG_LEVEL
  readonly fields: readonly string[]
  readonly from: string
  readonly to: string
  readonly releaseTo?: string
  readonly lines?: Readonly<Record<string, readonly (readonly [file: string, first: number, last: number])[]>>
}

/** A message as one version prints it. */
export type Printed = {
  /** What stands before the vCPU: `arch/x86/mm.c:2940:`, or nothing. */
  readonly place: string
  readonly namesVcpu: boolean
  readonly template: string
  readonly fields: readonly string[]
  readonly level: number
}

const RELEASES: readonly string[] = data.versions
const ENTRIES = data.messages as unknown as readonly Entry[]

function reached(release: string, since: string): boolean {
  return RELEASES.indexOf(release) >= RELEASES.indexOf(since)
}

/** What a version prints of each message; null where it prints nothing. Made as messages are first asked for. */
const PRINTED = new WeakMap<Messages, Map<MessageId, Printed | null>>()

/** A message as a version prints it, or null: the release has no such message, or its build leaves it out. */
export function printedBy(messages: Messages, id: MessageId): Printed | null {
  let known = PRINTED.get(messages)
  if (known === undefined) {
    known = new Map()
    PRINTED.set(messages, known)
  }
  let printed = known.get(id)
  if (printed === undefined) {
    printed = resolve(messages, id)
    known.set(id, printed)
  }
  return printed
}

function resolve(messages: Messages, id: MessageId): Printed | null {
  const { release, build } = messages
  // Of two entries the later one has the newer wording.
  const entry = ENTRIES.findLast(
    ({ printed, from, to }) => printed?.includes(id) && reached(release, from) && reached(to, release),
  )
  if (entry === undefined) return null
  if (build === 'release' && (entry.releaseTo === undefined || !reached(entry.releaseTo, release)))
    return null
  const changes = Object.entries(entry.later ?? {}).filter(([since]) => reached(release, since))
  const { template, how = 'gdprintk' } = Object.assign(
    {},
    entry,
    ...changes.map(([, change]) => change),
  ) as Entry
  return {
    place: how === 'gdprintk' ? placeOf(messages, entry, id) : '',
    namesVcpu: how !== 'printk',
    template,
    fields: entry.fields,
    level: LOG_LEVEL[entry.level ?? 'warning'],
  }
}

/** File and line as the version's compiler gives them. An entry with fewer places than names has one for all. */
function placeOf(messages: Messages, { printed, lines }: Entry, id: MessageId): string {
  const places = lines?.[messages.release]
  if (printed === undefined || places === undefined) return ''
  const [path, first, last] = places[Math.min(printed.indexOf(id), places.length - 1)]
  const file = messages.files === 'path' ? path : path.slice(path.lastIndexOf('/') + 1)
  return `${messages.headers[id] ?? file}:${messages.line === 'first' ? first : last}:`
}

/** A directive of a template, or text between directives. */
type Piece =
  | string
  | {
      readonly conversion: string
      readonly alternate: boolean
      readonly width: number
      readonly fill: string
    }

/** Templates by their text, read once. */
const PIECES = new Map<string, readonly Piece[]>()

function piecesOf(template: string): readonly Piece[] {
  const known = PIECES.get(template)
  if (known !== undefined) return known
  const pieces: Piece[] = []
  let end = 0
  for (const match of template.matchAll(/%(#?)(0?)(\d*)(?:l?)(pd|[dux%Xsp])/g)) {
    const [all, alternate, zero, width, conversion] = match
    pieces.push(template.slice(end, match.index))
    end = match.index + all.length
    if (conversion === '%') pieces.push('%')
    else
      pieces.push({
        conversion,
        alternate: alternate !== '',
        width: Number(width),
        fill: zero === '' ? ' ' : '0',
      })
  }
  pieces.push(template.slice(end))
  PIECES.set(template, pieces)
  return pieces
}

/** What stands for a pointer to a structure of Xen's, which the machine does not have. */
const POINTER = '?'.repeat(16)

/** printf for the directives that Xen's templates use, with the facts that a message's fields name. */
export function format(
  template: string,
  fields: readonly string[],
  facts: Readonly<Record<string, Fact>>,
): string {
  let next = 0
  let line = ''
  for (const piece of piecesOf(template)) {
    if (typeof piece === 'string') {
      line += piece
      continue
    }
    const { conversion, alternate, width, fill } = piece
    const fact = facts[fields[next++]]
    let text = factText(fact, conversion)
    // C prints a zero without the prefix.
    if (alternate && fact !== 0) text = `0x${text}`
    line += text.padStart(width, fill)
  }
  return line
}

function factText(fact: Fact | undefined, conversion: string): string {
  if (fact === undefined) return POINTER
  if (typeof fact === 'object') {
    if (conversion === 'p') return POINTER
    if (conversion === 'pd') return fact.domain === null ? 'NULL' : domainName(fact.domain)
    return String(fact.domain ?? DOMID.INVALID)
  }
  if (typeof fact === 'string' || conversion === 'd' || conversion === 'u') return String(fact)
  if (conversion === 'p') return hex64(Number(BigInt(fact) & 0xffffffffn), Number(BigInt(fact) >> 32n))
  const digits = (typeof fact === 'number' && fact < 0 ? BigInt.asUintN(64, BigInt(fact)) : fact).toString(16)
  return conversion === 'X' ? digits.toUpperCase() : digits
}
