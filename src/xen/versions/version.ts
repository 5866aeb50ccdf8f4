import type { Abi } from './abi.ts'
import type { Errnos } from './errnos.ts'
import type { Messages } from './messages.ts'
import type { Rules } from './rules.ts'
import type { Words } from './words.ts'

/** A series of releases: 4.17. */
export type Release = readonly [major: number, minor: number]

/**
 * One version of Xen, as a record of what it does differently. Nothing outside of this folder asks for its name: the code
 * reads the field that says what it needs to know. A version is a file here and a line in index.ts, mostly made from
 * another: `{ ...xen417, name: '4.18', rules: { ...xen417.rules, … } }`.
 */
export type XenVersion = {
  /** What `--xen` takes. */
  readonly name: string
  /** Releases from this one on, up to the next version's, are taken for this one where a log or a recording names them. */
  readonly standsFrom: Release
  /** What the crash dump's banner says between the dashes. */
  readonly banner: string
  readonly rules: Rules
  readonly errnos: Errnos
  readonly abi: Abi
  readonly words: Words
  readonly messages: Messages
  /** The holes of the past that are open: advisories of holes.ts. The rules say what that means. */
  readonly holes: readonly string[]
}
