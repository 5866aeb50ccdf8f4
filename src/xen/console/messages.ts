import { hex64 } from '../../bits/address.ts'

/**
 * Every line of Xen's memory code that the machine prints, with the place in Xen's source that prints it: file, first
 * and last line of the statement, and printf's template. A compiler of 2011 reports the last line of a statement that
 * spans several, one of today the first; which of them a version prints is a field of its profile.
 *
 * Of the seed's line numbers its own log proves three: 2466, 3027 and 481. The others are read off the same revision
 * of the source by the same rule.
 */
export type Message = readonly [
  file: string,
  first: number,
  last: number,
  template: string,
  /** How Xen prints it: with file, line and domain; with the domain only; or bare; `debug` is bare in debug builds only. */
  how?: 'gdprintk' | 'gprintk' | 'printk' | 'dprintk' | 'debug',
]

/** The sources that a line is taken from. A message that a source does not have is not printed by its profiles. */
export type MessageSource = 'seed' | '4.17'

export const MESSAGES = {
  pageRef: {
    seed: ['mm.c', 685, 685, 'Could not get page ref for pfn %lx'],
    '4.17': ['./arch/x86/include/asm/mm.h', 416, 417, 'Could not get page ref for mfn %05lx'],
  },
  linearWritable2: {
    seed: ['mm.c', 750, 750, 'Attempt to create linear p.t. with write perms'],
    '4.17': ['arch/x86/mm.c', 1124, 1124, 'Attempt to create linear p.t. with write perms'],
  },
  linearWritable3: {
    seed: ['mm.c', 750, 750, 'Attempt to create linear p.t. with write perms'],
    '4.17': ['arch/x86/mm.c', 1148, 1148, 'Attempt to create linear p.t. with write perms'],
  },
  linearWritable4: {
    seed: ['mm.c', 750, 750, 'Attempt to create linear p.t. with write perms'],
    '4.17': ['arch/x86/mm.c', 1172, 1172, 'Attempt to create linear p.t. with write perms'],
  },
  badL1Flags: {
    seed: ['mm.c', 833, 833, 'Bad L1 flags %x'],
    '4.17': ['arch/x86/mm.c', 877, 878, 'Bad L1 flags %x'],
  },
  badL2Flags: {
    seed: ['mm.c', 960, 960, 'Bad L2 flags %x'],
    '4.17': ['arch/x86/mm.c', 1134, 1135, 'Bad L2 flags %x'],
  },
  badL3Flags: {
    seed: ['mm.c', 1001, 1001, 'Bad L3 flags %x'],
    '4.17': ['arch/x86/mm.c', 1157, 1158, 'Bad L3 flags %x'],
  },
  badL4Flags: {
    seed: ['mm.c', 1026, 1026, 'Bad L4 flags %x'],
    '4.17': ['arch/x86/mm.c', 1181, 1182, 'Bad L4 flags %x'],
  },
  implicitUnmap: {
    seed: ['mm.c', 1137, 1138, 'Attempt to implicitly unmap a granted PTE %016lx'],
    '4.17': ['arch/x86/mm.c', 1232, 1234, "Attempt to implicitly unmap %pd's grant PTE %016lx", 'gprintk'],
  },
  failureL1: {
    seed: ['mm.c', 1257, 1257, 'Failure in alloc_l1_table: entry %d'],
    '4.17': ['arch/x86/mm.c', 1366, 1367, 'Failure %d in promote_l1_table: slot %#x'],
  },
  failureL2: {
    seed: ['mm.c', 1401, 1401, 'Failure in alloc_l2_table: entry %d'],
    '4.17': ['arch/x86/mm.c', 1474, 1475, 'Failure %d in promote_l2_table: slot %#x'],
  },
  failureL3: {
    seed: ['mm.c', 1511, 1511, 'Failure in alloc_l3_table: entry %d'],
    '4.17': ['arch/x86/mm.c', 1593, 1594, 'Failure %d in promote_l3_table: slot %#x'],
  },
  failureL4: {
    seed: ['mm.c', 1558, 1558, 'Failure in alloc_l4_table: entry %d'],
    '4.17': ['arch/x86/mm.c', 1784, 1785, 'Failure %d in promote_l4_table: slot %#x'],
  },
  pteRace: {
    seed: ['mm.c', 1762, 1763, 'Failed to update %016lx -> %016lx: saw %016lx'],
  },
  xenSlotL4: {
    seed: ['mm.c', 2017, 2017, 'Illegal L4 update attempt in Xen-private area %p'],
    '4.17': ['arch/x86/mm.c', 2389, 2390, 'L4 update in Xen-private area, slot %#lx'],
  },
  typeOverflow: {
    seed: ['mm.c', 2400, 2400, 'Type count overflow on pfn %lx'],
    '4.17': ['arch/x86/mm.c', 2899, 2901, 'Type count overflow on mfn %05lx'],
  },
  badType: {
    seed: ['mm.c', 2463, 2466, 'Bad type (saw %016lx != exp %016lx) for mfn %lx (pfn %lx)'],
    '4.17': ['arch/x86/mm.c', 2940, 2944, 'Bad type (saw %016lx != exp %016lx) for mfn %05lx (pfn %05lx)'],
  },
  baseptr: {
    seed: ['mm.c', 2794, 2794, 'Error while installing new baseptr %lx'],
    '4.17': ['arch/x86/mm.c', 3346, 3348, 'Error while installing new baseptr %05lx'],
  },
  unknownDomain: {
    seed: ['mm.c', 2856, 2856, "Unknown domain '%u'"],
    '4.17': ['common/page_alloc.c', 2687, 2687, 'Unknown domain d%d'],
  },
  pinning: {
    seed: ['mm.c', 3027, 3027, 'Error while pinning mfn %lx'],
    '4.17': ['arch/x86/mm.c', 3576, 3578, 'Error %d while pinning mfn %05lx'],
  },
  alreadyPinned: {
    seed: ['mm.c', 3043, 3043, 'Mfn %lx already pinned'],
    '4.17': ['arch/x86/mm.c', 3588, 3590, 'mfn %05lx already pinned'],
  },
  notPinned: {
    seed: ['mm.c', 3088, 3088, 'Mfn %lx not pinned'],
    '4.17': ['arch/x86/mm.c', 3642, 3643, 'mfn %05lx not pinned'],
  },
  userBaseptr: {
    seed: ['mm.c', 3119, 3119, 'Error while installing new mfn %lx'],
    '4.17': ['arch/x86/mm.c', 3708, 3710, 'Error %d installing new mfn %05lx'],
  },
  flushCache: {
    seed: ['mm.c', 3177, 3177, 'Non-physdev domain tried to FLUSH_CACHE.'],
  },
  setLdt: {
    seed: ['mm.c', 3222, 3222, 'Bad args to SET_LDT: ptr=%lx, ents=%lx'],
    '4.17': ['arch/x86/mm.c', 3837, 3838, 'Bad args to SET_LDT: ptr=%lx, ents=%x'],
  },
  mmuextCommand: {
    seed: ['mm.c', 3355, 3355, 'Invalid extended pt command 0x%x'],
  },
  normalUpdate: {
    seed: ['mm.c', 3498, 3498, 'Could not get page for normal update'],
    '4.17': ['arch/x86/mm.c', 4114, 4115, 'Could not get page for normal update'],
  },
  machphys: {
    seed: ['mm.c', 3678, 3678, 'Could not get page for mach->phys update'],
    '4.17': ['arch/x86/mm.c', 4238, 4239, 'Could not get page for mach->phys update'],
  },
  mmuCommand: {
    seed: ['mm.c', 3702, 3702, 'Invalid page update command %x'],
  },
  ptwrGet: {
    seed: ['mm.c', 5048, 5048, 'ptwr_emulate: could not get_page_from_l1e()'],
    '4.17': ['arch/x86/pv/ro-page-fault.c', 163, 163, 'could not get_page_from_l1e()'],
  },
  pageFree: {
    seed: ['memory.c', 196, 196, 'Bad page free for domain %u'],
    '4.17': ['common/memory.c', 404, 405, 'Bad page free for Dom%u GFN %lx'],
  },
  multicallReentry: {
    seed: ['multicall.c', 31, 31, 'Multicall reentry is disallowed.'],
    '4.17': ['common/multicall.c', 47, 47, 'Multicall reentry is disallowed.'],
  },
  mmioDenied: {
    seed: ['mm.c', 852, 853, 'Non-privileged (%u) attempt to map I/O space %08lx'],
    '4.17': ['arch/x86/mm.c', 901, 903, 'd%d non-privileged attempt to map MMIO space %05lx'],
  },
  globalKernel: {
    seed: ['mm.c', 1050, 1051, 'Global bit is set to kernel page %lx'],
    '4.17': ['arch/x86/pv/mm.h', 98, 99, 'Global bit is set in kernel page %lx'],
  },
  iretFault: {
    seed: ['traps.c', 277, 278, 'Fault while reading IRET context from guest stack'],
    '4.17': ['arch/x86/pv/iret.c', 61, 62, 'Fault while reading IRET context from guest stack', 'gprintk'],
  },
  iretNoUser: {
    seed: ['traps.c', 287, 288, 'Guest switching to user mode with no user page tables'],
    '4.17': [
      'arch/x86/pv/iret.c',
      71,
      72,
      'Guest switching to user mode with no user page tables',
      'gprintk',
    ],
  },
  pageInvalid: {
    seed: ['memory.c', 177, 178, 'Domain %u page number %lx invalid'],
    '4.17': ['common/memory.c', 370, 371, 'Domain %u page number %lx invalid'],
  },
  cacheOfHeap: {
    seed: ['mm.c', 903, 903, 'Attempt to change cache attributes of Xen heap page'],
    '4.17': ['arch/x86/mm.c', 1023, 1024, 'Attempt to change cache attributes of Xen heap page'],
  },
  itselfForeign: {
    seed: ['mm.c', 2830, 2830, 'Cannot specify itself as foreign domain'],
    '4.17': ['common/page_alloc.c', 2671, 2671, 'Cannot specify itself as foreign domain'],
  },
  setForeign: {
    seed: ['mm.c', 2848, 2848, 'Cannot set foreign dom'],
  },
  unhandled: {
    seed: ['traps.c', 479, 481, 'Unhandled %s fault/trap [#%d] on VCPU %d [ec=%04x]'],
    '4.17': ['arch/x86/pv/traps.c', 92, 94, 'Unhandled: vec %u, %s[%04x]', 'gprintk'],
  },
  ptwrAccess: {
    seed: ['mm.c', 4987, 4988, 'ptwr_emulate: bad access (cr2=%lx, addr=%lx, bytes=%u)'],
    '4.17': ['arch/x86/pv/ro-page-fault.c', 100, 101, 'bad access (cr2=%lx, addr=%lx, bytes=%u)'],
  },
  ptwrWriteSize: {
    seed: ['mm.c', 5109, 5110, 'ptwr_emulate: bad write size (addr=%lx, bytes=%u)'],
    '4.17': ['arch/x86/pv/ro-page-fault.c', 236, 237, 'bad write size (addr=%lx, bytes=%u)'],
  },
  ptwrCmpxchgSize: {
    seed: ['mm.c', 5133, 5134, 'ptwr_emulate: bad cmpxchg size (addr=%lx, bytes=%u)'],
    '4.17': ['arch/x86/pv/ro-page-fault.c', 255, 256, 'bad cmpxchg size (addr=%lx, bytes=%u)'],
  },
  getPage: {
    seed: ['mm.c', 2133, 2137, 'Error pfn %lx: rd=%p, od=%p, caf=%08lx, taf=%016lx'],
    '4.17': ['arch/x86/mm.c', 2561, 2564, 'Error mfn %05lx: rd=%pd od=%pd caf=%08lx taf=%016lx', 'gprintk'],
  },
  validating: {
    seed: [
      'mm.c',
      2214,
      2217,
      'Error while validating mfn %lx (pfn %lx) for type %016lx: caf=%08lx taf=%016lx',
    ],
    '4.17': [
      'arch/x86/mm.c',
      2649,
      2654,
      'Error while validating mfn %05lx (pfn %05lx) for type %016lx: caf=%08lx taf=%016lx',
    ],
  },
  clearing: {
    seed: ['mm.c', 3247, 3247, 'Error while clearing mfn %lx'],
    '4.17': ['arch/x86/mm.c', 3865, 3866, 'Error clearing mfn %05lx'],
  },
  copyingFrom: {
    seed: ['mm.c', 3272, 3272, 'Error while copying from mfn %lx'],
    '4.17': ['arch/x86/mm.c', 3892, 3894, 'Error copying from mfn %05lx'],
  },
  copyingTo: {
    seed: ['mm.c', 3282, 3282, 'Error while copying to mfn %lx'],
    '4.17': ['arch/x86/mm.c', 3913, 3914, 'Error copying to mfn %05lx'],
  },
  steal: {
    seed: ['mm.c', 4224, 4226, 'Bad page %p: ed=%p(%u), sd=%p, caf=%08lx, taf=%016lx'],
    '4.17': ['arch/x86/mm.c', 4454, 4458, 'Bad steal mfn %05lx from d%d (owner d%d) caf=%08lx taf=%016lx'],
  },
  gettingMfn: {
    seed: [
      'mm.c',
      936,
      939,
      'Error getting mfn %lx (pfn %lx) from L1 entry %016lx for l1e_owner=%d, pg_owner=%d',
    ],
    '4.17': [
      'arch/x86/mm.c',
      1040,
      1043,
      'Error getting mfn %05lx (pfn %05lx) from L1 entry %016lx for l1e_owner d%d, pg_owner d%d',
    ],
  },
  unpinOwner: {
    seed: ['mm.c', 3078, 3078, 'Mfn %lx bad domain'],
    '4.17': ['arch/x86/mm.c', 3632, 3634, 'mfn %05lx bad, or bad owner d%d'],
  },
  superpageFlag: {
    seed: ['mm.c', 974, 975, 'Attempt to map superpage without allowsuperpage flag in hypervisor'],
  },
  flushCacheGlobal: {
    seed: ['mm.c', 3202, 3202, 'Non-physdev domain tried to FLUSH_CACHE_GLOBAL'],
  },
  otherOwner: {
    '4.17': ['arch/x86/mm.c', 988, 990, 'pg_owner d%d l1e_owner d%d, but real_pg_owner d%d'],
  },
  forcedReadOnly: {
    '4.17': ['arch/x86/mm.c', 940, 942, 'd%d: Forcing read-only access to MFN %lx', 'debug'],
  },
  notWritableType: {
    '4.17': ['arch/x86/mm.c', 1014, 1014, 'Could not get page type PGT_writable_page'],
  },
  mmioDeniedOwner: {
    '4.17': ['arch/x86/mm.c', 914, 917, 'd%d attempted to map MMIO space %05lx in d%d to d%d'],
  },
  linearOff: {
    '4.17': ['arch/x86/mm.c', 690, 691, 'Attempt to create linear p.t. (feature disabled)'],
  },
  badL1FlagsMod: {
    seed: ['mm.c', 1819, 1820, 'Bad L1 flags %x'],
    '4.17': ['arch/x86/mm.c', 2160, 2161, 'Bad L1 flags %x'],
  },
  badL2FlagsMod: {
    seed: ['mm.c', 1890, 1891, 'Bad L2 flags %x'],
    '4.17': ['arch/x86/mm.c', 2276, 2277, 'Bad L2 flags %x'],
  },
  badL3FlagsMod: {
    seed: ['mm.c', 1957, 1958, 'Bad L3 flags %x'],
    '4.17': ['arch/x86/mm.c', 2338, 2339, 'Bad L3 flags %x'],
  },
  badL4FlagsMod: {
    seed: ['mm.c', 2028, 2029, 'Bad L4 flags %x'],
    '4.17': ['arch/x86/mm.c', 2400, 2401, 'Bad L4 flags %x'],
  },
  iretFatal: {
    seed: ['traps.c', 317, 317, 'Fatal error'],
  },
  superpageUnaligned: {
    seed: ['mm.c', 3309, 3309, 'Unaligned superpage reference mfn %lx'],
  },
  superpageOff: {
    seed: ['mm.c', 3316, 3316, 'Superpages disallowed'],
  },
  superpageUnmarkUnaligned: {
    seed: ['mm.c', 3335, 3335, 'Unaligned superpage reference mfn %lx'],
  },
  superpageUnmarkOff: {
    seed: ['mm.c', 3342, 3342, 'Superpages disallowed'],
  },
  noExtentIncrease: {
    seed: ['memory.c', 73, 76, 'Could not allocate order=%d extent: id=%d memflags=%x (%ld of %d)'],
    '4.17': [
      'common/memory.c',
      135,
      138,
      'Could not allocate order=%d extent: id=%d memflags=%x (%ld of %d)',
    ],
  },
  noExtentPopulate: {
    seed: ['memory.c', 130, 133, 'Could not allocate order=%d extent: id=%d memflags=%x (%ld of %d)'],
    '4.17': [
      'common/memory.c',
      277,
      280,
      'Could not allocate order=%u extent: id=%d memflags=%#x (%u of %u)',
    ],
  },
  unhandledPageFault: {
    seed: ['traps.c', 1061, 1062, 'd%d:v%d: unhandled page fault (ec=%04X)', 'printk'],
  },
} as const satisfies Record<string, Partial<Record<MessageSource, Message>>>

