import {
  decodeTypeWord,
  encodeTypeWord,
  printTypeWord,
  type TypeLayout,
  typeLayout,
} from '../../src/bits/type-word.ts'
import { Random } from './random.ts'

/**
 * Turns a real log into another one of the same cause: as another machine, another Xen or another way to the reader
 * would have had it. All are pure functions of the log and a seed.
 */

export type RealLog = {
  readonly file: string
  readonly class: string
  /** What has to be in the log for the cause to be told. */
  readonly signatures: readonly string[]
  readonly text: string
}

export type Mutation = { readonly text: string; readonly description: string }

/** An entry of Xen's table of messages: its wording, and where it stands in which version. */
export type XenMessageEntry = {
  readonly id: string
  readonly regex: string
  readonly versions: readonly string[]
  /** First and last line of the statement, by version. */
  readonly lines?: Readonly<Record<string, readonly (readonly [file: string, first: number, last: number])[]>>
}

export const MUTATION_KINDS = ['frames', 'version', 'prefix', 'loss', 'order'] as const
export type MutationKind = (typeof MUTATION_KINDS)[number]

/** The log, changed in this way; null when there is nothing in it that this way could change. */
export function mutateLog(
  kind: MutationKind,
  log: RealLog,
  seed: number,
  messages: readonly XenMessageEntry[],
): Mutation | null {
  const random = new Random(seed, log.file)
  switch (kind) {
    case 'frames':
      return otherFrames(log, random)
    case 'version':
      return otherVersion(log, random, messages)
    case 'prefix':
      return otherPrefix(log, random)
    case 'loss':
      return lostLines(log, random)
    case 'order':
      return otherOrder(log, random)
  }
}

const isXenLine = (line: string) => /\(XEN\)|^\s*[\w./-]+\.[chS]:\d+:d\d/.test(line)

// ---- Other frames ----

/** Logs about where things lie in memory: their addresses are the evidence. */
const LAYOUT_CLASSES = ['e820-conflict', 'e820-conflict-fixed']
const ENTRY = /\b(L1 entry |L\de |L\d\[0x[0-9a-f]+\] = )([0-9a-f]{16})\b/g
const FRAME_MASK = 0x000f_ffff_ffff_f000n

/** All machine frames moved by one distance, all pseudo-physical frames by another: what was adjacent stays so. */
export function otherFrames(log: RealLog, random: Random): Mutation | null {
  if (LAYOUT_CLASSES.includes(log.class)) return null
  const fixed = new Set<number>()
  for (const line of log.text.split('\n')) {
    // DOMID_IO and DOMID_XEN: a device's frame, or Xen's. And what fell out of reused memory is no frame at all.
    if (/pg_owner=?\s?d?3275[34]|\(pfn 5{16}\)|7ff0 args=/.test(line)) {
      for (const found of line.matchAll(/\bmfn ([0-9a-f]+)/gi)) fixed.add(Number.parseInt(found[1], 16))
      for (const found of line.matchAll(ENTRY)) fixed.add(entryFrame(found[2]))
    }
  }
  const mfns = new Set<number>()
  const pfns = new Set<number>()
  const note = (set: Set<number>) => (hex: string) => {
    const frame = Number.parseInt(hex, 16)
    if (isOrdinary(frame, hex)) set.add(frame)
    return hex
  }
  const noteMfn = (hex: string) => (fixed.has(Number.parseInt(hex, 16)) ? hex : note(mfns)(hex))
  // A walk of an address outside the direct map has pfns that follow from the address.
  const walk = /Pagetable walk from ([0-9a-f]{16})/.exec(log.text)
  const pfnsMove = walk === null || directPage(walk[1]) !== null
  renameFrames(log.text, noteMfn, pfnsMove ? note(pfns) : (hex) => hex)
  const mfnShift = shiftOf(mfns, random, 0xff_ffff)
  const pfnShift = pfnsMove ? shiftOf(pfns, random, 0x3f_ffff) : 0
  if (mfnShift === 0 && pfnShift === 0) return null
  const moved = (shift: number, set: Set<number>) => (hex: string) => {
    const frame = Number.parseInt(hex, 16)
    if (!set.has(frame) || !isOrdinary(frame, hex)) return hex
    return (frame + shift).toString(16).padStart(hex.startsWith('0') ? hex.length : 0, '0')
  }
  return {
    text: renameFrames(log.text, moved(mfnShift, mfns), moved(pfnShift, pfns)),
    description: `mfns moved by ${mfnShift}, pfns by ${pfnShift}`,
  }
}

