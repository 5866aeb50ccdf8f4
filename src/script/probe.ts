import { PAGE, SLOTS, TWO_32, vaHigh, vaOf } from '../bits/address.ts'
import { DOMID } from '../bits/domid.ts'
import { entryFrame, entryHi, entryLo } from '../bits/pte.ts'
import { ARGUMENTS, GuestTrap, RSI, RSP, type Vcpu, VECTOR_PF } from '../machine/vcpu/vcpu.ts'
import { CALLBACK, HYPERCALL, MEMORY_OP, MMUEXT, START_INFO } from '../xen/abi.ts'
import { FIXED_FRAMES, PROBE } from './layout.ts'
import type { Argument, Entry, Place } from './operands.ts'
import type { ScriptSymbol, Symbols } from './symbols.ts'

/** A 64-bit value as a pair of halves. */
export type Pair = readonly [lo: number, hi: number]

/** Where the probe keeps the memory arguments of its hypercalls. */
export const REQUESTS = PROBE.data
const DONE = PROBE.data + 0x800
const EXTENT = PROBE.data + 0x810
const EXTENT_OUT = PROBE.data + 0x818
const STRUCTURE = PROBE.data + 0x840
const VCPUS = PROBE.data + 0x8c0
const GDT_FRAMES = PROBE.data + 0x900
/** The calls of a multicall, 64 bytes each, and where each of them says how much it did. */
export const CALLS = PROBE.data + 0xa00
export const CALL_DONE = PROBE.data + 0xe00
/** What a fault's frame takes of the stack. */
const FRAME_BYTES = 64
/** What the probe writes where Xen is to write how much it did. */
export const NOT_WRITTEN = 0xdead
/** What a guest's access returns to a script when it faulted. */
export const FAULTED = -14

/** Xen's error code for a fault that the probe catches in its own accesses: the accessor returns -1, the script -14. */
export type Caught = { readonly vector: number; readonly error: number; readonly va: number }

/**
 * The probe kernel, as a driver of a vCPU: it makes its hypercalls with arguments in its own memory, stores through its
 * own tables, and catches the faults of the accesses that a script asks for.
 */
export class Probe {
  readonly vcpu: Vcpu
  readonly symbols: Symbols
  /** How many requests of the last batch Xen says it did; null when it did not write it, undefined when there was none. */
  done: number | null | undefined
  caught: Caught | null = null
  private nextPage = 0

  constructor(vcpu: Vcpu, symbols: Symbols) {
    this.vcpu = vcpu
    this.symbols = symbols
  }

  // ---- hypercalls ----

  /** A hypercall; then the kernel goes on, which takes its code and its stack. */
  call(nr: number, ...args: Pair[]): number {
    const { vcpu } = this
    for (let i = 0; i < ARGUMENTS.length; i++) {
      vcpu.set(ARGUMENTS[i], args[i]?.[0] ?? 0, args[i]?.[1] ?? 0)
    }
    const rc = vcpu.hypercall(nr)
    this.goOn()
    return rc
  }

  /**
   * What a kernel does after a hypercall: its next instruction, and its stack. When its text is gone, so is that of the
   * handler of the fault: it faults on and on, until the stack has no room for another frame.
   */
  goOn(): void {
    const { vcpu } = this
    for (let stack = PROBE.stack; ; stack -= FRAME_BYTES) {
      try {
        vcpu.setVa(RSP, stack)
        vcpu.fetch(PROBE.code)
        break
      } catch (error) {
        if (!(error instanceof GuestTrap)) throw error
      }
    }
    vcpu.load64(PROBE.stack)
  }

  memoryOp(command: number, argument: number): number {
    return this.call(HYPERCALL.memory_op, [command, 0], pairOfVa(argument))
  }

  /** Make a batch: `words` are its requests. */
  batch(nr: number, words: readonly Pair[], requestWords: number, domain: number | null): number {
    words.forEach((word, i) => {
      this.write(REQUESTS + i * 8, word)
    })
    this.vcpu.store32(DONE, NOT_WRITTEN)
    const count = words.length / requestWords
    const rc = this.call(nr, pairOfVa(REQUESTS), [count, 0], pairOfVa(DONE), [domain ?? DOMID.SELF, 0])
    const done = this.vcpu.load32(DONE)
    this.done = done === NOT_WRITTEN ? null : done
    return rc
  }

  setGdt(frames: readonly Pair[], entries: number): number {
    // The list is the probe's for good: what a longer call left in it stays.
    frames.forEach((frame, i) => {
      this.write(GDT_FRAMES + i * 8, frame)
    })
    return this.call(HYPERCALL.set_gdt, pairOfVa(GDT_FRAMES), [entries, 0])
  }

