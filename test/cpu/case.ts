/**
 * A case for the CPU core and for the host's processor alike: a few bytes of code, the state to run them in, and what a
 * comparison may not look at. Both machines map the same addresses, run the code in ring 3 until rip is at the end of the
 * code or at `target`, or until an exception, and say what state that left.
 */

/** Bytes of a page of the case's address space. */
export const PAGE = 0x1000

/**
 * The address space. Everything else is unmapped, so that accesses outside fault in both machines. All of it is low enough
 * for 32-bit displacements and address sizes, and for a Linux process to map it.
 */
export const SPACE = {
  /** Two pages, readable, writable and executable, filled with int3 (0xcc) around the case's code. */
  code: 0x1000_0000,
  codeBytes: 2 * PAGE,
  /** Two pages, readable and writable, not executable, zero around the case's data. The stack lies here, too. */
  data: 0x2000_0000,
  dataBytes: 2 * PAGE,
  /** One page of zeros, read-only and not executable, right behind the data; behind it nothing is mapped. */
  readOnly: 0x2000_2000,
  readOnlyBytes: PAGE,
  /** Where the segments start. Only an access with the right base and the right displacement meets the data. */
  fsBase: 0x1e00_0000,
  gsBase: 0x1f00_0000,
} as const

/** `target` of a case whose code has no second place to arrive at. */
export const NO_TARGET = 0xffff_ffff
/** `vector` of a result without an exception. */
export const NO_VECTOR = 0xffff_ffff

/** Registers and memory, before or after. */
export type CpuState = {
  /** 16 general registers in the order of their numbers (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 ... r15), two words each, low half first. */
  readonly gpr: Uint32Array
  /** RFLAGS, all of it: bit 1 is always set, and so is IF. */
  rflags: number
  /** xmm0 to xmm15, four words each, lowest first. */
  readonly xmm: Uint32Array
  mxcsr: number
  /** x87: control word, status word (TOP included) and the abridged tag byte of FXSAVE: a set bit is a register in use. */
  fcw: number
  fsw: number
  ftw: number
  /** ST(0) to ST(7) as FXSAVE lays them: 16 bytes each, of which the first 10 count and the others are zero. */
  readonly st: Uint8Array
  /** The bytes at `dataAt`. */
  readonly data: Uint8Array
}

export type CpuCase = {
  /** What the case is one of, as `adc r/m32, r32`: differences are counted by it. */
  readonly form: string
  readonly code: Uint8Array
  /** Where the code starts, as an offset into the code's pages. It may cross from one page to the other. */
  readonly codeAt: number
  /** A second place to stop at, besides the end of the code: offset into the code's pages, or NO_TARGET. */
  readonly target: number
  /** Where the data starts, as an offset into the data's pages. It may cross from one page to the other. */
  readonly dataAt: number
  readonly state: CpuState
  /** Whether the code looks at x87, SSE or mxcsr at all. When it does not, that state is not loaded and not compared. */
  readonly usesFpu: boolean
  readonly loose: Loose
}

/** What the manuals leave undefined for a case: it is not compared. */
export type Loose = {
  /** Bits of RFLAGS. */
  readonly rflags: number
  /** Those that the instructions before one that faults leave undefined. */
  readonly before?: number
  /** Bit n is set when general register n is undefined afterwards. */
  readonly gpr: number
  /** Bits of the x87 status word. */
  readonly fsw: number
  /** Ranges of the data's bytes, from and to. */
  readonly data: readonly (readonly [from: number, to: number])[]
  /** What need only be near, as the manuals bound its error and leave the bits open. */
  readonly near?: Near
}

/** Words of an xmm register that are single-precision numbers; or ST(0), near or not looked at. */
export type Near = { readonly xmm: number; readonly words: number } | 'st(0)' | 'any st(0)'

export type CpuResult = {
  /** The exception that ended the case, or NO_VECTOR. */
  vector: number
  /** Its error code; 0 where it has none. */
  errorCode: number
  /** CR2 of a page fault, two words; 0 with any other. */
  addressLow: number
  addressHigh: number
  /** rip afterwards, two words: of the faulting instruction with a fault, behind it with a trap. */
  ripLow: number
  ripHigh: number
  readonly state: CpuState
}

/** What runs cases: the core does, and the host's processor. */
export type Subject = {
  /** How many cases it wants to see before it runs them, where it wants to. */
  readonly batch?: number
  prepare?(cases: readonly CpuCase[]): void
  run(one: CpuCase): CpuResult
}

/** Registers as a process finds them: flags clear, SSE and x87 in their initial state with every exception masked. */
export function initialState(dataBytes: number): CpuState {
  return {
    gpr: new Uint32Array(32),
    rflags: 0x202,
    xmm: new Uint32Array(64),
    mxcsr: 0x1f80,
    fcw: 0x37f,
    fsw: 0,
    ftw: 0,
    st: new Uint8Array(128),
    data: new Uint8Array(dataBytes),
  }
}
