import { totalmem } from 'node:os'
import { type KernelSpec, MACHINE_BYTES } from '../../../run/kernel/kernel-boot.ts'

/** What of the host's memory is left for everything else, the rest of this process included. */
const REST = 512 * 2 ** 20
const MIB = 2 ** 20
const FRAME = 4096

/**
 * The most memory that a machine may have here, in bytes: all that it can have, or what this host has at all. It does not
 * depend on what else runs, so that a run ends at the same instruction each time.
 *
 * @param total what the host has, or a limit that it puts on this process
 */
export function hostMemory(total = Math.min(totalmem(), process.constrainedMemory() || Infinity)): number {
  const least = MACHINE_BYTES / 16
  return Math.min(MACHINE_BYTES, Math.max(least, Math.floor((total - REST) / MIB) * MIB))
}

/** What to say, before it starts, of a guest that has more than this host can give: null when there is nothing to say. */
export function memoryNote(spec: KernelSpec, most: number): string | null {
  const asked = 'restore' in spec ? 0 : (spec.memory ?? 0) * FRAME
  if (asked <= most) return null
  const [has, gives] = [asked, most].map((n) => Math.floor(n / MIB))
  return `the guest has ${has} MiB, of which it can use ${gives} MiB here; one that touches more ends there, with status 9`
}
