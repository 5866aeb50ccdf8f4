import { REGION } from '../bits/address.ts'

/**
 * The probe kernel's address space, which is that of the kernel whose recordings judge the machine: an image of 1 MiB
 * upwards, 256 scratch pages, and a window of 128 pages that it empties as it starts. Addresses are 48 bits, pfns are
 * addresses relative to the virtual base. The real one has the same in guests/probe/layout.h.
 */
export const PROBE = {
  base: REGION.kernelMap,
  /** An instruction of the kernel: what runs after every hypercall. */
  code: REGION.kernelMap + 0x10_0000,
  /** What it runs in user mode: one system call. */
  userCode: REGION.kernelMap + 0x10_0ff0,
  /** Pages of its data in which it writes the arguments of its hypercalls. */
  data: REGION.kernelMap + 0x10_9000,
  /** The page that it replaces by shared_info. */
  sharedInfo: REGION.kernelMap + 0x10_a000,
  /** Its stack pointer while a hypercall runs. */
  stack: REGION.kernelMap + 0x11_0ab0,
  pool: REGION.kernelMap + 0x20_0000,
  window: REGION.kernelMap + 0x40_0000,
  windowPages: 128,
  /** End of the part that a domain builder has to map: 8 MiB. */
  end: REGION.kernelMap + 0x80_0000,
} as const

/** Frames that the scripts have names for without being memory. */
export const FIXED_FRAMES = {
  LOWIO: 0xb8,
  LAPIC: 0xfee00,
  IOAPIC: 0xfec00,
  NORAM: 0x100_0000,
  INVAL: 0xff_ffff_ffff,
} as const
