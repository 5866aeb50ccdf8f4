import { BadInput } from '../../bits/bad-input.ts'
import { E820, type E820Entry, type E820Type } from '../../xen/abi.ts'

/** One printed map in a log. `lines` holds the line number, from 1, of each entry. */
export type LogMap = {
  readonly kind: 'host' | 'guest'
  /** How the log names it: `Xen-e820 RAM map`, `BIOS-e820`, `Xen`. */
  readonly title: string
  /** Which of several blocks is wanted: the lowest. The host's map says more than what a kernel made of it. */
  readonly rank: number
  readonly entries: E820Entry[]
  readonly lines: number[]
  /** Types that the model does not know and took as reserved, each once. */
  readonly notes: string[]
}

/** The maps of a log, and what else the log says about the domain: frames of 4 KiB, and bytes above the virtual base. */
export type LogFacts = { readonly maps: LogMap[]; readonly nrPages?: number; readonly vEnd?: number }

/** `0000000000000000 - 000000000009fc00 (usable)`: the end is exclusive. */
const OPEN = /(?<![0-9a-f])(?<start>[0-9a-f]{8,16}) - (?<end>[0-9a-f]{8,16}) \((?<type>[^()]+)\)\s*$/i
/** `[0000000000000000, 000000000009fbff] (usable)`: the end is inclusive. */
const CLOSED = /\[(?<start>[0-9a-f]{8,16}), (?<end>[0-9a-f]{8,16})\] \((?<type>[^()]+)\)\s*$/i
/** `[mem 0x0000000000000000-0x000000000009fbff] usable`: inclusive; Linux since 3.5. */
const MEM = /\[mem 0x(?<start>[0-9a-f]{1,16})-0x(?<end>[0-9a-f]{1,16})\] (?<type>\S.*)/i
/** `usable 0x00000000-0x000fffff`: a list that somebody made; inclusive. */
const LIST =
  /^(?<type>usable|reserved|ACPI data|ACPI NVS|unusable) 0x(?<start>[0-9a-f]+)-0x(?<end>[0-9a-f]+)\s*$/i

/** The owner before the range. What Linux says about changing the map (`e820 remove range:`) has another one. */
const LABEL = /(?:^|\s)(BIOS-e820|Xen|user|modified):\s*$/
const HEADING = /(?<![\w-])([\w-]+) RAM map:\s*$/
/** The beginning of a range: where a map goes on, such a line has to be readable to its end. */
const RANGE_BEGINS = /^\s*(?:\[(?:mem )?(?:0x)?[0-9a-f]{4,}|[0-9a-f]{8,})/i
/** What stands before a range: the owner, or Xen's mark with its optional time. */
const BEFORE_RANGE = /^.*?(?:\(XEN\)(?:\s+\[\s*\d+\.\d+\])?|(?:^|\s)(?:BIOS-e820|Xen|user|modified):)/

/** A map of more kinds of memory than any firmware knows says nothing by naming them all. */
const MOST_NOTES = 16

const RANK: Readonly<Record<string, number>> = { 'BIOS-e820': 1, Xen: 2, user: 3, modified: 3 }

/** Finds every memory map in a log as pasted, whatever stands before the ranges. Throws for a range cut short. */
export function parseMapLog(text: string, fileName: string): LogFacts {
  const maps: LogMap[] = []
  let heading: string | null = null
  let open: LogMap | null = null
  let lastLine = 0
  const all = text.split(/\r?\n/)
  for (const [index, line] of all.entries()) {
    const number = index + 1
    const found = readLine(line)
    if (!found) {
      const title = HEADING.exec(line)?.[1]
      if (title !== undefined) {
        // `physical` is the last word of Linux's headings; its lines carry labels of their own.
        heading = title === 'physical' ? null : `${title} RAM map`
        open = null
      } else if (open && number === lastLine + 1 && isCutShort(line)) {
        throw new BadInput(
          `${fileName}: line ${number}: cannot read the range "${line.trim()}"; is it cut short?`,
        )
      }
      continue
    }
    const title = titleOf(found, heading, line)
    if (title === null) continue
    const entry = { start: found.start, end: found.end, type: typeOf(found.type) ?? 'reserved' }
    // A log of two boots holds the map twice without a heading between when the heading scrolled away.
    if (!open || open.title !== title || open.entries[0].start === entry.start) {
      const rank: number = title === heading ? 0 : (RANK[title] ?? 4)
      open = { kind: rank < 2 ? 'host' : 'guest', title, rank, entries: [], lines: [], notes: [] }
      maps.push(open)
    }
    if (typeOf(found.type) === null) {
      const note = `${found.type} taken as reserved`
      if (open.notes.length < MOST_NOTES && !open.notes.includes(note)) open.notes.push(note)
    }
    open.entries.push(entry)
    open.lines.push(number)
    lastLine = number
  }
  return { maps, ...domainFacts(text) }
}

type Found = { head: string; start: number; end: number; type: string; list: boolean }

function readLine(line: string): Found | null {
  const half = OPEN.exec(line)
  const match = half ?? CLOSED.exec(line) ?? MEM.exec(line) ?? LIST.exec(line)
  if (!match?.groups) return null
  const { start, end, type } = match.groups
  const last = Number.parseInt(end, 16)
  return {
    head: line.slice(line.lastIndexOf('\r', match.index) + 1, match.index),
    start: Number.parseInt(start, 16),
    end: half ? last : last + 1,
    type: type.trim(),
    list: LIST.test(line),
  }
}

function titleOf(found: Found, heading: string | null, line: string): string | null {
  if (found.list) return 'list of ranges'
  const label = LABEL.exec(found.head)?.[1]
  if (label) return label
  // The hypervisor's lines have no label: only its own heading says what they are.
  const bare = found.head.trim() === '' || line.includes('(XEN)')
  return bare ? heading : null
}

function isCutShort(line: string): boolean {
  return RANGE_BEGINS.test(line.replace(BEFORE_RANGE, ''))
}

function typeOf(word: string): E820Type | null {
  return (Object.keys(E820) as E820Type[]).find((type) => type.toLowerCase() === word.toLowerCase()) ?? null
}

/** The domain builder's lines: eight bytes of the p2m list a frame, and the end of the initial mapping. */
function domainFacts(text: string): { nrPages?: number; vEnd?: number } {
  const p2m = /Phys-Mach map:\s+([0-9a-f]+)->([0-9a-f]+)/.exec(text)
  const total = /TOTAL:\s+([0-9a-f]+)->([0-9a-f]+)/.exec(text)
  return {
    ...(p2m ? { nrPages: Math.floor(difference(p2m[1], p2m[2]) / 8) } : {}),
    ...(total ? { vEnd: difference(total[1], total[2]) } : {}),
  }
}

/** Virtual addresses of the kernel do not fit a number, their distance does. */
function difference(from: string, to: string): number {
  return Number(BigInt(`0x${to}`) - BigInt(`0x${from}`))
}
