import { REGION, vaHigh, vaOf } from '../../bits/address.ts'
import { RDI } from '../../machine/vcpu/vcpu.ts'
import { E820, type E820Entry, MEMORY_OP } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import { domainNamed, mayActOn } from '../mm/foreign.ts'
import { copyByteFromGuest } from '../mm/guest-copy.ts'
import { changeReservation, type ReservationChange } from '../mm/reservation.ts'
import { answered, isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { arg32, argHigh, argVa, giveWords, wordsAt } from './arguments.ts'
import { PREEMPTED } from './continuation.ts'
import { exchange } from './exchange.ts'
import { flat } from './flat.ts'

/**
 * memory_op(command, argument*): what a domain owns, and what the machine has. The command's bits from 6 on are the
 * extent to start with, by which lists of extents are put off: Xen takes them one after the other, so those before one that
 * cannot be had are done. Xen: do_memory_op(), arch_memory_op().
 */
export function memoryOp(call: Call): number {
  const { xen, domain, port } = call
  const command = arg32(port, 0) & 63
  switch (command) {
    case MEMORY_OP.increase_reservation:
      return reservation(call, 'increase')
    case MEMORY_OP.decrease_reservation:
      return reservation(call, 'decrease')
    case MEMORY_OP.populate_physmap:
      return reservation(call, 'populate')
    case MEMORY_OP.exchange:
      return exchange(call)
    case MEMORY_OP.maximum_ram_page:
      return xen.maxPage
    case MEMORY_OP.current_reservation:
      return currentReservation(call)
    case MEMORY_OP.maximum_reservation:
      return maximumReservation(call)
    case MEMORY_OP.machphys_mfn_list:
      return machphysMfnList(call)
    case MEMORY_OP.machphys_mapping:
      return machphysMapping(call)
    case MEMORY_OP.memory_map:
      return domain.memoryMap === null
        ? refuse(xen, 'notOffered', { cmd: command })
        : giveMap(call, domain.memoryMap)
    case MEMORY_OP.machine_memory_map:
      return domain.privileged ? machineMap(call) : refuse(xen, 'notAllowed', { domid: domain.id })
    default:
      return answer(call, command)
  }
}

/** What a PV guest has no use for, as it keeps its own map of what it owns; and what is dom0's. */
function answer({ xen, domain, port }: Call, command: number): number {
  const answers = xen.version.abi.memoryOps[command]
  if (answers === undefined) return refuse(xen, 'unknownCommand', { cmd: command })
  const va = argVa(port, 1)
  if (copyByteFromGuest(port, va) === -1) return refuse(xen, 'unreadable', { va })
  return answered(xen, command, answers[domain.privileged ? 0 : 1])
}

/** A change of a domain's reservation: how many extents are done. */
function reservation(call: Call, how: ReservationChange): number {
  const { port } = call
  const start = Math.floor((argHigh(port, 0) * 0x1_0000_0000 + arg32(port, 0)) / 64)
  const { done, isOver } = changeReservation(call, argVa(port, 1), start, how)
  if (isOver) return done
  port.setNumber(RDI, (arg32(port, 0) & 63) + done * 64)
  return PREEMPTED
}

/** {u16 domain}: how many pages it has, or may have. */
const currentReservation = flat(readDomain, (_call, domain) => domain.totPages)
const maximumReservation = flat(readDomain, (_call, domain) => domain.maxPages)

function readDomain({ xen, domain: caller, port }: Call): Domain | Refusal {
  const va = argVa(port, 1)
  const [low, high] = [copyByteFromGuest(port, va), copyByteFromGuest(port, va + 1)]
  if (low === -1 || high === -1) return refused(xen, 'unreadable', { va })
  const domid = high * 256 + low
  const domain = domainNamed(xen, caller, domid)
  if (domain === undefined) return refused(xen, 'noDomain', { domid })
  return mayActOn(caller, domain) ? domain : refused(xen, 'notAllowed', { domid })
}

/** A list in the guest's memory: for how many entries it has room, and where it is. */
type List = { readonly room: number; readonly list: number }

/** {u32 room, u64 list*, ...} */
function readList(call: Call): List | Refusal {
  const head = wordsAt(call, argVa(call.port, 1), 4)
  return isRefusal(head) ? head : { room: head[0], list: vaOf(head[2], head[3]) }
}

/** {u32 room, u64 list*, u32 count}: the frames of the M2P, one for each 2 MiB of it. A hole repeats the one before. */
const machphysMfnList = flat(readList, (call, { room, list }) => {
  const { xen, port } = call
  // 2 MiB of the table describe 2^18 frames.
  const count = Math.min(room, Math.ceil(xen.maxPage / 0x40000))
  let last = 0
  for (let i = 0; i < count; i++) {
    const isMapped = xen.host.ram.some((r) => r.start < (i + 1) * 0x40000 && r.end > i * 0x40000)
    if (isMapped) last = xen.m2p.firstFrame + i * 512
    const rc = giveWords(call, list + i * 8, [last >>> 0, Math.floor(last / 0x1_0000_0000)])
    if (rc !== 0) return rc
  }
  return giveWords(call, argVa(port, 1) + 16, [count])
})

/** {u64 v_start, u64 v_end, u64 max_mfn}: where the guest finds the M2P. */
function machphysMapping(call: Call): number {
  const { xen, domain, port } = call
  const max = xen.version.abi.hidesRamSize && !domain.privileged ? 0x7_ffff_ffff : xen.maxPage - 1
  const words = [
    REGION.m2p >>> 0,
    vaHigh(REGION.m2p),
    REGION.m2pEnd >>> 0,
    vaHigh(REGION.m2pEnd),
    max >>> 0,
    Math.floor(max / 0x1_0000_0000),
  ]
  return giveWords(call, argVa(port, 1), words)
}

/** The map of the machine, or how many entries it has. */
const machineMap = flat(readList, (call, to) => {
  const { xen, port } = call
  const isCount = xen.version.abi.countsMap && to.list === 0
  return isCount
    ? giveWords(call, argVa(port, 1), [xen.machineMap.length])
    : writeMap(call, to, xen.machineMap)
})

/** {u32 count, u64 buffer*}: as many entries of {u64 start, u64 size, u32 type} as there is room for. */
function giveMap(call: Call, map: readonly E820Entry[]): number {
  const to = readList(call)
  return isRefusal(to) ? to.errno : writeMap(call, to, map)
}

function writeMap(call: Call, { room, list }: List, map: readonly E820Entry[]): number {
  if (room < map.length) return refuse(call.xen, 'badArgument', { room })
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
    const rc = giveWords(call, list + i * 20, words)
    if (rc !== 0) return rc
  }
  return giveWords(call, argVa(call.port, 1), [map.length])
}
