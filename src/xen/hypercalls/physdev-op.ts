import { vaOf } from '../../bits/address.ts'
import { EINVAL } from '../../bits/errno.ts'
import { BOARD_IRQS } from '../../machine/board/board.ts'
import { PHYSDEV_OP } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import { domainNamed } from '../mm/foreign.ts'
import { putPageAndType } from '../mm/frame-type.ts'
import { isGuestRange } from '../mm/guest-copy.ts'
import { holdWritable } from '../mm/hold-writable.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import {
  freePirq,
  lineLimit,
  lineOf,
  mayUseLine,
  pirqLimit,
  pirqOf,
  setPirq,
  takePirq,
} from '../sched/pirqs.ts'
import { arg32, argVa, giveWords } from './arguments.ts'
import { applyOperation, flat, type Operation, type OperationRequest, readOperation } from './flat.ts'

/**
 * physdev_op(command, argument*): the I/O privilege of any guest; and dom0's interrupts and devices, of which a board has
 * lines on which nothing happens, and none. Xen: do_physdev_op().
 */
export const physdevOp = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  const { xen, port } = call
  const command = arg32(port, 0)
  if (command > xen.version.abi.lastPhysdevOp) return refused(xen, 'unknownCommand', { cmd: command })
  return readOperation(call, OPERATIONS, command, argVa(port, 1))
}

/** What is said of a function of PCI that there is not: by dom0 only, in so many words. */
function noDevice(words: number): Operation {
  return { words, isPrivileged: true, apply: ({ xen }) => refuse(xen, 'noDevice') }
}

/** A function of PCI: bus and device; or with its segment before them. */
const shortFunction = (word: number): number => (word & 0xff) * 0x100 + ((word >>> 8) & 0xff)
const longFunction = (word: number): number =>
  (word & 0xffff) * 0x1_0000 + ((word >>> 16) & 0xff) * 0x100 + (word >>> 24)

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  // Nothing waits for this any more.
  [PHYSDEV_OP.irq_unmask_notify, { words: 0, apply: () => 0 }],
  // {u32 pirq, out u32 flags}
  [PHYSDEV_OP.irq_status_query, { words: 1, apply: queryStatus }],
  // {u32 level}
  [PHYSDEV_OP.set_iopl, { words: 1, apply: setIopl }],
  // {u64 bits*, u32 ports}
  [PHYSDEV_OP.set_iobitmap, { words: 3, apply: setIoBitmap }],
  // {u64 address, u32 register, u32 value}
  [PHYSDEV_OP.apic_read, { words: 4, isPrivileged: true, apply: readIoApic }],
  [
    PHYSDEV_OP.apic_write,
    { words: 4, isPrivileged: true, apply: (call, { words }) => findIoApic(call, words) },
  ],
  // {u32 irq, out u32 vector}: the vector is Xen's, and what dom0 is told is its own number.
  [
    PHYSDEV_OP.alloc_irq_vector,
    { words: 1, isPrivileged: true, apply: (call, { words, at }) => giveWords(call, at + 4, [words[0]]) },
  ],
  // {u32 pirq}
  [PHYSDEV_OP.eoi, { words: 1, apply: endInterrupt }],
  // {u16 domain, s32 type, s32 index, s32 pirq, ...}
  [PHYSDEV_OP.map_pirq, { words: 4, apply: mapPirq }],
  // {u16 domain, u32 pirq}
  [PHYSDEV_OP.unmap_pirq, { words: 2, apply: unmapPirq }],
  // {u8 bus, u8 device}
  [PHYSDEV_OP.manage_pci_add, addsFunction(1, shortFunction)],
  [PHYSDEV_OP.manage_pci_add_ext, addsFunction(4, shortFunction)],
  [PHYSDEV_OP.manage_pci_remove, removesFunction(shortFunction)],
  [PHYSDEV_OP.restore_msi, noDevice(1)],
  // {u16 segment, u8 bus, u8 device}
  [PHYSDEV_OP.pci_device_add, addsFunction(3, longFunction)],
  [PHYSDEV_OP.pci_device_remove, removesFunction(longFunction)],
  [PHYSDEV_OP.restore_msi_ext, noDevice(1)],
  [PHYSDEV_OP.prepare_msix, noDevice(1)],
  [PHYSDEV_OP.release_msix, noDevice(1)],
  [PHYSDEV_OP.pci_device_reset, noDevice(2)],
  // {u64 address, u16 segment, u8 first bus, u8 last bus, u32 flags}: Xen knows of no such space.
  [PHYSDEV_OP.pci_mmcfg_reserved, noDevice(4)],
  // {u64 frame}
  [PHYSDEV_OP.pirq_eoi_gmfn_v1, { words: 2, apply: setEoiFrame }],
  [PHYSDEV_OP.pirq_eoi_gmfn_v2, { words: 2, apply: setEoiFrame }],
  // {s32 line, u8 trigger, u8 polarity}
  [PHYSDEV_OP.setup_gsi, { words: 2, isPrivileged: true, apply: setUpLine }],
  // {s32 type, out u32 pirq}
  [PHYSDEV_OP.get_free_pirq, { words: 1, apply: getFreePirq }],
  // Xen has no debug port whose controller could be reset.
  [PHYSDEV_OP.dbgp_op, { words: 2, isPrivileged: true, apply: () => 0 }],
])

