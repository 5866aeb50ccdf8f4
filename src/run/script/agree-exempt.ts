import type { TranscriptLine } from '../../script/transcript.ts'
import type { Recording } from './script.ts'

/** A difference, and what surrounds it. Maps go by the names of pages and hold their words as last shown. */
export type DifferenceContext = {
  readonly recording: Recording
  readonly line: TranscriptLine
  readonly ours: TranscriptLine
  /** The fields in which they differ. */
  readonly fields: readonly string[]
  readonly wordsOfXen: ReadonlyMap<string, string>
  readonly wordsOfOurs: ReadonlyMap<string, string>
  readonly memory: RecordingMemory
}

/** What earlier differences of one recording and its operations have left behind. */
export type RecordingMemory = {
  /** Pages that keep a reference which a preempted promotion took. */
  readonly kept: Set<string>
  /** Pages with a frame out of the heap that the guest has not written yet. */
  readonly unwritten: Set<string>
  /** Xen had not come to the end of an undo: what follows depends on it. */
  undoUnderWay: boolean
  /** Xen mapped a frame that the recording does not say dom0 had. */
  strangeFrame: boolean
}

/** A kind of difference that says nothing about the rules. */
export type Exemption = {
  readonly name: string
  /** Why no model can have it. */
  readonly because: string
  readonly covers: (context: DifferenceContext) => boolean
}

/** Operations that can make Xen validate a table. */
const PROMOTES = /^(pin[1-4]|baseptr|ubaseptr|mmu|uvm|set|cas|xchg|or)\b/

const preemptedLine: Exemption = {
  name: 'preempted promotion',
  because:
    'A timer interrupt in the middle of a promotion makes Xen put it off; the table then holds one reference more, which shows in the caf of the line that says why it failed. When the timer fires is no rule of Xen.',
  covers: ({ line, ours, fields }) =>
    only(fields, 'log') && differByReference(ours.log ?? [], line.log ?? []),
}

/**
 * Whether two logs differ in nothing but counts that are higher in Xen's: by as many as a promotion was put off, once or
 * twice, of a table that failed beyond slot 0 and of those above it.
 */
function differByReference(ours: readonly string[], xens: readonly string[]): boolean {
  let below = false
  return (
    ours.length === xens.length &&
    xens.every((text, i) => {
      if (text === ours[i]) return true
      const failure = /slot (0x[0-9a-f]+|0)$/.exec(xens[i - 1] ?? '')
      if (failure === null || (failure[1] === '0' && !below)) return false
      below = true
      const [a, b] = [/caf=([0-9a-f]+)/.exec(ours[i]), /caf=([0-9a-f]+)/.exec(text)]
      return (
        a !== null &&
        b !== null &&
        ours[i].replace(a[0], b[0]) === text &&
        [1n, 2n].includes(BigInt(`0x${b[1]}`) - BigInt(`0x${a[1]}`))
      )
    })
  )
}

const preemptedReference: Exemption = {
  name: 'reference of a preempted promotion',
  because:
    'The same in recordings without diagnostics: now and then the reference that the preempted promotion took stays with the table that failed.',
  covers: ({ line, fields, wordsOfXen, wordsOfOurs, memory }) => {
    if (!only(fields, 'info')) return false
    const fresh = line.rc !== undefined && line.rc < 0 && PROMOTES.test(line.op)
    const pages = [...wordsOfXen.keys()].filter((page) => wordsOfXen.get(page) !== wordsOfOurs.get(page))
    const explained = pages.every((page) => {
      const one = oneMore(wordsOfOurs.get(page), wordsOfXen.get(page))
      return one && (memory.kept.has(page) || fresh)
    })
    if (explained) for (const page of pages) memory.kept.add(page)
    return explained
  },
}

/** Whether Xen counts one reference more than we do, and all else is the same. */
function oneMore(ours: string | undefined, xens: string | undefined): boolean {
  const [a, b] = [ours, xens].map((words) => /^([0-9a-f]{16})\/([0-9a-f]{16})$/.exec(words ?? ''))
  if (a === null || b === null || a === undefined || b === undefined) return false
  return a[2] === b[2] && BigInt(`0x${b[1]}`) === BigInt(`0x${a[1]}`) + 1n
}

/** The bit of 4.17's type word that says that a table is validated in part. */
const PARTIAL = 1n << 56n

