import type { TypeLayout } from '../../bits/type-word.ts'

/** How the words of a frame read, which a guest sees in messages only. */
export type Words = {
  /** Layout of the type word: bits/type-word.ts. */
  readonly type: TypeLayout
  /** Count word of a free frame, and the lower 56 bits of its type word. */
  readonly freeCount: string
  readonly freeType: string
  /** Count and type word of a free frame that has to be scrubbed, where that is done later and not at once. */
  readonly unscrubbed: readonly [caf: string, taf: string] | null
}
