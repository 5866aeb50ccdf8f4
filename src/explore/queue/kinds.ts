import type * as v from 'valibot'

/** What peers may say of a kind of jobs. */
export type Border = {
  /** What its pieces have in common. */
  readonly spec: v.GenericSchema
  /** How many pieces a job of that spec has. */
  pieces(spec: never): number
  /** What a result of a piece of that job must be, in shape and in number. */
  result(spec: never, piece: number): v.GenericSchema
}

/** The kinds of jobs that go through a queue. A new one is a module that exports a `border`, and a line here. */
const KINDS: Readonly<Record<string, () => Promise<{ readonly border: Border }>>> = {
  sweep: () => import('../sweep/border.ts'),
  walks: () => import('../search/border.ts'),
}

/** The border of a kind; null for one that goes through no queue. */
export async function borderOf(kind: string): Promise<Border | null> {
  const load = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  return load === undefined ? null : (await load()).border
}
