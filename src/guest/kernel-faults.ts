import { slotAt, vaOf } from '../bits/address.ts'
import { entryFrame } from '../bits/pte.ts'
import { Walk, walk } from '../machine/vcpu/mmu.ts'
import { RSP, type Vcpu } from '../machine/vcpu/vcpu.ts'
import { GuestReader } from './guest-reader.ts'

/** An entry on the way from a root to a page: of which table's frame, and its two halves. */
export type FaultEntry = {
  readonly level: number
  readonly table: number
  readonly slot: number
  readonly lo: number
  readonly hi: number
}

/** A page fault that a guest's kernel had, as it was at that moment. */
export type KernelFault = {
  /** The address, 48 bits, and the error code that the kernel was told. */
  readonly va: number
  readonly error: number
  /** Where the kernel was, a 48-bit address, and how many instructions it had executed. */
  readonly rip: number
  readonly instructions: number
  /** The kernel's stack pointer then. */
  readonly rsp: number
  /** The way of the address through the tables in use, from L4 on, as far as it went. */
  readonly path: readonly FaultEntry[]
  /** The frame that the address has; null where the tables lead to none. */
  readonly mfn: number | null
  /** Where Xen has put the exception's frame; null while it has not got that far. */
  frameAt: number | null
}

/** Faults that are kept at most: of tasks that are gone, nobody sees that they are over. */
const MOST_FAULTS = 16

/** The page faults of a kernel that may not be over yet, the oldest first, for whoever asks of which one it died. */
export class KernelFaults {
  private faults: KernelFault[] = []

  /** A fault is about to be delivered. It is told by `delivered` that it was: until then the guest has not got over it. */
  begin(vcpu: Vcpu, fault: Pick<KernelFault, 'va' | 'error' | 'rip' | 'instructions'>): void {
    const found = walk(vcpu.memory, vcpu.root, fault.va, new Walk())
    const path = pathOf(vcpu, fault.va, found)
    const mfn = found.missing === 0 ? found.mfn : null
    if (this.faults.length === MOST_FAULTS) this.faults.shift()
    this.faults.push({ ...fault, rsp: stackPointer(vcpu), path, mfn, frameAt: null })
  }

  /** The guest has come back to Xen: whoever finds the stack above a fault's frame shows that the fault is over. */
  look(vcpu: Vcpu): void {
    if (this.faults.length === 0 || !vcpu.kernelMode) return
    const now = stackPointer(vcpu)
    const isOver = ({ frameAt }: KernelFault): boolean =>
      frameAt !== null && isWithin(now - frameAt - FRAME.bytes)
    if (this.faults.some(isOver)) this.faults = this.faults.filter((fault) => !isOver(fault))
  }

  /** The guest's handler has been entered with a frame on its stack. */
  delivered(vcpu: Vcpu): void {
    const fault = this.faults.at(-1)
    if (fault !== undefined) fault.frameAt = stackPointer(vcpu)
  }

  /**
   * The fault that a kernel has not come back from: the outermost of those whose frames still lie on the stack that it is on, with
   * what Xen has put there. Null when there is none.
   *
   * @param bytes the machine's memory
   */
  open(vcpu: Vcpu, bytes: Uint8Array): KernelFault | null {
    const reader = new GuestReader(vcpu, bytes)
    const now = stackPointer(vcpu)
    return this.faults.find((fault, i) => this.isOpen(fault, i, now, reader)) ?? null
  }

  private isOpen(fault: KernelFault, place: number, now: number, reader: GuestReader): boolean {
    const { frameAt } = fault
    // Xen could not enter the guest: it ended there.
    if (frameAt === null) return place === this.faults.length - 1
    if (!isWithin(frameAt - now)) return false
    return (
      word64(reader, frameAt + FRAME.rip) === fault.rip && word64(reader, frameAt + FRAME.rsp) === fault.rsp
    )
  }
}

/** Places in the frame: rcx, r11 and the error code, which a kernel replaces, rip, cs, rflags, rsp, ss. */
const FRAME = { rip: 24, rsp: 48, bytes: 64 } as const
/** No stack of a kernel is larger, in bytes. */
const STACK_BYTES = 0x10000

function isWithin(distance: number): boolean {
  return distance >= 0 && distance < STACK_BYTES
}

/** rsp as a 48-bit address; -1 where it is none. */
function stackPointer(vcpu: Vcpu): number {
  return vaOf(vcpu.regs[RSP * 2], vcpu.regs[RSP * 2 + 1])
}

/** An address on the stack, 48 bits; -1 where there is none. */
function word64(reader: GuestReader, va: number): number {
  const [lo, hi] = [reader.word(va), reader.word(va + 4)]
  return lo === -1 || hi === -1 ? -1 : vaOf(lo, hi)
}

function pathOf(vcpu: Vcpu, va: number, found: Walk): FaultEntry[] {
  const words = vcpu.memory.u32
  const entries: FaultEntry[] = []
  let table = vcpu.root
  for (let level = 4; level >= Math.max(1, found.missing === 0 ? found.level : found.missing); level--) {
    const at = found.path[level]
    if (at === -1) break
    const [lo, hi] = [words[at], words[at + 1]]
    entries.push({ level, table, slot: slotAt(va, level as 1 | 2 | 3 | 4), lo, hi })
    table = entryFrame(lo, hi)
  }
  return entries
}
