import { PAGE } from '../../bits/address.ts'
import { RECORD_WORDS } from '../../machine/frames.ts'
import type { BootPlan } from './boot-plan.ts'

const GROUP_FRAMES = 2 ** 16
/** A group's records, and its part of the M2P: eight bytes a frame. */
const GROUP_BYTES = GROUP_FRAMES * (RECORD_WORDS * 4 + 8)
/** Tables that every boot has, the kernel's own pages, what is read of the image. */
const ALWAYS = 24 * 2 ** 20
const MIB = 2 ** 20

/**
 * Bytes that a boot touches at most: what its machine must reserve. Records and M2P of the groups in which the guest gets
 * frames; its p2m list, eight bytes a frame; tables for what it maps, eight bytes a page; with `memtest` all its memory.
 */
export function machineBytes(plan: BootPlan): number {
  const { ram, map } = plan.host
  const groups = new Set<number>()
  for (const { start, end } of ram) {
    for (let g = Math.floor(start / GROUP_FRAMES); g * GROUP_FRAMES < end; g++) groups.add(g)
  }
  // Frames are given out from the bottom of each range on, the first ones from its top.
  const owned = Math.ceil(plan.nrPages / GROUP_FRAMES) + 2 * ram.length + 4
  const records = Math.min(groups.size, owned) * GROUP_BYTES
  // Xen's own frames have records too: a frame of the M2P for every 512 frames that there are.
  const ramEnd = Math.max(0, ...ram.map(({ end }) => end))
  const xen = (Math.ceil(ramEnd / 512 / GROUP_FRAMES) + 2) * GROUP_FRAMES * RECORD_WORDS * 4
  const seen = plan.memoryMap ?? map
  const mapped = seen.reduce(
    (sum, { start, end }) => sum + Math.max(0, Math.min(end, ramEnd * PAGE) - start),
    0,
  )
  const tables = (mapped / PAGE + plan.nrPages) * 8
  const tested = /(?:^|\s)memtest=/.test(plan.commandLine) ? plan.nrPages * PAGE : 0
  const bytes = records + xen + plan.nrPages * 8 + tables + tested + ALWAYS
  return Math.min(2 ** 32, Math.ceil(bytes / MIB) * MIB)
}
