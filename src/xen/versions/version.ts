import { BadInput, nearest } from '../../bits/bad-input.ts'
import { type TypeLayout, typeLayout } from '../../bits/type-word.ts'
import type { GuestLog } from '../console/guest-log.ts'
import type { MessageSource } from '../console/messages.ts'

/**
 * One version of Xen as a record of named differences. The rules read the fields, never the name; a version in between
 * is another value of this type.
 */
export type XenVersion = {
  readonly name: string
  /** What the crash dump's banner says between the dashes. */
  readonly banner: string
  readonly typeLayout: TypeLayout
  /** Whose messages are printed, and whether with the first or the last line of a statement. */
  readonly messages: MessageSource
  readonly messageLine: 'first' | 'last'
  /** Debug builds print the mm.c diagnostics; from 4.6 on, release builds do not (28fbff96c1). */
  readonly diagnostics: boolean
  /** Which messages about guests are printed when nobody has said otherwise on Xen's command line. */
  readonly guestLog: GuestLog
  /** How a line names whose hypercall it is about: `d0`, or `d0v0` from 4.5 on. */
  readonly namesVcpu: boolean
  /** Flags that an entry of a level may not have, in Xen's fold: L1 of an ordinary domain, L1 of one with devices, L2.. */
  readonly badFlags: {
    readonly l1: number
    readonly l1Devices: number
    readonly l2: number
    readonly l3: number
    readonly l4: number
  }
  /** Which flags of L1, and of L2 to L4, must stay for an update to skip the reference counting. In Xen's fold. */
  readonly fastPath: { readonly l1: number; readonly upper: number }
  /** An update adjusts the flags before it compares (4.17), or after the references are taken (seed). */
  readonly adjustFirst: boolean
  /** The accessed bit is added to L4 entries. */
  readonly l4Accessed: boolean
  /** A failed promotion at a slot above 0 of an L2 to L4 leaves `type, count 0` instead of type 0. */
  readonly failedPromotionKeepsType: boolean
  /** Same-level page-table references are counted, so that chains are no longer than one (XSA-240). */
  readonly linearCounted: boolean
  /** A change of an L2 to L4 flushes what the CPU has cached of Xen's linear map of the tables (XSA-286). */
  readonly flushesLinearMap: boolean
  /** PSE is accepted at L2 where superpages are allowed; otherwise it is a disallowed flag. */
  readonly superpages: boolean
  /** Cache attributes are tracked per frame (seed), or refused on Xen's own pages only (4.17). */
  readonly tracksCacheAttributes: boolean
  /** A writable mapping with write combining marks its frame, whose cache may then differ from memory (XSA-402). */
  readonly marksNonCoherent: boolean
  /** Xen turns cached mappings of devices into uncached ones (XSA-154). */
  readonly mmioUncached: boolean
  /** Freeing a pinned frame unpins it (before XSA-252). */
  readonly freeUnpins: boolean
  /** The first page of an LDT is taken when the LDT is set, not when it is first used. */
  readonly eagerLdt: boolean
  /** Unmapping a page of descriptors anywhere drops the domain's LDT. */
  readonly unmapDropsLdt: boolean
  /** mmuext_op about another domain's frames is refused where an operation is about the caller itself. */
  readonly ownOperations: boolean
  /** A selector beyond the end of the LDT is refused before its page is looked at (XSA-298). */
  readonly checksLdtLimit: boolean
  /** A multicall ends when one of its calls has left for user mode (XSA-213). */
  readonly multicallEndsInUserMode: boolean
  /** The holes of the past that are open: advisories of src/xen/versions/holes.ts. The fields say what that means. */
  readonly holes: readonly string[]
  /** A stolen frame forgets its type (XSA-214). */
  readonly stealClearsType: boolean
  /** Error numbers that changed. */
  readonly newBaseptrReturnsCode: boolean
  /** What a hypercall leaves in the argument registers that it used; debug builds only. */
  readonly clobber: readonly [lo: number, hi: number] | null
  /** A domU may write to Xen's console. */
  readonly consoleForAll: boolean
  /** The M2P is mapped by an L4 when it is validated, or when it is first used as a root. */
  readonly m2pOnPromotion: boolean
  /** Slot 258 (the linear map) and 260 carry NX. */
  readonly xenSlotsNx: boolean
  /** dom0 may map no device beyond the addresses that the CPU has. */
  readonly denysUnaddressable: boolean
  /** Count word of a free frame, and the lower 56 bits of its type word, as printed. */
  readonly freeCount: string
  readonly freeType: string
  /** Count and type word of a free frame that has to be scrubbed, where that is done later and not at once. */
  readonly unscrubbed: readonly [caf: string, taf: string] | null
  /** Text address, low half, of the first label at which 4.17 says that a frame could not be pushed; 0: it says nothing. */
  readonly pushFaults: number
  /** What `domain_crash_sync called from entry.S` adds. */
  readonly entryFault: string
  /** The last line of dom0's crash. */
  readonly dom0Crashed: string
}

