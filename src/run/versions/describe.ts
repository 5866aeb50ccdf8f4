import { HOLES } from '../../xen/versions/holes.ts'
import { DEFAULT_XEN, releaseName, versions, xenVersion } from '../../xen/versions/index.ts'
import type { XenVersion } from '../../xen/versions/version.ts'
import {
  type FieldDifference,
  fieldDifferences,
  type MessageDifferences,
  messageDifferences,
  versionBefore,
} from './differences.ts'

export type { FieldDifference, MessageDifferences }

/** A hole that a version has open by itself. */
export type OpenHole = {
  readonly advisory: string
  readonly title: string
  /** The first release of each series that has it mended. */
  readonly fixedIn: readonly string[]
}

/** A version of Xen as `xenolith versions` tells of it. */
export type VersionDescription = {
  /** What `--xen` takes. */
  readonly name: string
  /** As it tells a guest: `4.17.7`. */
  readonly release: string
  readonly build: 'debug' | 'release'
  /** The first series whose logs and recordings are taken for it. */
  readonly standsFrom: string
  /** Whether it is what is taken where nobody says which: for model kernels, for everything else. */
  readonly defaultOf: readonly ('models' | 'others')[]
  readonly holes: readonly OpenHole[]
  /** What differs from the version before; null for the first. */
  readonly since: {
    readonly name: string
    readonly fields: readonly FieldDifference[]
    readonly messages: MessageDifferences
  } | null
}

/** All versions, in the order in which they came, or the one of a name. Throws BadInput for a name that there is not. */
export function describeVersions(name?: string): VersionDescription[] {
  return (name === undefined ? versions : [xenVersion(name)]).map(describe)
}

function describe(version: XenVersion): VersionDescription {
  const before = versionBefore(version)
  const { name, standsFrom, messages, holes } = version
  return {
    name,
    release: releaseName(version),
    build: messages.build,
    standsFrom: standsFrom.join('.'),
    defaultOf: (
      [
        ['models', DEFAULT_XEN.model],
        ['others', DEFAULT_XEN.others],
      ] as const
    ).flatMap(([of, its]) => (its === name ? [of] : [])),
    holes: HOLES.filter(({ advisory }) => holes.includes(advisory)).map(({ advisory, title, fixedIn }) => ({
      advisory,
      title,
      fixedIn,
    })),
    since:
      before === null
        ? null
        : {
            name: before.name,
            fields: fieldDifferences(before, version),
            messages: messageDifferences(before, version),
          },
  }
}