  /** One extent of one page through increase, decrease or populate; returns [extents done, the extent afterwards]. */
  reservation(command: number, extent: Pair): readonly [done: number, extent: number] {
    this.write(EXTENT, extent)
    this.writeReservation(STRUCTURE, EXTENT)
    const rc = this.memoryOp(command, STRUCTURE)
    return [rc, this.read(EXTENT)]
  }

  /** XENMEM_exchange of one page; returns [result, exchanged, the new frame]. */
  exchange(mfn: Pair, pfn: number): readonly [rc: number, done: number, mfn: number] {
    this.write(EXTENT, mfn)
    this.write(EXTENT_OUT, pairOf(pfn))
    this.writeReservation(STRUCTURE, EXTENT)
    this.writeReservation(STRUCTURE + 32, EXTENT_OUT)
    this.write(STRUCTURE + 64, [0, 0])
    const rc = this.memoryOp(MEMORY_OP.exchange, STRUCTURE)
    return [rc, this.read(STRUCTURE + 64), this.read(EXTENT_OUT)]
  }

  /** struct xen_memory_reservation: extents*, how many, order, flags, domain. */
  private writeReservation(va: number, extents: number): void {
    this.write(va, pairOfVa(extents))
    this.write(va + 8, [1, 0])
    this.write(va + 16, [0, 0])
    this.write(va + 24, [DOMID.SELF, 0])
  }

  /** Ask Xen for a frame's words: a pin on behalf of dom_io, whose refusal says them. */
  askAbout(mfn: number): void {
    this.write(REQUESTS, [MMUEXT.PIN_L1_TABLE, 0])
    this.write(REQUESTS + 8, pairOf(mfn))
    this.write(REQUESTS + 16, [0, 0])
    this.call(HYPERCALL.mmuext_op, pairOfVa(REQUESTS), [1, 0], [0, 0], [DOMID.IO, 0])
  }

  updateVa(va: Pair, entry: Pair, flags: number, domain: number | null): number {
    if (domain !== null && domain !== DOMID.SELF)
      return this.call(HYPERCALL.update_va_mapping_otherdomain, va, entry, [flags, 0], [domain, 0])
    return this.call(HYPERCALL.update_va_mapping, va, entry, [flags, 0])
  }

  /** The place of a bitmap of vCPUs. */
  vcpuBitmap(bits: number): Pair {
    this.write(VCPUS, [bits, 0])
    return pairOfVa(VCPUS)
  }

  // ---- memory ----

  write(va: number, [lo, hi]: Pair): void {
    this.vcpu.store64(va, lo, hi)
  }

  /** Eight bytes as a number. */
  read(va: number): number {
    const lo = this.vcpu.load64(va)
    return this.vcpu.hi * TWO_32 + lo
  }

  /** Run an access whose faults the kernel catches. True when it went through. */
  guarded(access: () => void): boolean {
    this.caught = null
    try {
      access()
      return true
    } catch (error) {
      if (!(error instanceof GuestTrap)) throw error
      this.caught = { vector: error.vector, error: error.error, va: error.va }
      return false
    }
  }

  /** The 48-bit address of an access, or a general protection fault when it is not canonical. */
  canonical([lo, hi]: Pair): number {
    const va = vaOf(lo, hi)
    return va === -1 ? this.vcpu.nonCanonical() : va
  }

  // ---- what scripts name ----

  symbol(name: string): ScriptSymbol {
    const symbol = this.symbols.find(name)
    if (symbol === undefined) throw new Error(`no symbol ${name}`)
    return symbol
  }

  entry(entry: Entry): Pair {
    let { lo, hi } = entry
    for (const name of entry.pages) {
      const { mfn } = this.symbol(name)
      lo = (lo | entryLo(mfn, 0)) >>> 0
      hi = (hi | entryHi(mfn)) >>> 0
    }
    return [lo, hi]
  }

  /** A frame or an address. */
  argument(argument: Argument): Pair {
    if (argument.page === null) return [argument.lo, argument.hi]
    const symbol = this.symbol(argument.page)
    if (argument.of === 'frame') return pairOf(symbol.mfn)
    return add(symbol.va === 0 ? [0, 0] : pairOfVa(symbol.va), [argument.lo, argument.hi])
  }

  /** The machine address of a slot. */
  machineAddress(place: Place): Pair {
    if (place.page === null) return [place.lo, place.hi]
    const { mfn } = this.symbol(place.page)
    return add([(mfn << 12) >>> 0, Math.floor(mfn / 0x10_0000) >>> 0], [place.lo, place.hi])
  }

  /** A scratch page under a name. */
  takePage(name: string): void {
    const va = PROBE.pool + PAGE * this.nextPage++
    this.symbols.set(name, this.frameOf(va), pfnOf(va), va, true)
  }

  // ---- start ----

  private startInfo = 0
  private list = 0

  /** The frame of an address of the direct map, from the p2m list. */
  frameOf(va: number): number {
    return this.read(this.list + pfnOf(va) * 8)
  }

