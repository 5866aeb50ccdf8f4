import type { TraceEvent } from './events.ts'

/** Kinds of events by the number that the log has for them. */
export const EVENT_KINDS = ['console', 'op', 'hypercall', 'type', 'fill', 'ptwr', 'fault', 'linux'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

const CODE = Object.fromEntries(EVENT_KINDS.map((kind, code) => [kind, code])) as Record<EventKind, number>

/**
 * The columns of a log, one element an event: what can be handed from a worker to a page without a copy. What a column
 * means depends on the kind:
 *
 *     kind        word                 frame      slot   extra      va    lo, hi   result
 *     hypercall   name of the request  table/mfn  slot   command    va    entry    rc
 *     type        from                 mfn               to
 *     fill                             table      first  how many         first
 *     ptwr                             table      slot   refused          entry
 *     fault                                              error      va
 *     others      place in `whole`
 */
export type EventColumns = {
  length: number
  kind: Uint8Array
  word: Uint32Array
  frame: Float64Array
  slot: Uint16Array
  extra: Uint16Array
  va: Float64Array
  lo: Uint32Array
  hi: Uint32Array
  result: Int16Array
  /** Names that events share. */
  words: (string | number)[]
  /** Events that are kept as they are: lines, and what the kernel says of itself. */
  whole: TraceEvent[]
}

const FIRST_SIZE = 1 << 14

/** An empty log. */
export function newEventColumns(size = FIRST_SIZE): EventColumns {
  return {
    length: 0,
    kind: new Uint8Array(size),
    word: new Uint32Array(size),
    frame: new Float64Array(size),
    slot: new Uint16Array(size),
    extra: new Uint16Array(size),
    va: new Float64Array(size),
    lo: new Uint32Array(size),
    hi: new Uint32Array(size),
    result: new Int16Array(size),
    words: [],
    whole: [],
  }
}

/** A column of twice the size with the same beginning. */
export function grown<T extends Uint8Array | Uint16Array | Int16Array | Uint32Array | Float64Array>(
  column: T,
): T {
  const Column = column.constructor as new (size: number) => T
  const larger = new Column(Math.max(1, column.length * 2))
  larger.set(column)
  return larger
}

/** Events on their way into columns: a traced run of a million events takes 35 MB, and no object an event. */
export class EventLog {
  readonly columns = newEventColumns()
  private readonly places = new Map<string | number, number>()

  /** Add an event; the first is number 1, as in a trace. */
  add(event: TraceEvent): void {
    const c = this.columns
    if (c.length === c.kind.length) this.grow()
    const i = c.length++
    c.kind[i] = CODE[event.kind]
    switch (event.kind) {
      case 'fill':
        c.frame[i] = event.table
        c.slot[i] = event.slot
        c.extra[i] = event.count
        c.lo[i] = event.lo
        c.hi[i] = event.hi
        break
      case 'type':
        c.frame[i] = event.mfn
        c.word[i] = this.place(event.from)
        c.extra[i] = this.place(event.to)
        break
      case 'ptwr':
        c.frame[i] = event.table
        c.slot[i] = event.slot
        c.lo[i] = event.lo
        c.hi[i] = event.hi
        c.extra[i] = Number(event.refused)
        break
      case 'fault':
        c.va[i] = event.va
        c.extra[i] = event.error
        break
      case 'hypercall':
        c.word[i] = this.place(event.name)
        c.result[i] = event.rc
        this.addArguments(i, event.args)
        break
      default:
        c.word[i] = c.whole.push(event) - 1
    }
  }

  private addArguments(i: number, args: Record<string, unknown>): void {
    const c = this.columns
    const { table, slot, command, va, lo, hi, mfn } = args as Record<string, number | undefined>
    if (table !== undefined || mfn !== undefined) c.frame[i] = (table ?? mfn) as number
    else c.frame[i] = NONE
    if (slot !== undefined) c.slot[i] = slot
    if (lo !== undefined) c.lo[i] = lo
    if (hi !== undefined) c.hi[i] = hi
    c.va[i] = va ?? NONE
    c.extra[i] = command === undefined ? NO_COMMAND : this.place(command)
  }

  private place(word: string | number): number {
    const known = this.places.get(word)
    if (known !== undefined) return known
    const place = this.columns.words.push(word) - 1
    this.places.set(word, place)
    return place
  }

  private grow(): void {
    const c = this.columns
    c.kind = grown(c.kind)
    c.word = grown(c.word)
    c.frame = grown(c.frame)
    c.slot = grown(c.slot)
    c.extra = grown(c.extra)
    c.va = grown(c.va)
    c.lo = grown(c.lo)
    c.hi = grown(c.hi)
    c.result = grown(c.result)
  }
}

/** No frame and no address; -1 is what an event says of a table that is not there. */
const NONE = -2
const NO_COMMAND = 0xffff

/** The kind of event number `n`, from 1. */
export function kindAt(c: EventColumns, n: number): EventKind {
  return EVENT_KINDS[c.kind[n - 1]]
}

/** Event number `n`, from 1, as it was added. */
export function eventAt(c: EventColumns, n: number): TraceEvent {
  const i = n - 1
  const kind = EVENT_KINDS[c.kind[i]]
  const entry = { lo: c.lo[i], hi: c.hi[i] }
  switch (kind) {
    case 'fill':
      return { kind, table: c.frame[i], slot: c.slot[i], count: c.extra[i], ...entry }
    case 'type':
      return { kind, mfn: c.frame[i], from: String(c.words[c.word[i]]), to: String(c.words[c.extra[i]]) }
    case 'ptwr':
      return { kind, table: c.frame[i], slot: c.slot[i], ...entry, refused: c.extra[i] !== 0 }
    case 'fault':
      return { kind, va: c.va[i], error: c.extra[i] }
    case 'hypercall':
      return { kind, name: String(c.words[c.word[i]]), rc: c.result[i], args: argumentsAt(c, i) }
    default:
      return c.whole[c.word[i]]
  }
}

/** In the order in which the rules give them, which a trace file keeps. */
function argumentsAt(c: EventColumns, i: number): Record<string, unknown> {
  const frame = c.frame[i]
  const command = c.extra[i] === NO_COMMAND ? undefined : c.words[c.extra[i]]
  if (frame === NONE) return {}
  if (c.va[i] !== NONE) return { va: c.va[i], table: frame, slot: c.slot[i], lo: c.lo[i], hi: c.hi[i] }
  if (c.words[c.word[i]] === 'mmuext_op') return { command, mfn: frame }
  return { table: frame, slot: c.slot[i], command, lo: c.lo[i], hi: c.hi[i] }
}
