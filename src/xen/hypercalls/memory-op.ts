import { REGION, vaHigh, vaOf } from '../../bits/address.ts'
import { DOMID } from '../../bits/domid.ts'
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../bits/errno.ts'
import { RDI, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { E820, type E820Entry, MEMORY_OP } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { mayActOn } from '../mm/foreign.ts'
import { copyByteFromGuest, copyFromGuest, copyToGuest } from '../mm/guest-copy.ts'
import { changeReservation, type ReservationChange } from '../mm/reservation.ts'
import { arg32, argHigh, argVa } from './arguments.ts'
import { PREEMPTED } from './continuation.ts'
import { exchange } from './exchange.ts'

/**
 * memory_op(command, argument*): what a domain owns, and what the machine has. The command's bits from 6 on are the
 * extent to start with, by which lists are put off. Xen: do_memory_op(), arch_memory_op().
 */
export function memoryOp({ xen, domain: caller, port }: Call): number {
  const command = arg32(port, 0) & 63
  const start = Math.floor((argHigh(port, 0) * 0x1_0000_0000 + arg32(port, 0)) / 64)
  const argument = argVa(port, 1)
  switch (command) {
    case MEMORY_OP.increase_reservation:
      return reservation(xen, caller, port, argument, start, 'increase')
    case MEMORY_OP.decrease_reservation:
      return reservation(xen, caller, port, argument, start, 'decrease')
    case MEMORY_OP.populate_physmap:
      return reservation(xen, caller, port, argument, start, 'populate')
    case MEMORY_OP.exchange:
      return exchange(xen, caller, port, argument)
    case MEMORY_OP.maximum_ram_page:
      return xen.maxPage
    case MEMORY_OP.current_reservation:
    case MEMORY_OP.maximum_reservation:
      return pagesOfDomain(xen, caller, port, argument, command === MEMORY_OP.maximum_reservation)
    case MEMORY_OP.machphys_mfn_list:
      return machphysMfnList(xen, port, argument)
    case MEMORY_OP.machphys_mapping:
      return machphysMapping(xen, caller, port, argument)
    case MEMORY_OP.memory_map:
      return caller.memoryMap === null ? ENOSYS : giveMap(port, argument, caller.memoryMap)
    case MEMORY_OP.machine_memory_map:
      return caller.privileged ? machineMap(xen, port, argument) : EPERM
    default:
      return answer(xen, caller, port, argument, command)
  }
}

/** What a PV guest has no use for, as it keeps its own map of what it owns; and what is dom0's. */
function answer(xen: Hypervisor, caller: Domain, port: Vcpu, argument: number, command: number): number {
  const answers = xen.version.abi.memoryOps[command]
  if (answers === undefined) return ENOSYS
  if (copyByteFromGuest(port, argument) === -1) return EFAULT
  return answers[caller.privileged ? 0 : 1]
}

/** A change of a domain's reservation: how many extents are done. */
function reservation(
  xen: Hypervisor,
  caller: Domain,
  port: Vcpu,
  argument: number,
  start: number,
  how: ReservationChange,
): number {
  const { done, isOver } = changeReservation(xen, caller, port, argument, start, how)
  if (isOver) return done
  port.setNumber(RDI, (arg32(port, 0) & 63) + done * 64)
  return PREEMPTED
}

/** {u16 domain}: how many pages it has, or may have. */
function pagesOfDomain(
  xen: Hypervisor,
  caller: Domain,
  port: Vcpu,
  argument: number,
  maximum: boolean,
): number {
  const [low, high] = [copyByteFromGuest(port, argument), copyByteFromGuest(port, argument + 1)]
  if (low === -1 || high === -1) return EFAULT
  const id = high * 256 + low
  const domain = id === DOMID.SELF || id === caller.id ? caller : xen.domainById(id)
  if (domain === undefined) return ESRCH
  if (!mayActOn(caller, domain)) return EPERM
  return maximum ? domain.maxPages : domain.totPages
}

/** {u32 room, u64 list*, u32 count}: the frames of the M2P, one for each 2 MiB of it. A hole repeats the one before. */
function machphysMfnList(xen: Hypervisor, port: Vcpu, argument: number): number {
  const head = new Uint32Array(4)
  if (!copyFromGuest(port, argument, head, 4)) return EFAULT
  const list = vaOf(head[2], head[3])
  // 2 MiB of the table describe 2^18 frames.
  const count = Math.min(head[0], Math.ceil(xen.maxPage / 0x40000))
  let last = 0
  for (let i = 0; i < count; i++) {
    const isMapped = xen.host.ram.some((r) => r.start < (i + 1) * 0x40000 && r.end > i * 0x40000)
    if (isMapped) last = xen.m2p.firstFrame + i * 512
    if (!copyToGuest(port, list + i * 8, [last >>> 0, Math.floor(last / 0x1_0000_0000)], 2)) return EFAULT
  }
  return copyToGuest(port, argument + 16, [count], 1) ? 0 : EFAULT
}

/** {u64 v_start, u64 v_end, u64 max_mfn}: where the guest finds the M2P. */
function machphysMapping(xen: Hypervisor, caller: Domain, port: Vcpu, argument: number): number {
  const max = xen.version.abi.hidesRamSize && !caller.privileged ? 0x7_ffff_ffff : xen.maxPage - 1
  const words = [
    REGION.m2p >>> 0,
    vaHigh(REGION.m2p),
    REGION.m2pEnd >>> 0,
    vaHigh(REGION.m2pEnd),
    max >>> 0,
    Math.floor(max / 0x1_0000_0000),
  ]
  return copyToGuest(port, argument, words, 6) ? 0 : EFAULT
}

/** The map of the machine, or how many entries it has. */
function machineMap(xen: Hypervisor, port: Vcpu, argument: number): number {
  const head = new Uint32Array(4)
  if (!copyFromGuest(port, argument, head, 4)) return EFAULT
  const isCount = xen.version.abi.countsMap && head[2] === 0 && head[3] === 0
  if (!isCount) return giveMap(port, argument, xen.machineMap)
  return copyToGuest(port, argument, [xen.machineMap.length], 1) ? 0 : EFAULT
}

/** {u32 count, u64 buffer*}: as many entries of {u64 start, u64 size, u32 type} as there is room for. */
function giveMap(port: Vcpu, argument: number, map: readonly E820Entry[]): number {
  const head = new Uint32Array(4)
  if (!copyFromGuest(port, argument, head, 4)) return EFAULT
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
    if (!copyToGuest(port, buffer + i * 20, words, 5)) return EFAULT
  }
  return copyToGuest(port, argument, [map.length], 1) ? 0 : EFAULT
}
