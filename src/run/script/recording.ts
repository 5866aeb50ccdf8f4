import * as v from 'valibot'
import { BadInput } from '../../bits/bad-input.ts'
import { checked, listOf, text, whole } from '../../files/checked.ts'

/** Frames of the largest machine that recordings are of: 256 MiB. */
const MOST_FRAMES = 2 ** 16

const Frame = v.pipe(v.string(), v.regex(/^[0-9a-f]{1,10}$/, 'a frame is hex digits, ten at most'))

const FrameRunForm = v.pipe(
  v.tuple([
    whole(0, MOST_FRAMES),
    whole(1, 2 ** 28),
    whole(1, MOST_FRAMES),
    v.pipe(
      v.number(),
      v.check((step) => Math.abs(step) === 1, '1 or -1 is needed'),
    ),
  ]),
  v.readonly(),
)

/** What a recording's first line says. It may say more, of the machine that it was made on. */
const HeaderForm = v.looseObject({
  domain: v.exactOptional(v.string()),
  /** The build: `debug` or `release`. */
  xen: v.exactOptional(v.string()),
  /** The hypervisor's version, as in `4.14.6`. */
  version: v.exactOptional(text(64)),
  status: v.exactOptional(v.string()),
  /** The build whose frames these are, when it is not the one whose results are. */
  frames: v.exactOptional(v.literal('debug')),
  syms: v.record(text(64), v.looseObject({ mfn: Frame, pfn: v.union([v.literal('-'), Frame]) })),
  /** All frames of the domain, in recordings that say so. */
  p2m: v.exactOptional(
    v.pipe(
      listOf(FrameRunForm, MOST_FRAMES),
      v.check(
        (runs) => runs.reduce((sum, [, , count]) => sum + count, 0) <= MOST_FRAMES,
        'more frames than its machine has',
      ),
    ),
  ),
})

const Words = v.exactOptional(v.record(text(64), v.string()))

/** A line of a recording, as docs/script.md has it. */
const LineForm = v.looseObject({
  op: v.string(),
  rc: v.exactOptional(v.number()),
  done: v.exactOptional(v.nullable(v.number())),
  back: v.exactOptional(v.literal('syscall')),
  fault: v.exactOptional(v.string()),
  cr2: v.exactOptional(v.string()),
  val: v.exactOptional(v.string()),
  raw: v.exactOptional(v.string()),
  sym: v.exactOptional(v.record(text(64), v.pipe(v.string(), v.regex(/^[0-9a-f]{1,10}(=|$)/)))),
  info: Words,
  log: v.exactOptional(v.array(v.string())),
  dump: Words,
  err: v.exactOptional(v.string()),
  crash: v.exactOptional(v.literal(1)),
  trap: v.exactOptional(v.string()),
})

/** A recording of a script: what its first line and its other lines say. */
export type Recording = {
  readonly header: v.InferOutput<typeof HeaderForm>
  readonly lines: readonly v.InferOutput<typeof LineForm>[]
}

/** The recording in a text: JSON lines, the first one a header. Throws BadInput for what is none. */
export function parseRecording(text: string, source = 'recording'): Recording {
  const rows = text
    .trim()
    .split('\n')
    .map((line, i) => {
      try {
        return JSON.parse(line) as unknown
      } catch {
        throw new BadInput(`${source}:${i + 1}: not a line of JSON; a recording has one object a line`)
      }
    })
  const [header, ...lines] = rows
  return recordingOf(header, lines, (n) => `${source}:${n}: no recording`)
}

/**
 * A recording in a trace's header, as `Recording` has it. Throws BadInput for what is none.
 *
 * @param what names it in messages
 */
export function checkRecording(value: unknown, what: string): Recording {
  const schema = v.strictObject({ header: v.unknown(), lines: v.array(v.unknown()) })
  const { header, lines } = checked({ value, schema, what })
  return recordingOf(header, lines, (n) => `${what}, line ${n}`)
}

function recordingOf(header: unknown, lines: readonly unknown[], what: (line: number) => string): Recording {
  return {
    header: checked({ value: header, schema: HeaderForm, what: what(1) }),
    lines: lines.map((line, i) => checked({ value: line, schema: LineForm, what: what(i + 2) })),
  }
}
