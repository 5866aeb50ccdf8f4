import type { ExtRequest, MmuRequest } from './parse.ts'
import type { Pair, Probe } from './probe.ts'

/** The words of a request of mmu_update: the machine address of the slot with the command in it, and the entry. */
export function mmuWords(probe: Probe, request: MmuRequest): Pair[] {
  if (request.kind === 'm2p') {
    const [lo, hi] = probe.argument(request.frame)
    return [
      [((lo << 12) | 1) >>> 0, ((hi << 12) | (lo >>> 20)) >>> 0],
      [request.lo, request.hi],
    ]
  }
  const [lo, hi] = probe.machineAddress(request.slot)
  return [[(lo | request.command) >>> 0, hi], probe.entry(request.entry)]
}

/** An address that the probe does not map: where `bad` bitmaps are. */
const BAD_BITMAP: Pair = [0x2345_6000, 1]

/** The words of an operation of mmuext_op. */
export function extWords(probe: Probe, request: ExtRequest): Pair[] {
  const bitmap =
    request.vcpus === undefined || request.vcpus === 'null'
      ? ([0, 0] as Pair)
      : request.vcpus === 'bad'
        ? BAD_BITMAP
        : probe.vcpuBitmap(request.vcpus)
  return [
    [request.command, 0],
    request.arg1 === null ? [0, 0] : probe.argument(request.arg1),
    request.arg2 === null ? bitmap : probe.argument(request.arg2),
  ]
}
