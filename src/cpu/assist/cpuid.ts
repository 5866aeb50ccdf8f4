/** What cpuid returns: eax, ebx, ecx, edx. */
export type CpuidValues = readonly [eax: number, ebx: number, ecx: number, edx: number]

/** Leaf 1, ecx: cmpxchg16b. */
const CX16 = 1 << 13
/** Leaf 1, edx: fpu de pse tsc msr pae mce cx8 pge mca cmov pat clflush mmx fxsr sse sse2. */
const FEATURES = [0, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 19, 24, 25, 26].reduce(
  (bits, n) => bits | (1 << n),
  0,
)
/** Leaf 80000001, edx: the AMD ones among the same, syscall, nx and long mode. */
const EXTENDED = [0, 2, 3, 4, 5, 6, 7, 8, 11, 13, 14, 15, 16, 20, 24, 29].reduce(
  (bits, n) => bits | (1 << n),
  0,
)
const LAHF_IN_LONG_MODE = 1
/** The last leaf of each range. Of the basic ones those from 2 on say nothing. */
const LAST_LEAF = 13
const LAST_EXTENDED = 0x8000_0008
/** Family 15, model 107, stepping 1, as QEMU's qemu64: kernels ask the first Opterons for registers that Xen has not. */
const SIGNATURE = 0x6_0fb1

const NAME = 'Xenolith x86-64 core'

function nameWords(part: number): CpuidValues {
  const word = (i: number): number => {
    let value = 0
    for (let b = 3; b >= 0; b--)
      value = (value << 8) | (NAME.padEnd(48, '\0').charCodeAt(part * 16 + i * 4 + b) & 0xff)
    return value >>> 0
  }
  return [word(0), word(1), word(2), word(3)]
}

function text(value: string): number {
  return (
    value.charCodeAt(0) |
    (value.charCodeAt(1) << 8) |
    (value.charCodeAt(2) << 16) |
    (value.charCodeAt(3) << 24)
  )
}

/**
 * The processor that the core is: QEMU's qemu64 without SSE3, which is x86-64 with SSE2 and nothing newer, so that programs
 * choose what it can do.
 */
export function cpuid(leaf: number, _subleaf: number): CpuidValues {
  switch (leaf >>> 0) {
    case 0:
      return [LAST_LEAF, text('Auth'), text('cAMD'), text('enti')]
    case 1:
      return [SIGNATURE, (8 << 8) | (1 << 16), CX16, FEATURES]
    case 0x8000_0000:
      return [LAST_EXTENDED, text('Auth'), text('cAMD'), text('enti')]
    case 0x8000_0001:
      return [SIGNATURE, 0, LAHF_IN_LONG_MODE, EXTENDED]
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004:
      return nameWords((leaf >>> 0) - 0x8000_0002)
    case 0x8000_0008:
      // 48 bits of virtual addresses; physical ones as wide as an entry's frame.
      return [(48 << 8) | 52, 0, 0, 0]
    default:
      return [0, 0, 0, 0]
  }
}
