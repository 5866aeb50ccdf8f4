import type { Report } from '../../src/explain/report/report.ts'
import type { TypeWordField } from '../../src/run/ask/type-word-fields.ts'
import type { WhoResult } from '../../src/run/ask/who.ts'
import type { RawBootOptions } from '../../src/run/boot/boot-options.ts'
import type { FilmData } from '../../src/run/film/film.ts'

/** What a machine is made of, as it is typed: the options of `xenolith boot`. */
export type MachineOptions = RawBootOptions

/** A memory map that can be chosen. */
export type MapChoice = {
  readonly name: string
  readonly kind: 'host' | 'guest'
  readonly ramBytes: number
  readonly nrPages: number | null
  readonly vEnd: number | null
}

export type Catalogue = {
  readonly maps: readonly MapChoice[]
  readonly generations: readonly { readonly name: string; readonly kernels: string }[]
  readonly xens: readonly string[]
}

/** A frame at an event: who holds it, and its type word taken apart. */
export type FrameAnswer = { readonly who: WhoResult; readonly fields: readonly TypeWordField[] }

/** What the page asks of the worker, and what it gets: the one list of both. */
export type Requests = {
  catalogue: { ask: Record<never, never>; answer: Catalogue }
  film: { ask: { options: MachineOptions }; answer: FilmData }
  who: { ask: { options: MachineOptions; frame: string; event: number }; answer: FrameAnswer }
  account: { ask: { options: MachineOptions }; answer: readonly string[] }
  trace: { ask: { options: MachineOptions }; answer: Blob }
  explain: { ask: { text: string; name: string | null; boot: boolean }; answer: Report }
  /** The options of a machine that a log tells of, with the command that boots it; or of a map file alone. */
  machine: { ask: { text: string; name: string; command: string | null }; answer: MachineOptions }
}

export type RequestKind = keyof Requests
export type Ask<K extends RequestKind = RequestKind> = {
  [Kind in K]: { id: number; kind: Kind } & Requests[Kind]['ask']
}[K]

export type Reply =
  | { id: number; type: 'answer'; answer: Requests[RequestKind]['answer'] }
  | { id: number; type: 'progress'; part: number }
  /** `bad` is the user's error, in one line; anything else is ours. */
  | { id: number; type: 'error'; message: string; bad: boolean }
