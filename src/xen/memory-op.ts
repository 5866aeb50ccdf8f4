import { REGION, vaHigh, vaOf } from '../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS, EPERM } from '../bits/errno.ts'
import { TYPE_PINNED } from '../machine/frames.ts'
import type { Vcpu } from '../machine/vcpu.ts'
import { E820, type E820Entry, MEMORY_OP } from './abi.ts'
import { arg32, argVa } from './arguments.ts'
import type { Domain } from './domain.ts'
import { isPinned, putPageAndType } from './frame-type.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from './guest-copy.ts'
import type { Hypervisor } from './hypervisor.ts'
import { getPage, putAllocationReference, putPage } from './references.ts'

/**
 * memory_op(command, argument*): what a domain owns, and what the machine has. Xen: do_memory_op(), arch_memory_op().
 */
export function memoryOp(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const command = arg32(vcpu, 0) & 63
  const start = Math.floor(arg32(vcpu, 0) / 64)
  const argument = argVa(vcpu, 1)
  switch (command) {
    case MEMORY_OP.decrease_reservation:
      return decreaseReservation(xen, caller, vcpu, argument, start)
    case MEMORY_OP.maximum_ram_page:
      return xen.maxPage
    case MEMORY_OP.current_reservation:
      return caller.totPages
    case MEMORY_OP.maximum_reservation:
      return caller.maxPages
    case MEMORY_OP.machphys_mfn_list:
      return machphysFrames(xen, vcpu, argument)
    case MEMORY_OP.machphys_mapping:
      return machphysMapping(xen, vcpu, argument)
    case MEMORY_OP.memory_map:
      return caller.memoryMap === null ? ENOSYS : giveMap(vcpu, argument, caller.memoryMap)
    case MEMORY_OP.machine_memory_map:
      return caller.privileged ? giveMap(vcpu, argument, xen.machineMap) : EPERM
    default:
      return ENOSYS
  }
}

const reservation = new Uint32Array(8)
const extent = new Uint32Array(2)

/** Give frames back, one an extent: {u64 extents*, u64 count, u32 order, u32 flags, u16 domain}. Returns how many. */
function decreaseReservation(
  xen: Hypervisor,
  caller: Domain,
  vcpu: Vcpu,
  argument: number,
  start: number,
): number {
  if (!copyFromGuest(vcpu, argument, reservation, 7)) return start
  const list = vaOf(reservation[0], reservation[1])
  const count = reservation[3] * 0x1_0000_0000 + reservation[2]
  const order = reservation[4]
  if (order > 9 || !isGuestRange(list, count * 8)) return start
  for (let i = start; i < count; i++) {
    if (!copyFromGuest(vcpu, list + i * 8, extent, 2)) return i
    const first = extent[1] * 0x1_0000_0000 + extent[0]
    for (let j = 0; j < 2 ** order; j++) {
      if (!removePage(xen, caller, first + j)) return i
    }
  }
  return count
}

/** guest_remove_page(): the frame stays as long as anything else holds it. */
function removePage(xen: Hypervisor, caller: Domain, mfn: number): boolean {
  const record = xen.memory.record(mfn)
  if (record === -1) {
    xen.log('pageInvalid', caller.id, mfn)
    return false
  }
  if (!getPage(xen, mfn, record, caller)) {
    // To a PV domain its frame numbers are the machine's.
    xen.log('pageFree', caller.id, mfn)
    return false
  }
  if (xen.version.freeUnpins && isPinned(xen, record)) {
    xen.memory.u32[record] = (xen.memory.u32[record] & ~TYPE_PINNED) >>> 0
    putPageAndType(xen, mfn, record)
  }
  putAllocationReference(xen, mfn, record)
  xen.m2p.set(mfn, 0xffffffff, 0xffffffff)
  putPage(xen, mfn, record)
  return true
}

/** {u32 most, u64 list*, u32 given}: the first frame of each 2 MiB of the M2P. */
function machphysFrames(xen: Hypervisor, vcpu: Vcpu, argument: number): number {
  const head = new Uint32Array(4)
  if (!copyFromGuest(vcpu, argument, head, 4)) return EFAULT
  const list = vaOf(head[2], head[3])
  const count = Math.min(head[0], Math.ceil((xen.m2p.end - xen.m2p.firstFrame) / 512))
  for (let i = 0; i < count; i++) {
    if (!copyToGuest(vcpu, list + i * 8, [xen.m2p.firstFrame + i * 512, 0], 2)) return EFAULT
  }
  return copyToGuest(vcpu, argument + 16, [count], 1) ? 0 : EFAULT
}

/** {u64 v_start, u64 v_end, u64 max_mfn}: where the guest finds the M2P. */
function machphysMapping(xen: Hypervisor, vcpu: Vcpu, argument: number): number {
  const max = xen.maxPage - 1
  const words = [
    REGION.m2p >>> 0,
    vaHigh(REGION.m2p),
    REGION.m2pEnd >>> 0,
    vaHigh(REGION.m2pEnd),
    max >>> 0,
    Math.floor(max / 0x1_0000_0000),
  ]
  return copyToGuest(vcpu, argument, words, 6) ? 0 : EFAULT
}

/** {u32 count, u64 buffer*}: as many entries of {u64 start, u64 size, u32 type} as there is room for. */
function giveMap(vcpu: Vcpu, argument: number, map: readonly E820Entry[]): number {
  const head = new Uint32Array(4)
  if (!copyFromGuest(vcpu, argument, head, 4)) return EFAULT
  if (head[0] < map.length) return EINVAL
  const buffer = vaOf(head[2], head[3])
  for (let i = 0; i < map.length; i++) {
    const { start, end, type } = map[i]
    const size = end - start
    const words = [
      start >>> 0,
      Math.floor(start / 2 ** 32),
      size >>> 0,
      Math.floor(size / 2 ** 32),
      E820[type],
    ]
    if (!copyToGuest(vcpu, buffer + i * 20, words, 5)) return EFAULT
  }
  return copyToGuest(vcpu, argument, [map.length], 1) ? 0 : EFAULT
}
