import { PAGE, REGION } from '../bits/address.ts'

/**
 * Where the model's image has what the early code needs: physical bytes. The numbers are those of a kernel that was
 * built from 2.6.39 and booted on real Xen; only their order matters.
 */
export const SYMBOLS = {
  text: 0x100_0000,
  init_level4_pgt: 0x11c_5000,
  level3_ident_pgt: 0x11c_6000,
  level3_kernel_pgt: 0x11c_7000,
  level2_fixmap_pgt: 0x11c_8000,
  level2_ident_pgt: 0x11c_9000,
  level2_kernel_pgt: 0x11c_a000,
  level3_user_vsyscall: 0x11c_b000,
  /** A page of the kernel's data in which it hands structures to Xen. */
  scratch: 0x11d_0000,
  /** The L1 of the early-ioremap slots: fixmap.ts. */
  bm_pte: 0x121_4000,
  /** Memory that the kernel takes from its own bss before any allocator: LEVEL1_IDENT_ENTRIES and the early tables of 3.9. */
  brk: 0x129_8000,
} as const

/** The model's image needs so many bytes: up to the end of its brk. */
export const LEAST_KERNEL_BYTES = 0x2b_8000
/** Size of the image that real boots of the time had; used when nothing else is said. */
export const DEFAULT_KERNEL_BYTES = 0x3b_8000

/** Address of a physical byte in the kernel map. */
export function kernelVa(physical: number): number {
  return REGION.kernelMap + physical
}

/** Address of a physical byte in the direct map: __va(). */
export function directVa(physical: number): number {
  return REGION.directMap + physical
}

/** The page of a physical address in bytes. */
export function pfnOf(physical: number): number {
  return Math.floor(physical / PAGE)
}