  /** Handlers for the faults it will catch, shared_info in place of a page, writable page tables on. */
  start(): void {
    const { vcpu } = this
    this.startInfo = vaOf(vcpu.regs[RSI * 2], vcpu.regs[RSI * 2 + 1])
    this.list = vaOf(this.read(this.startInfo + START_INFO.mfn_list) >>> 0, 0xffffffff)
    vcpu.setVa(RSP, PROBE.stack)
    const vectors = [0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 13, VECTOR_PF, 16, 17, 19]
    vectors.forEach((vector, i) => {
      this.write(REQUESTS + i * 16, [(0xe033_0000 | 0x400 | vector) >>> 0, 0])
      this.write(REQUESTS + i * 16 + 8, pairOfVa(PROBE.code + 0x100 + vector * 16))
    })
    this.write(REQUESTS + vectors.length * 16 + 8, [0, 0])
    this.write(REQUESTS + vectors.length * 16, [0, 0])
    this.call(HYPERCALL.set_trap_table, pairOfVa(REQUESTS))
    this.write(STRUCTURE, [CALLBACK.syscall, 0])
    this.write(STRUCTURE + 8, pairOfVa(PROBE.code + 0x80))
    this.call(HYPERCALL.callback_op, [0, 0], pairOfVa(STRUCTURE))
    this.call(HYPERCALL.stack_switch, [0xe02b, 0], pairOfVa(PROBE.stack))
    const shared = this.read(this.startInfo + START_INFO.shared_info)
    const entry: Pair = [(shared | 0x63) >>> 0, (Math.floor(shared / TWO_32) | 0x8000_0000) >>> 0]
    this.updateVa(pairOfVa(PROBE.sharedInfo), entry, 2, null)
    this.call(HYPERCALL.vm_assist, [0, 0], [2, 0])
    this.nameTables(shared / PAGE)
    for (let i = 0; i < PROBE.windowPages; i++) {
      this.updateVa(pairOfVa(PROBE.window + i * PAGE), [0, 0], 2, null)
    }
  }

  /** Follow the tables in use, and give names to them and to Xen's frames in the root. */
  private nameTables(sharedInfo: number): void {
    const root = vaOf(this.read(this.startInfo + START_INFO.pt_base) >>> 0, 0xffffffff)
    const frameIn = (table: number, slot: number): number => {
      const lo = this.vcpu.load64(table + slot * 8)
      return entryFrame(lo, this.vcpu.hi)
    }
    const addressOf = (mfn: number): number => PROBE.base + this.read(M2P + mfn * 8) * PAGE
    const named = (name: string, mfn: number): number => {
      const va = addressOf(mfn)
      this.symbols.set(name, mfn, pfnOf(va), va, false)
      return va
    }
    named('KL4', this.frameOf(root))
    const l3 = named('KL3', frameIn(root, SLOTS - 1))
    const l2 = named('KL2', frameIn(l3, SLOTS - 2))
    named('KL1K', frameIn(l2, 0))
    named('KL1P', frameIn(l2, 1))
    named('KL1W', frameIn(l2, 2))
    const frame = (name: string, mfn: number): void => {
      this.symbols.set(name, mfn, -1, 0, false)
    }
    this.symbols.set('SHINFO', sharedInfo, -1, PROBE.sharedInfo, false)
    frame('XM2PL3', frameIn(root, 256))
    frame('XPERD', frameIn(root, 260))
    frame('XTEXTL3', frameIn(root, 261))
    frame('XDIRL3', frameIn(root, 262))
    // struct xen_machphys_mfn_list: how many, list*, how many there were.
    this.write(STRUCTURE, [1, 0])
    this.write(STRUCTURE + 8, pairOfVa(EXTENT))
    this.write(STRUCTURE + 16, [0, 0])
    if (this.memoryOp(MEMORY_OP.machphys_mfn_list, STRUCTURE) === 0) frame('M2PF', this.read(EXTENT))
    for (const [name, mfn] of Object.entries(FIXED_FRAMES)) frame(name, mfn)
  }
}

/** Where the M2P can be read. */
export const M2P = 0x8000_0000_0000

/** The page of an address in the probe's own map. */
export function pfnOf(va: number): number {
  return (va - PROBE.base) / PAGE
}

/** The two halves of a number below 2^53. */
export function pairOf(n: number): Pair {
  return [n >>> 0, Math.floor(n / TWO_32) >>> 0]
}

/** The two halves of a 48-bit address, sign extended. */
export function pairOfVa(va: number): Pair {
  return [va >>> 0, vaHigh(va)]
}

function add([lo, hi]: Pair, [lo2, hi2]: Pair): Pair {
  const low = lo + lo2
  return [low >>> 0, (hi + hi2 + (low >= TWO_32 ? 1 : 0)) >>> 0]
}