/** Neither a poison, nor the interrupt controllers' window, nor legacy memory. */
function isOrdinary(frame: number, hex: string): boolean {
  if (/^(5{16}|f{16})$/.test(hex)) return false
  return frame >= 0x100 && frame < 0x1000_0000 && !(frame >= 0xc_0000 && frame < 0x10_0000)
}

function entryFrame(entry: string): number {
  return Number((BigInt(`0x${entry}`) & FRAME_MASK) >> 12n)
}

/** A distance that keeps every frame ordinary and as long as it was; 0 when there are no frames. */
function shiftOf(frames: ReadonlySet<number>, random: Random, top: number): number {
  if (frames.size === 0) return 0
  const all = [...frames]
  const low = Math.min(...all)
  const high = Math.max(...all)
  for (let i = 0; i < 1000; i++) {
    const shift = random.between(0x1_0000, Math.max(0x2_0000, top - (high - low))) - low
    const fits = (frame: number) =>
      frame + shift < top && isOrdinary(frame + shift, (frame + shift).toString(16))
    if (shift !== 0 && all.every(fits)) return shift
  }
  return 0
}

/** The page of an address in Linux's direct map, and where that map starts; null for any other address. */
function directPage(address: string): { base: bigint; page: number } | null {
  const va = BigInt(`0x${address}`)
  if (va < 0xffff_8800_0000_0000n || va >= 0xffff_c900_0000_0000n) return null
  const base = va >= 0xffff_8880_0000_0000n ? 0xffff_8880_0000_0000n : 0xffff_8800_0000_0000n
  return { base, page: Number((va - base) >> 12n) }
}