export type MessageId = keyof typeof MESSAGES

/** A directive of a template, or text between directives. */
type Piece =
  | string
  | {
      readonly conversion: string
      readonly alternate: boolean
      readonly width: number
      readonly fill: string
    }

/** Templates by their text, read once. */
const PIECES = new Map<string, readonly Piece[]>()

function piecesOf(template: string): readonly Piece[] {
  const known = PIECES.get(template)
  if (known !== undefined) return known
  const pieces: Piece[] = []
  let end = 0
  for (const match of template.matchAll(/%(#?)(0?)(\d*)(?:l?)(pd|[dux%Xsp])/g)) {
    const [all, alternate, zero, width, conversion] = match
    pieces.push(template.slice(end, match.index))
    end = match.index + all.length
    if (conversion === '%') pieces.push('%')
    else
      pieces.push({
        conversion,
        alternate: alternate !== '',
        width: Number(width),
        fill: zero === '' ? ' ' : '0',
      })
  }
  pieces.push(template.slice(end))
  PIECES.set(template, pieces)
  return pieces
}

/**
 * printf for the directives that Xen's templates use. Numbers are whole and up to 2^53; 64-bit words come as bigints
 * or as digits already.
 */
export function format(template: string, args: readonly (number | bigint | string)[]): string {
  let next = 0
  let line = ''
  for (const piece of piecesOf(template)) {
    if (typeof piece === 'string') {
      line += piece
      continue
    }
    const { conversion, alternate, width, fill } = piece
    const arg = args[next++]
    let text: string
    if (conversion === 'd' || conversion === 'u' || conversion === 's' || conversion === 'pd')
      text = String(arg)
    else if (typeof arg === 'string') text = arg
    else if (conversion === 'p') text = hex64(Number(BigInt(arg) & 0xffffffffn), Number(BigInt(arg) >> 32n))
    else text = (typeof arg === 'number' && arg < 0 ? BigInt.asUintN(64, BigInt(arg)) : arg).toString(16)
    if (conversion === 'X') text = text.toUpperCase()
    // C prints a zero without the prefix.
    if (alternate && arg !== 0) text = `0x${text}`
    line += text.padStart(width, fill)
  }
  return line
}