// ---- the privilege of ports ----

/** All ports that there are, and the bytes of as many bits. */
const PORTS = 0x1_0000

/** The bits stay in the guest's memory, and are looked at when it uses a port. */
function setIoBitmap({ xen, vcpu }: Call, { words: [lo, hi, ports] }: OperationRequest): number {
  const at = vaOf(lo, hi)
  if (ports > PORTS || !isGuestRange(at, PORTS / 8)) return refuse(xen, 'badArgument', { ports })
  vcpu.ioBitmap = { at, ports }
  return 0
}

function setIopl({ xen, vcpu }: Call, { words: [level] }: OperationRequest): number {
  if (level > 3) return refuse(xen, 'badArgument', { level })
  vcpu.iopl = level
  return 0
}

// ---- interrupts ----

/** An interrupt has to be ended by the guest: XENIRQSTAT_needs_eoi. */
const NEEDS_EOI = 1

function queryStatus(call: Call, { words: [pirq], at }: OperationRequest): number {
  const { xen, domain } = call
  if (pirq >= pirqLimit(xen, domain)) return refuse(xen, 'badArgument', { pirq })
  return giveWords(call, at + 4, [NEEDS_EOI])
}

function endInterrupt({ xen, domain }: Call, { words: [pirq] }: OperationRequest): number {
  return pirqOf(domain, pirq) === undefined ? refuse(xen, 'badArgument', { pirq }) : 0
}

/** Types of map_pirq. Those of messages are about a function of PCI; the one of a line, which is its index. */
const MAP = { msi: 0, gsi: 1, msi_seg: 3, multi_msi: 4 } as const
const OF_MESSAGES: ReadonlySet<number> = new Set([MAP.msi, MAP.msi_seg, MAP.multi_msi])

/** The structure is copied back whether or not it was done. Xen: physdev_map_pirq(). */
function mapPirq(call: Call, { words, at }: OperationRequest): number {
  const mapped = mappedPirq(call, words)
  const told = giveWords(call, at + 12, [mapped < 0 ? words[3] : mapped])
  return told !== 0 ? told : Math.min(mapped, 0)
}

/** The pirq that a line now has, or a negative number that the guest is told. */
function mappedPirq(call: Call, [first, type, index, wanted]: Uint32Array): number {
  const { xen, domain: caller } = call
  const domain = targetOf(call, first & 0xffff)
  if (isRefusal(domain)) return domain.errno
  if (OF_MESSAGES.has(type)) return refuse(xen, 'noDevice')
  if (type !== MAP.gsi || index >= lineLimit(xen)) return refuse(xen, 'badArgument', { type, index })
  // dom0 may name a line by itself, or by what it has made of it.
  const line = lineOf(caller, index) || index
  const pirq = chosenPirq(call, domain, line, wanted)
  if (pirq < 0) return pirq
  if (!mayUseLine(xen, caller, line)) return refuse(xen, 'notAllowed', { line })
  if (pirq >= pirqLimit(xen, domain)) return refuse(xen, 'badArgument', { pirq })
  // A pirq of another line stays what it is, and nobody is told.
  const old = lineOf(domain, pirq)
  if (old === 0) setPirq(domain, pirq, line)
  return pirq
}

/** The pirq for a line: the one that it has, the one that is wanted, or, where that is negative, any. Xen: allocate_pirq(). */
function chosenPirq({ xen }: Call, domain: Domain, line: number, wanted: number): number {
  const current = domain.pirqs.find((p) => line !== 0 && p.line === line)
  if (wanted >= 2 ** 31) {
    if (current === undefined) {
      const free = freePirq(xen, domain, true)
      return free === -1 ? refuse(xen, 'noPirqLeft') : free
    }
    if (current.isLeaving) return refuse(xen, 'lineOfXen', { line })
    if (xen.version.rules.mapsLineAgain) return current.pirq
    // What is returned is the pirq, which is none: not a number of an error, though it looks like one.
    refuse(xen, 'mappedAlready', { line, pirq: current.pirq })
    return wanted | 0
  }
  const isOther = current !== undefined && (current.isLeaving || current.pirq !== wanted)
  return isOther ? refuse(xen, 'mappedAlready', { line, pirq: current.pirq }) : wanted
}