const undoUnderWay: Exemption = {
  name: 'an undo that is not over',
  because:
    'Xen puts the undo of a refused request off where it is long, and the words of a table may then show it under way; the machine undoes everything at once. What follows is not comparable.',
  covers: ({ line, ours, fields, wordsOfXen, wordsOfOurs, memory }) => {
    if (memory.undoUnderWay) return true
    if (!only(fields, 'info') || line.rc === undefined || line.rc >= 0 || line.rc !== ours.rc) return false
    const isPartial = (words: string | undefined): boolean => {
      const taf = /^[0-9a-f]{16}\/([0-9a-f]{16})$/.exec(words ?? '')?.[1]
      return taf !== undefined && (BigInt(`0x${taf}`) & PARTIAL) !== 0n
    }
    memory.undoUnderWay = Object.keys(line.info ?? {}).some(
      (page) => isPartial(wordsOfXen.get(page)) && !isPartial(wordsOfOurs.get(page)),
    )
    return memory.undoUnderWay
  },
}

const strangeFrame: Exemption = {
  name: 'a frame of which the recording does not tell',
  because:
    'In dom0 seed 129 a random entry names a frame that the recorded debug build let dom0 map and the release build did not; it has no name in the recording. The counts of the page that was mapped there before differ from then on.',
  covers: ({ line, ours, fields, memory }) => {
    const refused = ours.log?.some((text) => text.endsWith('real_pg_owner d-1')) ?? false
    const unnamed = ours.log?.some((text) => /Error getting mfn [0-9a-f]/.test(text)) ?? false
    if (refused && unnamed && line.rc === 0 && ours.rc !== 0) memory.strangeFrame = true
    else if (!memory.strangeFrame || !only(fields, 'info')) return false
    return true
  },
}

const sharedInfo: Exemption = {
  name: 'bytes copied from shared_info',
  because:
    'Time and wall clock of the recorded machine, which a guest may copy out of the page that Xen shares with it.',
  covers: ({ line, ours, fields }) =>
    only(fields, 'dump') &&
    differingKeys(ours.dump ?? {}, line.dump ?? {}).every((key) => {
      const [, page, slot] = /^(.*)\[(\d+)\]$/.exec(key) ?? []
      // Every vCPU's part of it starts with the mask of its events.
      const isShared = [8, 16, 24].every((n) => line.dump?.[`${page}[${n}]`] === '0x100')
      return isShared && (Number(slot) < 8 || Number(slot) >= 256)
    }),
}

const unwritten: Exemption = {
  name: 'contents of a heap frame',
  because: 'What a frame out of the heap holds before the guest writes it is what its last user left.',
  covers: ({ line, ours, fields, memory }) => {
    const page = /^get \$?@?(\w+)/.exec(line.op)?.[1]
    if (fields.every((field) => field === 'val' || field === 'raw')) return memory.unwritten.has(page ?? '')
    return (
      only(fields, 'dump') &&
      differingKeys(ours.dump ?? {}, line.dump ?? {}).every((key) =>
        memory.unwritten.has(key.replace(/\[.*/, '')),
      )
    )
  },
}

const crashText: Exemption = {
  name: 'text addresses of Xen',
  because: "Where a build of Xen has its own code shows in a crash's lines.",
  covers: ({ line, ours, fields }) =>
    only(fields, 'log') && withoutText(ours.log ?? []) === withoutText(line.log ?? []),
}

function withoutText(lines: readonly string[]): string {
  return lines.join('\n').replace(/ffff82d0[0-9a-f]{8} \S+/g, 'text')
}

function only(fields: readonly string[], field: string): boolean {
  return fields.length === 1 && fields[0] === field
}

function differingKeys(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key])
}

/** All exemptions, tried in this order. Whatever none of them covers is a difference. */
const otherBuildsFrame: Exemption = {
  name: 'frame of the other build',
  because:
    'An entry that the guest overwrote in part keeps the rest of a frame number. A recording of both builds gives the frames of the debug build only.',
  covers: ({ recording, line, ours, fields }) =>
    recording.header.frames === 'debug' &&
    only(fields, 'dump') &&
    Object.entries({ ...line.dump, ...ours.dump }).every(([slot]) => {
      const [a, b] = [ours.dump?.[slot] ?? '', line.dump?.[slot] ?? '']
      return a === b || (isNumber(a) && isNumber(b) && ((BigInt(a) ^ BigInt(b)) & ~MFN_BITS) === 0n)
    }),
}

/** Where an entry holds the number of its frame. */
const MFN_BITS = 0x000f_ffff_ffff_f000n

function isNumber(value: string): boolean {
  return /^0x[0-9a-f]+$/.test(value)
}

export const EXEMPTIONS: readonly Exemption[] = [
  preemptedLine,
  preemptedReference,
  undoUnderWay,
  strangeFrame,
  sharedInfo,
  unwritten,
  crashText,
  otherBuildsFrame,
]
