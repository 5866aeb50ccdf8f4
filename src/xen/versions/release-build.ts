import type { Messages } from './messages.ts'
import type { XenVersion } from './version.ts'

/**
 * A version as distributions ship it, built without CONFIG_DEBUG: no diagnostics, messages about guests limited, arguments
 * of hypercalls left as they are, and bit 62 of an entry, which marks granted pages in debug builds, allowed.
 *
 * @param own what the release build has of its own: its banner, and where its code lies
 */
export function asReleaseBuild(
  version: XenVersion,
  own: { readonly banner: string; readonly messages: Partial<Messages> },
): XenVersion {
  const { rules, abi, messages } = version
  return {
    ...version,
    name: `${version.name}-release`,
    banner: own.banner,
    rules: { ...rules, badFlags: { ...rules.badFlags, l1: 0x98, l1Devices: 0 }, dom0FramesBackwards: false },
    abi: { ...abi, clobber: null },
    messages: { ...messages, build: 'release', guestLog: { always: 0, limited: 2 }, ...own.messages },
  }
}