/** The domain that an operation on interrupts names: dom0 may name any. */
function targetOf({ xen, domain: caller }: Call, domid: number): Domain | Refusal {
  const domain = domainNamed(xen, caller, domid)
  if (domain === undefined) return refused(xen, 'noDomain', { domid })
  return caller.privileged ? domain : refused(xen, 'notAllowed', { domid })
}

function unmapPirq(call: Call, { words: [first, pirq] }: OperationRequest): number {
  const domain = targetOf(call, first & 0xffff)
  if (isRefusal(domain)) return domain.errno
  const found = pirqOf(domain, pirq)
  if (found === undefined || lineOf(domain, pirq) === 0) return refuse(call.xen, 'badArgument', { pirq })
  takePirq(domain, found)
  return 0
}

/** A pirq is given out and mapped to nothing: nobody else is given it. */
function getFreePirq(call: Call, { words: [type], at }: OperationRequest): number {
  const { xen, domain } = call
  const pirq = freePirq(xen, domain, type === MAP.gsi)
  if (pirq === -1) return refuse(xen, 'noPirqLeft')
  setPirq(domain, pirq, 0)
  return giveWords(call, at + 4, [pirq])
}

/** A page for flags of interrupts is held as writable, and there is no second one. */
function setEoiFrame(call: Call, { words: [lo, hi] }: OperationRequest): number {
  const { xen, domain } = call
  const mfn = hi * 2 ** 32 + lo
  const rc = holdWritable(call, mfn, EINVAL)
  if (rc !== 0) return rc
  if (domain.eoiFrame !== 0) {
    putPageAndType(xen, mfn, xen.memory.record(mfn))
    return refuse(xen, 'heldAlready', { mfn: domain.eoiFrame })
  }
  domain.eoiFrame = mfn
  return 0
}

// ---- the IO-APIC ----

/** Where it is, and what is in its registers: its version and number of lines, and all of these masked. */
const IO_APIC_ADDRESS = 0xfec0_0000
const IO_APIC_VERSION = 0x0017_0020
const [VERSION_REGISTER, FIRST_LINE] = [1, 0x10]
const MASKED = 0x0001_0000

/** 0, or what is said where no IO-APIC is at an address. */
function findIoApic({ xen }: Call, [lo, hi]: Uint32Array): number {
  const isThere = hi === 0 && lo === IO_APIC_ADDRESS && xen.board?.hasIoApic !== false
  return isThere ? 0 : refuse(xen, 'badArgument', { address: hi * 2 ** 32 + lo })
}

function readIoApic(call: Call, { words, at }: OperationRequest): number {
  const rc = findIoApic(call, words)
  if (rc !== 0) return rc
  const register = words[2]
  const isLine = register >= FIRST_LINE && register % 2 === 0
  const value = register === VERSION_REGISTER ? IO_APIC_VERSION : isLine ? MASKED : 0
  return giveWords(call, at + 12, [value])
}

/** A line is set up once; that of power management is, and the timer's, too. Xen: mp_register_gsi(). */
function setUpLine({ xen }: Call, { words: [line] }: OperationRequest): number {
  if (line === BOARD_IRQS.sci) return 0
  if (xen.board?.hasIoApic === false || line >= lineLimit(xen)) return refuse(xen, 'badArgument', { line })
  const programmed = xen.board?.programmedLines ?? []
  if (line === 0 || programmed.includes(line)) return refuse(xen, 'isProgrammed', { line })
  if (xen.board !== null) xen.board.programmedLines = [...programmed, line]
  return 0
}

// ---- functions of PCI ----

/** Of these Xen keeps records, and has memory for so many of them. */
const MOST_FUNCTIONS = 4096

/** Xen believes dom0 that there is a function. Xen: pci_add_device(). */
function addsFunction(words: number, functionOf: (word: number) => number): Operation {
  return {
    words,
    isPrivileged: true,
    apply: ({ xen }, request) => {
      const known = xen.board?.pciFunctions ?? []
      const added = functionOf(request.words[0])
      if (known.includes(added)) return 0
      if (known.length === MOST_FUNCTIONS) return refuse(xen, 'outOfMemory')
      if (xen.board !== null) xen.board.pciFunctions = [...known, added]
      return 0
    },
  }
}

function removesFunction(functionOf: (word: number) => number): Operation {
  return {
    words: 1,
    isPrivileged: true,
    apply: ({ xen }, request) => {
      const { board } = xen
      const removed = functionOf(request.words[0])
      if (board?.pciFunctions.includes(removed) !== true) return refuse(xen, 'noDevice')
      board.pciFunctions = board.pciFunctions.filter((known) => known !== removed)
      return 0
    },
  }
}
