import type { TranscriptLine } from '../../script/transcript.ts'
import { versionFor } from '../../xen/versions/index.ts'
import type { Release } from '../../xen/versions/version.ts'
import { EXEMPTIONS, type RecordingMemory } from './agree-exempt.ts'
import { type Recording, runScript, type ScriptOptions } from './script.ts'

/** A recorded line: what the debug build did, and in fuzz recordings where the release build differed. */
export type RecordedLine = TranscriptLine & {
  readonly n?: number
  readonly rlog?: string[]
  readonly release?: object
}

/** One operation on which the machine and the recording differ. */
export type Difference = {
  /** Number of the operation in the recording, from 1. */
  readonly n: number
  readonly op: string
  /** The fields that differ, as each side has them. */
  readonly ours: string
  readonly xens: string
  /** The rule that exempts it, or null. */
  readonly exempt: string | null
}

export type Agreement = {
  /** How the machine's run of the recorded lines ended. */
  readonly status: 'end' | 'crash' | 'die'
  readonly compared: number
  readonly byVerb: ReadonlyMap<string, { compared: number; agree: number; exempt: number }>
  readonly differences: readonly Difference[]
}

/** Lines of a script that are no operations on Xen. */
const NOT_COMPARED = new Set(['page', 'pages', 'echo', 'autoinfo', 'sym'])
const FIELDS = [
  'rc',
  'done',
  'calls',
  'back',
  'fault',
  'cr2',
  'val',
  'raw',
  'info',
  'log',
  'sym',
  'dump',
  'crash',
] as const

/** The script of a recording: its operations, one a line. */
export function scriptOf(recording: Recording): string {
  return recording.lines.map((line) => line.op).join('\n')
}

/**
 * What the release build did, out of a recording that tells of both: `release` holds the results where they were not
 * the debug build's, `rlog` the lines that it printed as well. A recording that names its build tells of that alone.
 */
export function asReleaseBuild(recording: Recording): Recording {
  if (recording.header.xen !== undefined) return recording
  const lines = (recording.lines as readonly RecordedLine[]).map(({ rlog, release, log: _, ...debug }) => ({
    ...(release === undefined ? debug : { ...release, op: debug.op }),
    ...(rlog === undefined ? {} : { log: rlog }),
  }))
  return { header: { ...recording.header, xen: 'release', frames: 'debug' }, lines }
}

/** Run the script of a recording on the machine, with the recording's frames, and compare what it recorded. */
export function agreeWith(recording: Recording, after?: ScriptOptions['after']): Agreement {
  const { header } = recording
  const result = runScript(scriptOf(recording), {
    xen: versionFor(releaseOf(header), header.xen === 'release' ? 'release' : 'debug').name,
    domain: isOfDomU(recording) ? 'domU' : 'dom0',
    frames: recording,
    ...(after === undefined ? {} : { after }),
  })
  return compareLines(recording, result.lines, result.header.status)
}

/** The first recordings were all of one release, and do not name it. */
const UNNAMED: Release = [4, 17]

function releaseOf({ version }: Recording['header']): Release {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? '') ?? []
  return major === undefined ? UNNAMED : [Number(major), Number(minor)]
}

/** Whether a recording is of a domU. */
export function isOfDomU({ header }: Recording): boolean {
  return header.domain === 'domU' || /flags=0x0 /.test(bootLine(header)) || isDomUByTables(header)
}

/** Compare the transcript of a run, however it came about, with a recording. */
export function compareLines(
  recording: Recording,
  lines: readonly TranscriptLine[],
  status: Agreement['status'],
): Agreement {
  const byVerb = new Map<string, { compared: number; agree: number; exempt: number }>()
  const differences: Difference[] = []
  const memory: RecordingMemory = {
    kept: new Set(),
    unwritten: new Set(),
    undoUnderWay: false,
    strangeFrame: false,
  }
  const wordsOfXen = new Map<string, string>()
  const wordsOfOurs = new Map<string, string>()
  let compared = 0
  recording.lines.forEach((line, i) => {
    const verb = line.op.split(/\s/)[0]
    if (NOT_COMPARED.has(verb)) return
    compared++
    const count = byVerb.get(verb) ?? { compared: 0, agree: 0, exempt: 0 }
    byVerb.set(verb, count)
    count.compared++
    const ours = lines[i] ?? { op: 'not reached' }
    remember(memory, line, verb)
    for (const [page, words] of Object.entries(line.info ?? {})) wordsOfXen.set(page, words)
    for (const [page, words] of Object.entries(ours.info ?? {})) wordsOfOurs.set(page, words)
    const fields = FIELDS.filter((field) => text(ours[field]) !== text(line[field]))
    // Where only the release build faulted, the address was not recorded.
    if (line.fault !== undefined && line.cr2 === undefined && fields.includes('cr2')) {
      fields.splice(fields.indexOf('cr2'), 1)
    }
    if ((ours.err === undefined) !== (line.err === undefined)) fields.push('err' as (typeof FIELDS)[number])
    if (fields.length === 0) {
      count.agree++
      return
    }
    const context = { recording, line, ours, fields, wordsOfXen, wordsOfOurs, memory }
    const rule = EXEMPTIONS.find((exemption) => exemption.covers(context))
    if (rule !== undefined) count.exempt++
    differences.push({
      n: i + 1,
      op: line.op,
      ours: shown(fields, ours, line),
      xens: shown(fields, line, ours),
      exempt: rule?.name ?? null,
    })
  })
  return { status, compared, byVerb, differences }
}

function bootLine(header: object): string {
  return 'boot' in header ? String(header.boot) : ''
}

/** Hand recordings do not say which domain they are of; a domU's tables are where its toolstack puts them. */
function isDomUByTables(header: Recording['header']): boolean {
  return header.syms.KL4?.pfn === '508'
}

/** Which pages have a frame that came out of the heap, and that nobody has cleared or overwritten since. */
function remember(memory: RecordingMemory, line: TranscriptLine, verb: string): void {
  for (const name of Object.keys(line.sym ?? {})) memory.unwritten.add(name)
  if ((verb === 'clear' || verb === 'copy') && line.rc === 0) memory.unwritten.delete(line.op.split(/\s+/)[1])
}

/** The fields in which one side differs from the other; of maps what differs in them. */
function shown(
  fields: readonly (typeof FIELDS)[number][],
  one: TranscriptLine,
  other: TranscriptLine,
): string {
  return fields.map((field) => `${field}=${text(withoutSame(one[field], other[field])) ?? 'none'}`).join(' ')
}

function withoutSame(one: unknown, other: unknown): unknown {
  if (!isMap(one) || !isMap(other)) return one
  return Object.fromEntries(Object.entries(one).filter(([key, value]) => other[key] !== value))
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field in one form: objects by sorted keys. */
function text(value: unknown): string | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value)
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))))
}
