/**
 * Virtual addresses and frames.
 *
 * A virtual address in hot code is its low 48 bits, a plain number: `va`. The upper half of the canonical space starts
 * at 2^47, so 0xffff880000000000 is the number 0x880000000000. Sixteen digits appear when it is printed.
 *
 *     63        48 47      39 38      30 29      21 20      12 11        0
 *    | sign of 47 | L4 slot  | L3 slot  | L2 slot  | L1 slot  |  offset   |
 */
export const PAGE = 4096
export const SLOTS = 512
export const TWO_32 = 0x1_0000_0000
const TWO_47 = 2 ** 47
const TWO_48 = 2 ** 48

/** Bytes that one entry of a level maps: 4 KiB, 2 MiB, 1 GiB, 512 GiB. Index 1..4. */
export const ENTRY_BYTES = [0, 2 ** 12, 2 ** 21, 2 ** 30, 2 ** 39] as const

/** The slot that `va` uses in a table of `level` (1..4). */
export function slotAt(va: number, level: 1 | 2 | 3 | 4): number {
  return Math.floor(va / ENTRY_BYTES[level]) & 511
}

/** High u32 of the canonical 64-bit form of a 48-bit `va`; the low one is `va >>> 0`. */
export function vaHigh(va: number): number {
  const high = Math.floor(va / TWO_32)
  return va >= TWO_47 ? (high | 0xffff0000) >>> 0 : high
}

/** The 48-bit `va` of a 64-bit address in two halves, or -1 when the address is not canonical. */
export function vaOf(lo: number, hi: number): number {
  const sign = hi >> 15
  if (sign !== 0 && sign !== -1) return -1
  return (hi & 0xffff) * TWO_32 + (lo >>> 0)
}

/** Sixteen hex digits of a 64-bit value in two halves. */
export function hex64(lo: number, hi: number): string {
  return (hi >>> 0).toString(16).padStart(8, '0') + (lo >>> 0).toString(16).padStart(8, '0')
}

/** Sixteen hex digits of a canonical address. */
export function hexVa(va: number): string {
  return hex64(va >>> 0, vaHigh(va))
}

/** `0x` and the digits of a number up to 2^53. */
export function hex(n: number): string {
  return `0x${n.toString(16)}`
}

/** Whether `n` is a 48-bit address: what every port call expects. */
export function isVa(n: number): boolean {
  return n >= 0 && n < TWO_48
}

/** Frames that `bytes` touch, the last one counted whole. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE)
}

/** The next multiple of `unit` that is no less than `n`; both below 2^53. */
export function roundUp(n: number, unit: number): number {
  return Math.ceil(n / unit) * unit
}

/** The regions of the address space of a 64-bit PV guest: Xen's public/arch-x86/xen-x86_64.h, Linux's page_64_types.h. */
export const REGION = {
  /** Xen's own range; a guest may read only the M2P, at its start. */
  xenStart: 0x8000_0000_0000,
  xenEnd: 0x8800_0000_0000,
  m2p: 0x8000_0000_0000,
  m2pEnd: 0x8040_0000_0000,
  /** Linux's direct map of 2.6.27 to 4.19: PAGE_OFFSET. */
  directMap: 0x8800_0000_0000,
  /** Linux's array of `struct page`s, mapped page by page where there is memory: VMEMMAP_START. */
  vmemmap: 0xea00_0000_0000,
  /** Linux's kernel image: __START_KERNEL_map, and the virtual base of the initial mapping. */
  kernelMap: 0xffff_8000_0000,
} as const
