/**
 * Where a vCPU's registers lie in the machine's memory: 1 KiB each in the first 64 KiB, which are never a guest's. Decoded
 * instructions name registers by these addresses, in 16 bits. Everything that a handler of the interpreter needs and that
 * is no operand is a field here, too.
 *
 *       0  general registers, 16 of 8 bytes        320  x87 registers, 8 of 16 bytes
 *     128  fields                                  512  xmm registers, 16 of 16 bytes
 *                                                  768  bounce buffer of accesses that one page does not hold
 *                                                  832  selectors, 6 of 8 bytes
 */
export const STATE_BYTES = 1024
export const MAX_VCPUS = 63

/** Offset of vCPU `n`'s state; the first KiB stays empty, so that no address is 0. */
export function stateAt(n: number): number {
  return (n + 1) * STATE_BYTES
}

export const GENERAL = 0
export const FIELD = {
  /** Eight bytes of zeros: the base or index of an address without one, and the segments whose base is 0. */
  zero: 128,
  /** An address computed before the instruction that uses it; see `address` in translate.ts. */
  computed: 136,
  fsBase: 144,
  gsBase: 152,
  /** Address of the page that code runs in. */
  page: 160,
  /** Where code runs, outside `run`; inside, where the next jump goes to. */
  rip: 168,
  /** The flags' two halves: see flags.ts. */
  result: 176,
  carries: 184,
  /** The bits of rflags that are no result of arithmetic: TF, DF, NT, AC, ID; IF always. */
  otherFlags: 188,
  /** Instructions left of the slice, while somebody outside the interpreter may look. */
  left: 192,
  /** Address of the running page's table of decoded instructions. */
  map: 196,
  /** The decoded instruction that is being executed. */
  record: 200,
  /** The exception that ended the slice. */
  vector: 204,
  errorCode: 208,
  mxcsr: 212,
  /** The address that a translation is asked for. */
  va: 216,
  /** A store that waits in the bounce buffer. */
  pendingBytes: 224,
  /** What cmpxchg expects memory to hold, and whether it is waiting: for whoever emulates refused stores. */
  expects: 228,
  expected: 232,
  tlb: 240,
  codeTlb: 244,
  /** Not zero: the next use of the FPU, and of the registers of MMX and SSE, raises #NM. The TS flag of cr0. */
  fpuTraps: 248,
  controlWord: 264,
  statusWord: 268,
  tagWord: 272,
  lastOpcode: 276,
  lastInstruction: 280,
  lastData: 288,
  pendingVa: 296,
  /** Address of the counters of jumps: see regions.ts. */
  hot: 304,
} as const
export const X87 = 320
export const XMM = 512
export const BOUNCE = 768
/** Selectors of es, cs, ss, ds, fs and gs, 8 bytes each. */
export const SELECTORS = 832
/** Addresses below are no page's: a store to one has to be carried out by `commit`. */
export const LOW_END = 65536

/** A decoded instruction: what its handler needs, in 32 bytes. */
export const RECORD = {
  handler: 0,
  length: 2,
  /** Shift of the index register. */
  scale: 3,
  /** Addresses of the registers that make up an effective address: base, index, segment base. */
  base: 4,
  index: 6,
  segment: 8,
  /** Offset of the instruction in its page. */
  offset: 10,
  /** Address of the first register operand, and of the second: a register, or the immediate below. */
  a: 12,
  b: 16,
  displacement: 20,
  /** Of a jump inside its page, the place in the page's table that holds the record at its target. */
  target: 20,
  immediate: 24,
} as const
export const RECORD_BYTES = 32

/**
 * The TLB's entries: two tags, the page's address for loads and for stores, or -1; where its bytes are; the word index of
 * the entry that translated it.
 */
export const TLB_ENTRIES = 4096
export const TLB = { read: 0, write: 8, host: 16, entry: 20 } as const
export const TLB_ENTRY_BYTES = 32
export const TLB_BYTES = TLB_ENTRIES * TLB_ENTRY_BYTES

/** The same for pages that code runs in: their tables of decoded instructions by virtual page. */
export const CODE_TLB_ENTRIES = 1024
export const CODE_TLB = { tag: 0, map: 8, entry: 12 } as const
export const CODE_TLB_ENTRY_BYTES = 16
export const CODE_TLB_BYTES = CODE_TLB_ENTRIES * CODE_TLB_ENTRY_BYTES

/** Counters of jumps to a place, 4 bytes each, by a hash of the place. */
export const HOT_COUNTERS = 4096
export const HOT_BYTES = HOT_COUNTERS * 4

/**
 * What a region comes back with. `jumped`: a jump goes to `rip`, wherever that is. `handed over`: the interpreter is to carry
 * out the instruction at `rip`. `elsewhere`: its code is mapped at other addresses than it was made for, nothing has
 * happened. `fell`: it goes on at `rip`, behind the last instruction.
 */
export const REGION = { jumped: 0, handedOver: 1, elsewhere: 2, fell: 3 } as const

/** Bits of rflags. */
export const CF = 1 << 0
export const PF = 1 << 2
export const AF = 1 << 4
export const ZF = 1 << 6
export const SF = 1 << 7
export const TF = 1 << 8
export const IF = 1 << 9
export const DF = 1 << 10
export const OF = 1 << 11
export const IOPL = 3 << 12
export const NT = 1 << 14
export const RF = 1 << 16
export const AC = 1 << 18
export const ID = 1 << 21

/** Why `run` came back; the interpreter's result. */
export const EXIT = { budget: 0, syscall: 1, privileged: 2, exception: 3, segment: 4, breakpoint: 5 } as const
