/**
 * An entry of a page table, any level, as the CPU and Xen read it. Hot code keeps an entry as two u32 halves.
 *
 *     63   62..52    51                      12  11..9  8   7    6   5    4    3   2   1   0
 *    | NX | avail |       frame (mfn)          | avail | G | PSE | D | A | PCD | PWT | US | RW | P |
 *                                                            (PAT at L1)
 */
export type PteFlag = {
  readonly name: string
  readonly bit: number
  readonly meaning: string
}

export const PTE_FLAGS: readonly PteFlag[] = [
  { name: 'P', bit: 0, meaning: 'present' },
  { name: 'RW', bit: 1, meaning: 'writable' },
  { name: 'US', bit: 2, meaning: 'user; every page of a 64-bit PV guest, whose kernel runs in ring 3 too' },
  { name: 'PWT', bit: 3, meaning: 'write-through' },
  { name: 'PCD', bit: 4, meaning: 'cache disabled' },
  { name: 'A', bit: 5, meaning: 'accessed' },
  { name: 'D', bit: 6, meaning: 'dirty' },
  { name: 'PSE', bit: 7, meaning: 'large page at L2 and L3; PAT at L1' },
  { name: 'G', bit: 8, meaning: 'global' },
  { name: 'AV0', bit: 9, meaning: 'available; Linux before 3.15: _PAGE_IOMAP is AV1' },
  { name: 'AV1', bit: 10, meaning: 'available' },
  { name: 'AV2', bit: 11, meaning: 'available' },
  { name: 'GK', bit: 52, meaning: "guest kernel: Xen's mark of an entry that the guest gave without US" },
  { name: 'GNTTAB', bit: 62, meaning: 'granted page, in debug builds of Xen' },
  { name: 'NX', bit: 63, meaning: 'no execute' },
]

/** Masks in the low half of an entry. */
export const P = 0x001
export const RW = 0x002
export const US = 0x004
export const PWT = 0x008
export const PCD = 0x010
export const A = 0x020
export const D = 0x040
export const PSE = 0x080
export const PAT = 0x080
export const G = 0x100
export const AVAIL = 0xe00

/** Masks in the high half of an entry. */
export const HI_NX = 0x8000_0000
export const HI_GNTTAB = 0x4000_0000
export const HI_GUEST_KERNEL = 0x0010_0000
/** The bits of the high half that belong to the frame: bits 32..51 of the entry. */
export const HI_FRAME = 0x000f_ffff

/**
 * Xen's fold of the flags into 24 bits: bits 52..63 appear as bits 12..23 (`get_pte_flags`). So NX is 0x800000,
 * bit 62 is 0x400000 and bit 52 is 0x1000.
 */
export function foldFlags(lo: number, hi: number): number {
  return (lo & 0xfff) | ((hi >>> 8) & 0xfff000)
}

/** The frame of an entry, 40 bits. A hostile entry can name a frame far beyond any RAM: look it up, never mask it. */
export function entryFrame(lo: number, hi: number): number {
  return (hi & HI_FRAME) * 0x10_0000 + (lo >>> 12)
}

/** Low half of an entry for a frame and the flags of bits 0..11. */
export function entryLo(mfn: number, flags: number): number {
  return (((mfn % 0x10_0000) << 12) | flags) >>> 0
}

/** High half of an entry for a frame; flags of bits 52..63 are added to it. */
export function entryHi(mfn: number, flags = 0): number {
  return (Math.floor(mfn / 0x10_0000) | flags) >>> 0
}

/** The names of the flags set in an entry, as the script language writes them: `P|RW|A`. */
export function flagNames(lo: number, hi: number): string {
  const names = PTE_FLAGS.filter(({ bit }) => (bit < 32 ? (lo >>> bit) & 1 : (hi >>> (bit - 32)) & 1)).map(
    (f) => f.name,
  )
  return names.join('|') || '0'
}
