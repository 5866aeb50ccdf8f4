/**
 * What lies where in the address space of a PV guest: Xen's public/arch-x86/xen-x86_64.h and Linux's
 * Documentation/x86/x86_64/mm.rst, four levels. Linux moved its direct map in 4.20 to make room for the LDT
 * (d52888aa2753), so both places count.
 *
 * Addresses are bigint here: this is the printing edge.
 */
export type Region = {
  readonly name: string
  readonly from: bigint
  /** Last address. */
  readonly to: bigint
  /** Where the direct map begins, of the two addresses that it had. */
  readonly directMap?: bigint
}

export const REGIONS: readonly Region[] = [
  { name: 'the null page', from: 0n, to: 0xfffn },
  { name: 'user space', from: 0x1000n, to: 0x7fffffffffffn },
  { name: "Xen's machine-to-physical table", from: 0xffff800000000000n, to: 0xffff803fffffffffn },
  { name: "Xen's own range", from: 0xffff804000000000n, to: 0xffff87ffffffffffn },
  // Linux 4.20 and later keep the LDT in the first 512 GiB of what was the direct map before; a kernel that still has
  // its direct map there reaches the second range only with more than 512 GiB of memory.
  {
    name: "Linux's direct map (until 4.19)",
    from: 0xffff880000000000n,
    to: 0xffff887fffffffffn,
    directMap: 0xffff880000000000n,
  },
  {
    name: "Linux's direct map",
    from: 0xffff888000000000n,
    to: 0xffffc87fffffffffn,
    directMap: 0xffff888000000000n,
  },
  { name: "Linux's vmalloc area", from: 0xffffc90000000000n, to: 0xffffe8ffffffffffn },
  { name: "Linux's vmemmap (struct page)", from: 0xffffea0000000000n, to: 0xffffeaffffffffffn },
  { name: 'the KASAN shadow', from: 0xffffec0000000000n, to: 0xfffffbffffffffffn },
  { name: "Linux's per-CPU entry area", from: 0xfffffe0000000000n, to: 0xfffffe7fffffffffn },
  { name: "Linux's %esp fixup stacks", from: 0xffffff0000000000n, to: 0xffffff7fffffffffn },
  { name: "the kernel's image", from: 0xffffffff80000000n, to: 0xffffffff9fffffffn },
  { name: "the kernel's modules", from: 0xffffffffa0000000n, to: 0xfffffffffeffffffn },
  { name: "the kernel's fixmap", from: 0xffffffffff000000n, to: 0xffffffffffffffffn },
]

/** The region of an address; undefined for a hole or an address that is not canonical. */
export function regionOf(address: bigint): Region | undefined {
  return REGIONS.find(({ from, to }) => address >= from && address <= to)
}

/** Whether an address is in a kernel's map of all memory, where it was before Linux 4.19 or where it is since. */
export const isDirectMap = (address: bigint) => regionOf(address)?.directMap !== undefined

/** Whether an address is in the shadow that KASAN keeps of memory. */
export const isKasanShadow = (address: bigint) => regionOf(address)?.name === 'the KASAN shadow'

/** Whether an address is in the array of struct page. */
export const isVmemmap = (address: bigint) => address >= 0xffffea0000000000n && address <= 0xffffeaffffffffffn

/** Whether an address is in the part of every address space that is Xen's. */
export const isXenRange = (address: bigint) =>
  address >= 0xffff800000000000n && address <= 0xffff87ffffffffffn

/** The pfn of a direct-map address: both where the direct map began until 4.19, and where it begins since. */
export function directMapPfn(address: bigint): bigint | undefined {
  const base = regionOf(address)?.directMap
  return base === undefined ? undefined : (address - base) >> 12n
}

/** What a walk's last printed level says is missing. */
export const LEVEL_SPAN = ['', '4 KiB', '2 MiB', '1 GiB', '512 GiB'] as const

/** The address that a KASAN shadow byte stands for: shadow = (address >> 3) + 0xdffffc0000000000. */
export function kasanShadowed(shadow: bigint): bigint {
  return BigInt.asUintN(64, (shadow - 0xdffffc0000000000n) << 3n)
}

/** The address made of a walk's slots, for a walk whose header is lost. */
export function addressOfSlots(slots: readonly { readonly level: number; readonly slot: number }[]): bigint {
  let address = 0n
  for (const { level, slot } of slots) address |= BigInt(slot) << BigInt(12 + 9 * (level - 1))
  return BigInt.asUintN(64, BigInt.asIntN(48, address))
}