/** xen-unstable of April 2011, the build that printed the seed's log. */
export const SEED: XenVersion = {
  name: 'seed',
  banner: 'Xen-4.2-unstable  x86_64  debug=y  Not tainted',
  typeLayout: typeLayout('4.0'),
  messages: 'seed',
  messageLine: 'last',
  diagnostics: true,
  guestLog: { always: 4, limited: 4 },
  namesVcpu: false,
  badFlags: { l1: 0x400098, l1Devices: 0x400000, l2: 0x118, l3: 0x198, l4: 0x198 },
  fastPath: { l1: 0x003, upper: 0x001 },
  adjustFirst: false,
  l4Accessed: false,
  failedPromotionKeepsType: false,
  linearCounted: false,
  flushesLinearMap: false,
  superpages: true,
  tracksCacheAttributes: true,
  marksNonCoherent: false,
  mmioUncached: false,
  freeUnpins: true,
  eagerLdt: true,
  unmapDropsLdt: true,
  ownOperations: false,
  checksLdtLimit: false,
  multicallEndsInUserMode: false,
  holes: ['148', '154', '182', '213', '240', '286', '298'],
  stealClearsType: false,
  newBaseptrReturnsCode: false,
  clobber: [0xdeadbeef, 0],
  consoleForAll: true,
  m2pOnPromotion: true,
  xenSlotsNx: false,
  denysUnaddressable: false,
  freeCount: '180000000000000',
  freeType: '00000000000001',
  unscrubbed: null,
  pushFaults: 0,
  entryFault: '',
  dom0Crashed: 'Domain 0 crashed: rebooting machine in 5 seconds.',
}

/** Flags whose change needs no recount in 4.17: NX, bits 52..62, AVAIL, G, D, A, US. */
const WHITELIST_417 = 0xfffe00 | 0x100 | 0x040 | 0x020 | 0x004

/** Debian 12's Xen, as a debug build. */
export const XEN_417: XenVersion = {
  ...SEED,
  name: '4.17',
  banner: 'Xen-4.17.7  x86_64  debug=y  Not tainted',
  typeLayout: typeLayout('4.17'),
  messages: '4.17',
  messageLine: 'first',
  namesVcpu: true,
  badFlags: { l1: 0x400098, l1Devices: 0x400000, l2: 0x198, l3: 0x198, l4: 0x198 },
  fastPath: { l1: 0xffffff & ~WHITELIST_417, upper: 0xffffff & ~WHITELIST_417 },
  adjustFirst: true,
  l4Accessed: true,
  failedPromotionKeepsType: true,
  linearCounted: true,
  flushesLinearMap: true,
  superpages: false,
  tracksCacheAttributes: false,
  marksNonCoherent: true,
  mmioUncached: true,
  freeUnpins: false,
  eagerLdt: false,
  unmapDropsLdt: false,
  ownOperations: true,
  checksLdtLimit: true,
  multicallEndsInUserMode: true,
  holes: [],
  stealClearsType: true,
  newBaseptrReturnsCode: true,
  clobber: [0xdeadf00d, 0xdeadbeef],
  consoleForAll: false,
  m2pOnPromotion: false,
  xenSlotsNx: true,
  denysUnaddressable: true,
  freeCount: 'c00000000000000',
  freeType: '0000010007ffff',
  unscrubbed: ['8c00000000000000', '0000000000000000'],
  pushFaults: 0x403738d0,
  entryFault: ': fault at ffff82d040204b06 x86_64/entry.S#create_bounce_frame+0x15d/0x187',
  dom0Crashed: 'Hardware Dom0 crashed: rebooting machine in 5 seconds.',
}

/** The same as Debian ships it: a release build, which prints no diagnostics and clobbers no registers. */
export const XEN_417_RELEASE: XenVersion = {
  ...XEN_417,
  name: '4.17-release',
  banner: 'Xen-4.17.7  x86_64  debug=n  Not tainted',
  guestLog: { always: 0, limited: 2 },
  diagnostics: false,
  // Bit 62 marks granted pages in debug builds only.
  badFlags: { l1: 0x98, l1Devices: 0, l2: 0x198, l3: 0x198, l4: 0x198 },
  clobber: null,
  pushFaults: 0x403602d0,
  entryFault: ': fault at ffff82d040204b78 x86_64/entry.S#create_bounce_frame+0x14f/0x177',
}

const VERSIONS: readonly XenVersion[] = [SEED, XEN_417, XEN_417_RELEASE]

export function xenVersionNames(): string[] {
  return VERSIONS.map((v) => v.name)
}

/** The profile of a name. Throws BadInput for a name that there is not. */
export function xenVersion(name: string): XenVersion {
  const found = VERSIONS.find((v) => v.name === name)
  if (found !== undefined) return found
  const guess = nearest(name, xenVersionNames())
  throw new BadInput(
    `--xen ${name}: no such profile; ${guess ? `did you mean ${guess}? ` : ''}there are ${xenVersionNames().join(', ')}`,
  )
}
