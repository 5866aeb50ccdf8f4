import { PAGE } from '../bits/address.ts'
import type { E820Entry } from '../xen/abi.ts'

/**
 * The map that xl gives a PV guest, of a model's as of a real kernel: all that it may come to have, as one range. Xen:
 * libxl__arch_domain_create().
 *
 * @param maxPages frames of 4 KiB
 */
export function guestMap(maxPages: number): readonly E820Entry[] {
  return [{ start: 0, end: maxPages * PAGE, type: 'usable' }]
}