/** The text with every frame passed through these, wherever it stands: messages, entries, the direct map, walks. */
function renameFrames(text: string, mfn: (hex: string) => string, pfn: (hex: string) => string): string {
  const entries = new Map<string, string>()
  const entry = (word: string): string => {
    const bits = BigInt(`0x${word}`)
    const frame = (bits & FRAME_MASK) >> 12n
    if (frame === 0n) return word
    const renamed = (bits & ~FRAME_MASK) | (BigInt(`0x${mfn(frame.toString(16))}`) << 12n)
    const printed = renamed.toString(16).padStart(16, '0')
    entries.set(word, printed)
    return printed
  }
  const direct = (address: string): string => {
    const at = directPage(address)
    if (at === null || at.page >= 0x1000_0000) return address
    const page = BigInt(`0x${pfn(at.page.toString(16))}`)
    return (at.base + (page << 12n) + (BigInt(`0x${address}`) & 0xfffn)).toString(16)
  }
  const padded = (rename: (hex: string) => string, hex: string) => {
    if (/^(5{16}|f{16}|0+)$/.test(hex)) return hex
    return rename(hex.replace(/^0+/, '')).padStart(hex.length, '0')
  }
  // Words that repeat an entry, such as the register that held it, change with it.
  const lines = text.split('\n').map((line) =>
    line
      .replace(ENTRY, (_, lead: string, word: string) => lead + entry(word))
      .replace(
        /^(.*L\d\[0x[0-9a-f]+\] = [0-9a-f]{16} )([0-9a-f]{16})/,
        (_, lead: string, word: string) => lead + padded(pfn, word),
      )
      .replace(/\b(mfn )([0-9a-f]+)\b/gi, (_, lead: string, hex: string) => lead + mfn(hex))
      .replace(/\b(Bad page )([0-9a-f]{9,16})\b/g, (_, lead: string, hex: string) => lead + padded(mfn, hex))
      .replace(/\(pfn ([0-9a-f]+)\)/g, (_, hex: string) => `(pfn ${pfn(hex)})`)
      .replace(/\bpfn = 0x([0-9a-f]+)/g, (_, hex: string) => `pfn = 0x${pfn(hex)}`)
      .replace(/\bmfn = 0x([0-9a-f]+)/g, (_, hex: string) => `mfn = 0x${mfn(hex)}`)
      .replace(/\bpa=0x([0-9a-f]+)000\b/g, (_, hex: string) => `pa=0x${pfn(hex)}000`)
      .replace(/\bma=0x([0-9a-f]+)000\b/g, (_, hex: string) => `ma=0x${mfn(hex)}000`)
      .replace(
        /\b(cr3: )([0-9a-f]{13})000\b/g,
        (_, lead: string, hex: string) => `${lead}${padded(mfn, hex)}000`,
      )
      .replace(/(?<![0-9a-f])ffff(?:8[89a-f]|[9abc][0-9a-f])[0-9a-f]{10}\b/g, direct),
  )
  return lines
    .join('\n')
    .replace(/\b[0-9a-f]{16}\b/g, (word) => entries.get(word) ?? word)
    .replace(/Pagetable walk from ([0-9a-f]{16}):[\s\S]*?(?=\n(?!.*L\d\[)|$)/g, sameSlots)
}

/** A walk whose slots are those of its address. */
function sameSlots(walk: string, address: string): string {
  const va = BigInt(`0x${address}`)
  return walk.replace(/L(\d)\[0x[0-9a-f]+\]/g, (_, level: string) => {
    const slot = (va >> BigInt(3 + 9 * Number(level))) & 511n
    return `L${level}[0x${slot.toString(16).padStart(3, '0')}]`
  })
}

// ---- Another version of Xen ----

/** Versions whose lines are known, oldest first, and how each words what it has in common with the others. */
const VERSIONS = [
  { name: '3.4-2009-05', release: '3.4.0', layout: '3.4' },
  { name: '4.0', release: '4.0.0', layout: '4.0' },
  { name: '4.1', release: '4.1.0', layout: '4.0' },
  { name: 'seed-2011-05', release: '4.2-unstable', layout: '4.0' },
  { name: '4.2', release: '4.2.0', layout: '4.0' },
  { name: '4.4', release: '4.4.0', layout: '4.0' },
  { name: '4.8', release: '4.8.0', layout: '4.0' },
  { name: '4.11', release: '4.11.0', layout: '4.10' },
  { name: '4.13', release: '4.13.0', layout: '4.10' },
  { name: '4.16', release: '4.16.0', layout: '4.10' },
  { name: '4.17.0', release: '4.17.0', layout: '4.17' },
  { name: '4.17.7', release: '4.17.7', layout: '4.17' },
  { name: '4.19', release: '4.19.0', layout: '4.17' },
] as const
type Version = (typeof VERSIONS)[number]

/** Causes that a range of versions cannot show, or cannot show so. By name of the first and last that can. */
const VERSIONS_OF_CLASS: Readonly<Record<string, readonly [first: string, last: string]>> = {
  // From 4.2 on a line above says which of the two reasons it was.
  'ambiguous-message': ['4.0', 'seed-2011-05'],
  'linear-pt-disabled': ['4.8', '4.19'],
  'l1tf-nonpresent-pte': ['4.13', '4.19'],
  'e820-conflict': ['4.4', '4.19'],
  'e820-conflict-fixed': ['4.4', '4.19'],
}

function isFrom(version: Version, first: string): boolean {
  return VERSIONS.indexOf(version) >= VERSIONS.findIndex((v) => v.name === first)
}

export function otherVersion(
  log: RealLog,
  random: Random,
  messages: readonly XenMessageEntry[],
): Mutation | null {
  if (!isXenLine(log.text)) return null
  const [first, last] = VERSIONS_OF_CLASS[log.class] ?? ['3.4-2009-05', '4.19']
  const possible = VERSIONS.filter((v) => isFrom(v, first) && (v.name === last || !isFrom(v, last)))
  const from = layoutOf(log.text)
  while (possible.length > 0) {
    const version = random.pick(possible)
    const text = asVersion(log.text, from, version, random, messages)
    if (text !== null && text !== log.text) return { text, description: `as Xen ${version.name} has it` }
    possible.splice(possible.indexOf(version), 1)
  }
  return null
}

/** The layout of a log's type words, from its first wanted type, which carries nothing else. */
function layoutOf(text: string): TypeLayout {
  const exp = /!= exp ([0-9a-f]{16})/.exec(text)?.[1] ?? '1000000000000000'
  if (exp.startsWith('00000000')) return typeLayout('3.0')
  return typeLayout('13578'.includes(exp[0]) ? '4.0' : '4.10')
}

const TRAPS: Readonly<Record<string, string>> = {
  3: 'bkpt #BP',
  6: 'invalid opcode #UD',
  13: 'general protection fault #GP',
  14: 'page fault #PF',
}

/** The whole log in the words of this version; null when it has no word for a message of it. */
function asVersion(
  text: string,
  from: TypeLayout,
  version: Version,
  random: Random,
  messages: readonly XenMessageEntry[],
): string | null {
  const lines: string[] = []
  let possible = true
  for (const line of text.split('\n')) {
    const trap = inWordsOfTraps(line, version, random, messages)
    if (trap !== null) {
      lines.push(trap)
      continue
    }
    const found = /^(.*?)([\w./-]+\.[chS]):(\d+|x+):(d\d+)(?:v\d+)? (.*)$/.exec(line)
    if (found === null) {
      const other = inOtherWords(line, version)
      if (other !== null) lines.push(other)
      continue
    }
    const [, lead, , printedLine, domain, message] = found
    const body = messageOf(message, from, version)
    const place = body === null ? null : placeOf(body, version, random, messages)
    if (body === null || place === null) {
      possible = false
      break
    }
    const file = isFrom(version, '4.17.0') ? place.file : place.file.replace(/^.*\//, '')
    const vcpu = isFrom(version, '4.8') ? `${domain}v0` : domain
    const number = /^x/.test(printedLine) ? printedLine : place.line
    const gprintk = isFrom(version, '4.17.0') && body.startsWith('Attempt to implicitly')
    lines.push(`${lead}${gprintk ? '' : `${file}:${number}:`}${vcpu} ${body}`)
  }
  return possible ? lines.join('\n') : null
}

/** A line of the source where this version prints this, as its compiler might have counted. */
function placeOf(
  body: string,
  version: Version,
  random: Random,
  messages: readonly XenMessageEntry[],
): { file: string; line: number } | null {
  for (const message of messages) {
    const places = message.lines?.[version.name]
    if (places === undefined || !matches(message, body)) continue
    const [file, , last] = random.pick(places)
    return { file, line: last }
  }
  // An entry that somebody left out does not match; what stands before it does.
  if (body.endsWith(' ...')) {
    return placeOf(body.replace(' ...', ' 8000000000000063'), version, random, messages)
  }
  return null
}

function matches(message: XenMessageEntry, body: string): boolean {
  return new RegExp(`^(?:${message.regex})$`).test(body)
}

/** A message of mm.c as this version words it; null when it has none. */
function messageOf(message: string, from: TypeLayout, version: Version): string | null {
  const since49 = isFrom(version, '4.11')
  const frame = (hex: string) => {
    const bare = hex.replace(/^0+(?=.)/, '')
    return since49 ? bare.padStart(5, '0') : bare
  }
  let m = /^Bad type \(saw (\w{16}) != exp (\w{16})\) for mfn (\w+) \(pfn (\w+)\)$/.exec(message)
  if (m) {
    const to = typeLayout(version.layout)
    const [saw, exp] = [recoded(m[1], from, to), recoded(m[2], from, to)]
    if (saw === null || exp === null) return null
    return `Bad type (saw ${saw} != exp ${exp}) for mfn ${frame(m[3])} (pfn ${frame(m[4])})`
  }
  m = /^Error (?:(-?\d+) )?while pinning mfn (\w+)$/.exec(message)
  if (m) return `Error ${isFrom(version, '4.8') ? `${m[1] ?? '-22'} ` : ''}while pinning mfn ${frame(m[2])}`
  m = /^[Mm]fn (\w+) (already pinned|not pinned)$/.exec(message)
  if (m) return `${since49 ? 'mfn' : 'Mfn'} ${frame(m[1])} ${m[2]}`
  m =
    /^Error getting mfn (\w+) \(pfn (\w+)\) from L1 entry (\w+) for l1e_owner[= ]d?(\d+), pg_owner[= ]d?(\d+)$/.exec(
      message,
    )
  if (m) {
    const start = `Error getting mfn ${frame(m[1])} (pfn ${frame(m[2])}) from L1 entry ${m[3]} for `
    if (since49) return `${start}l1e_owner d${m[4]}, pg_owner d${m[5]}`
    if (isFrom(version, '4.0')) return `${start}l1e_owner=${m[4]}, pg_owner=${m[5]}`
    return m[4] === m[5] ? `${start}dom${m[4]}` : null
  }
  m = /^pg_owner d?(\d+) l1e_owner d?(\d+), but real_pg_owner d?(-?\d+)$/.exec(message)
  if (m) {
    const d = since49 ? 'd' : ''
    return `pg_owner ${d}${m[1]} l1e_owner ${d}${m[2]}, but real_pg_owner ${d}${m[3]}`
  }
  m = /^Could not find L1 PTE for (?:linear )?address (\w+)$/.exec(message)
  if (m) return `Could not find L1 PTE for ${since49 ? 'linear ' : ''}address ${m[1]}`
  m = /^Attempt to implicitly unmap (?:a granted|d\d+'s grant) PTE (.*)$/.exec(message)
  if (m) {
    return `Attempt to implicitly unmap ${isFrom(version, '4.17.0') ? "d1's grant" : 'a granted'} PTE ${m[1]}`
  }
  return message
}

/** The same type, count and flags in the other layout. */
function recoded(word: string, from: TypeLayout, to: TypeLayout): string | null {
  const decoded = decodeTypeWord(from, BigInt(`0x${word}`))
  if (decoded === undefined) return null
  return to.digits === 8
    ? encodeTypeWord(to, decoded).toString(16).padStart(16, '0')
    : printTypeWord(to, decoded)
}

/** Wordings of a trap that a guest did not handle; null when the line is of no such trap. */
function inWordsOfTraps(
  line: string,
  version: Version,
  random: Random,
  messages: readonly XenMessageEntry[],
): string | null {
  const found =
    /^(.*?)(?:traps\.c:\d+:)?(d\d+)(?:v\d+)? Unhandled .*fault\/trap \[#(\d+)(?:\] on VCPU \d+ \[|, )ec=(\w+)\]/.exec(
      line,
    ) ?? /^(.*?)(d\d+):?v\d+:() unhandled page fault \(ec=(\w+)\)/.exec(line)
  if (found === null) return null
  const [, lead, domain, vector, code] = found
  const number = vector === '' ? '14' : vector
  const name = TRAPS[number]
  const short = name.slice(name.lastIndexOf(' ') + 1)
  const long = name.slice(0, name.lastIndexOf(' '))
  const ec = code.slice(-4)
  if (number === '14' && !isFrom(version, '4.11')) {
    const vcpu = isFrom(version, '4.8') ? `${domain}v0:` : `${domain}:v0:`
    return `${lead}${vcpu} unhandled page fault (ec=${ec.toUpperCase()})`
  }
  if (isFrom(version, '4.17.0')) return `${lead}${domain}v0 Unhandled: vec ${number}, ${short}[${ec}]`
  if (isFrom(version, '4.8')) {
    return `${lead}${domain}v0 Unhandled ${long} fault/trap [#${number}, ec=${code.padStart(4, '0')}]`
  }
  const body = `Unhandled ${long} fault/trap [#${number}] on VCPU 0 [ec=${code.padStart(4, '0')}]`
  const place = placeOf(body, version, random, messages)
  return `${lead}traps.c:${place?.line ?? 'xxx'}:${domain} ${body}`
}

/** What changed its wording besides messages of mm.c and traps; null for a line that this version does not have. */
function inOtherWords(line: string, version: Version): string | null {
  if (/^\s*entry\.o#create_bounce_frame/.test(line)) return isFrom(version, '4.4') ? line : null
  const sync = /^(.*domain_crash_sync called from entry\.S)(: fault at .*)?$/.exec(line)
  if (sync) {
    if (!isFrom(version, '4.4')) return sync[1]
    return `${sync[1]}${sync[2] ?? ': fault at ffff82d0802187a0 create_bounce_frame+0x12b/0x13a'}`
  }
  return line
    .replace(/Xen-\S+ {2}x86_64/, `Xen-${version.release}  x86_64`)
    .replace(/pv guest(?: \(d\d+v\d+\))?$/, (printed) =>
      isFrom(version, '4.8') ? printed : printed.slice(0, 8),
    )
    .replace(/\(XEN\) {2}\[([0-9a-f]{16}), ([0-9a-f]{16})\] \(/, (printed, start: string, end: string) =>
      isFrom(version, '4.16')
        ? printed
        : `(XEN)  ${start} - ${(BigInt(`0x${end}`) + 1n).toString(16).padStart(16, '0')} (`,
    )
}

// ---- Another way to the reader ----

type LineChange = (line: string, at: number, random: Random) => string

const stamp = (at: number) => {
  const time = 36_672_123 + at * 173
  const two = (n: number) => String(n).padStart(2, '0')
  const seconds = Math.floor(time / 1000)
  return {
    clock: `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`,
    ms: String(time % 1000).padStart(3, '0'),
  }
}

/** What a collector puts before a line. */
const LINE_PREFIXES: Readonly<Record<string, LineChange>> = {
  journald: (line, at) => `Nov 22 ${stamp(at).clock} host kernel: ${line}`,
  'journald with a process number': (line, at) => `Nov 22 ${stamp(at).clock} dom0 xenconsoled[812]: ${line}`,
  'CI timestamps': (line, at) => `2024-06-01T${stamp(at).clock}.${stamp(at).ms}4567Z ${line}`,
  'test harness dates': (line, at) => `Jun 26 ${stamp(at).clock}.${stamp(at).ms}435 ${line}`,
  'guest timestamps': (line, at) =>
    isXenLine(line) || /^\s*\[ *\d/.test(line) || line.trim() === ''
      ? line
      : `[${(12.345678 + at / 1000).toFixed(6).padStart(12)}] ${line}`,
  'Xen timestamps': (line, at) =>
    line.replace(/\(XEN\) (?!\[20)/, `(XEN) [2021-09-06 ${stamp(at).clock}.${stamp(at).ms}] `),
  'Xen boot timestamps': (line, at) =>
    line.replace(/\(XEN\) (?!\[20)/, `(XEN) [${(at / 50 + 3.5).toFixed(6).padStart(12)}] `),
  'console of a guest': (line) => (isXenLine(line) || line.trim() === '' ? line : `(d0) ${line}`),
  'line numbers of grep': (line, at) => `${at + 118}:${line}`,
  'file names of grep': (line, at) => `console.log:${at + 118}:${line}`,
  tabs: (line) => `\t${line}`,
  'a list of Markdown': (line) => `    ${line}`,
  'trailing blanks': (line) => `${line}   `,
}

/** What a mailer, a terminal or a browser makes of the whole. */
const TRANSPORTS: Readonly<Record<string, (text: string, random: Random) => string>> = {
  'quoted twice': (text) => eachLine(text, (line) => `> > ${line}`),
  'quoted five times': (text) => eachLine(text, (line) => `>>> >> ${line}`),
  'wrapped at 76 columns': (text) => eachLine(text, wrap),
  'wrapped and quoted': (text) => eachLine(eachLine(text, wrap), (line) => `> ${line}`),
  'quoted-printable': quotedPrintable,
  'HTML entities': (text) =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('  ', ' &nbsp;'),
  CRLF: (text) => text.replaceAll('\n', '\r\n'),
  'colour codes': (text, random) =>
    eachLine(text, (line) => `\x1b[${random.pick(['31', '0;32', '1;33', '38;5;208'])}m${line}\x1b[0m`),
  'a serial terminal': (text) => `\x1b[2J\x1b[1;1H${text.replaceAll('\n', '\x1b[K\r\n')}`,
  'a code fence': (text) => `This is what I get, any idea?\n\n\`\`\`\n${text}\n\`\`\`\n\nThanks\n`,
}

function eachLine(text: string, change: (line: string) => string): string {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return `${lines.map(change).join('\n')}\n`
}

/** A line broken at blanks where it would pass 76 columns, as mailers do. */
function wrap(line: string): string {
  const lines: string[] = []
  let rest = line
  while (rest.length > 76) {
    const at = rest.lastIndexOf(' ', 76)
    if (rest.slice(0, at).trim() === '') break
    lines.push(rest.slice(0, at))
    rest = rest.slice(at + 1)
  }
  lines.push(rest)
  return lines.join('\n')
}

function quotedPrintable(text: string): string {
  return eachLine(text.replaceAll('=', '=3D'), (line) => {
    const lines: string[] = []
    let rest = line.replace(/ $/, '=20')
    while (rest.length > 76) {
      let end = 75
      while (/=.?$/.test(rest.slice(0, end).slice(-2))) end--
      lines.push(`${rest.slice(0, end)}=`)
      rest = rest.slice(end)
    }
    lines.push(rest)
    return lines.join('\n')
  })
}

/** One prefix, one transport, or both; the seeds walk through them, from another start in each log. */
export function otherPrefix(log: RealLog, random: Random): Mutation {
  const prefixes = Object.keys(LINE_PREFIXES)
  const transports = Object.keys(TRANSPORTS)
  const turn = (2 * random.seed + log.file.length + log.text.length) % (prefixes.length + transports.length)
  const prefix = turn < prefixes.length ? prefixes[turn] : random.once(3) ? random.pick(prefixes) : null
  const transport =
    turn >= prefixes.length
      ? transports[turn - prefixes.length]
      : random.once(3)
        ? random.pick(transports)
        : null
  let text = log.text
  if (prefix !== null) {
    let at = 0
    text = eachLine(text, (line) => LINE_PREFIXES[prefix](line, at++, random))
  }
  if (transport !== null) text = TRANSPORTS[transport](text, random)
  return { text, description: [prefix, transport].filter((name) => name !== null).join(', then ') }
}

// ---- Lines lost ----

/** Whether the cause cannot be told without this line. */
function isTelling(log: RealLog, line: string): boolean {
  if (/L\d\[0x[0-9a-f]+\] = /.test(line)) return true
  // That a conflict was resolved shows in both maps.
  if (log.class === 'e820-conflict-fixed' && /ACPI NVS|usable|Dom0 kernel/.test(line)) return true
  return log.signatures.some((signature) => {
    const parts = signature.split(/\.\.\./).map((part) => part.trim())
    if (parts.every((part) => line.includes(part))) return true
    // Some are no text of the log but say which line it is: `RIP in xen_memory_setup`.
    return !log.text.includes(signature) && parts.length === 1 && line.includes(`${signature.split(' ')[0]}:`)
  })
}

const LOSSES = ['some lines', 'the head', 'the tail', 'part of the last line'] as const

export function lostLines(log: RealLog, random: Random): Mutation | null {
  const lines = log.text.replace(/\n$/, '').split('\n')
  const kept = lines.map((line) => isTelling(log, line))
  const spare = kept.flatMap((telling, i) => (telling ? [] : [i]))
  if (spare.length === 0) return null
  const first = kept.indexOf(true)
  const last = kept.lastIndexOf(true)
  const possible = LOSSES.filter(
    (loss) =>
      loss === 'some lines' || (loss === 'the head' ? first > 0 : last >= 0 && last < lines.length - 1),
  )
  const loss = possible[random.seed % possible.length]
  const gone = new Set<number>()
  switch (loss) {
    case 'some lines':
      while (gone.size < Math.min(spare.length, Math.ceil(lines.length / 3))) gone.add(random.pick(spare))
      break
    case 'the head': {
      const start = random.between(1, first + 1)
      for (let i = 0; i < start; i++) gone.add(i)
      break
    }
    case 'the tail': {
      const end = random.between(last + 1, lines.length)
      for (let i = end; i < lines.length; i++) gone.add(i)
      break
    }
    case 'part of the last line': {
      // The paste ends in the middle of some line.
      const at = random.between(last + 1, lines.length)
      lines[at] = lines[at].slice(0, random.between(0, lines[at].length))
      for (let i = at + 1; i < lines.length; i++) gone.add(i)
      break
    }
  }
  const text = lines.filter((_, i) => !gone.has(i)).join('\n')
  const end = loss === 'part of the last line' ? '' : '\n'
  return { text: text + end, description: `lost ${loss} (${gone.size} lines)` }
}

// ---- Another order ----

/** Other boots in the same file, none of which has anything wrong. */
const HEALTHY_BOOTS = [
  ` Xen 4.14.5
(XEN) Xen version 4.14.5 (root@builder) (gcc (Debian 10.2.1-6) 10.2.1 20210110) debug=n  Tue Mar  8 10:01:02 UTC 2022
(XEN) Command line: dom0_mem=4096M,max:4096M
(XEN) Xen-e820 RAM map:
(XEN)  [0000000000000000, 000000000009efff] (usable)
(XEN)  [0000000000100000, 00000000bffdffff] (usable)
(XEN)  [0000000100000000, 000000043fffffff] (usable)
(XEN) System RAM: 16383MB (16776568kB)
(XEN) Dom0 has maximum 8 VCPUs
(XEN) Freed 556kB init memory
[    0.000000] Linux version 5.10.0-11-amd64 (debian-kernel@lists.debian.org)
[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009efff] usable
[    0.413220] xen:events: Using FIFO-based ABI
[    2.201133] systemd[1]: Detected virtualization xen.
[    9.107711] xenbr0: port 1(eth0) entered forwarding state
`,
  `mapping kernel into physical memory
about to get started...
[    0.000000] Linux version 3.2.0-4-amd64 (debian-kernel@lists.debian.org)
[    0.000000] Booting paravirtualized kernel on Xen
[    0.000000] Xen version: 4.1.4 (preserve-AD)
[    0.120030] installing Xen timer for CPU 0
[    1.304211] blkfront: xvda2: barrier enabled
[    3.110928] EXT4-fs (xvda2): mounted filesystem with ordered data mode
`,
] as const

export function otherOrder(log: RealLog, random: Random): Mutation {
  const lines = log.text.replace(/\n$/, '').split('\n')
  const done: string[] = []
  let swaps = 0
  for (let i = 0; i + 1 < lines.length; i++) {
    if (isXenLine(lines[i]) === isXenLine(lines[i + 1]) || random.once(2)) continue
    const [first, second] = [lines[i], lines[i + 1]]
    lines[i] = second
    lines[i + 1] = first
    swaps++
    i++
  }
  if (swaps > 0) done.push(`${swaps} neighbours swapped`)
  let text = `${lines.join('\n')}\n`
  const boot = random.pick(HEALTHY_BOOTS)
  if (swaps === 0 || random.once(2)) {
    const before = random.once(2)
    text = before ? boot + text : text + boot
    done.push(`a healthy boot ${before ? 'before' : 'after'}: ${boot.slice(0, boot.indexOf('\n')).trim()}`)
  }
  return { text, description: done.join(', ') }
}
