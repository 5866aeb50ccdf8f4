/** The words of the script language. */

/** Names that every script has: the live tables, shared_info, Xen's own frames, and frames that are not RAM. */
export const PREDEFINED = [
  'KL4',
  'KL3',
  'KL2',
  'KL1K',
  'KL1P',
  'KL1W',
  'SHINFO',
  'XM2PL3',
  'XPERD',
  'XTEXTL3',
  'XDIRL3',
  'M2PF',
  'LOWIO',
  'LAPIC',
  'IOAPIC',
  'NORAM',
  'INVAL',
] as const

/** Scratch pages that a script may have. */
export const POOL_PAGES = 256

/** Commands of mmuext_op by the words that scripts have for them. */
export const EXT_WORDS = [
  'pin1',
  'pin2',
  'pin3',
  'pin4',
  'unpin',
  'baseptr',
  'tlblocal',
  'invlocal',
  'tlbmulti',
  'invmulti',
  'tlball',
  'invall',
  'flushcache',
  'setldt',
  'ext14',
  'ubaseptr',
  'clear',
  'copy',
  'flushcacheg',
  'marksuper',
  'unmarksuper',
  'ext',
]
export const STORES = ['set', 'set4', 'set2', 'set1', 'set16', 'cas', 'cas4', 'xchg', 'or', 'btr'] as const
export type StoreVerb = (typeof STORES)[number]

export const OTHERS = [
  'page',
  'pages',
  'sym',
  'info',
  'autoinfo',
  'echo',
  'dump',
  'ro',
  'rw',
  'unmap',
  'uvm',
  'get',
  'mmu',
  'gdt',
  'desc',
  'ldsel',
  'decr',
  'incr',
  'popp',
  'exch',
  'm2p',
  'assist',
  'hc',
  'multi',
]
export const MMU_SUFFIXES: Readonly<Record<string, number>> = { ad: 2, notrans: 3, cmd1: 1, cmd4: 4 }
export const UVM_FLAGS: Readonly<Record<string, number>> = { none: 0, tlb: 1, inv: 2, tlball: 5, invall: 6 }
export const DOMAIN_WORDS: Readonly<Record<string, number>> = { SELF: 0x7ff0, IO: 0x7ff1, XEN: 0x7ff2 }
/** Requests that one call may have. */
export const MOST_REQUESTS = 32
/** Calls that one multicall may have. */
export const MOST_CALLS = 16
