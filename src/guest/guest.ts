import { vaHigh, vaOf } from '../bits/address.ts'
import { type CoreOptions, Cpu, type Exit } from '../cpu/cpu.ts'
import type { StopFlag } from '../machine/stop-flag.ts'
import { PF_USER } from '../machine/vcpu/mmu.ts'
import { DomainCrash, GuestTrap, type Vcpu, VECTOR_GP, VECTOR_PF, VECTOR_UD } from '../machine/vcpu/vcpu.ts'
import type { Call } from '../xen/call.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { stepOver } from '../xen/pv/core.ts'
import { forcedCpuid, guestCpuid, hidesApic } from '../xen/pv/cpuid.ts'
import { emulatePrivileged } from '../xen/pv/emulate.ts'
import { deliverEvents } from '../xen/pv/events.ts'
import { FLAT_CS, FLAT_SS } from '../xen/pv/exceptions.ts'
import { segmentInstruction } from '../xen/pv/segments.ts'
import type { PvVcpu } from '../xen/pv-vcpu.ts'
import { initTime, updateRunstate } from '../xen/sched/time.ts'
import { fireTimers, nextDeadline } from '../xen/sched/timers.ts'
import { COST_NS } from '../xen/work.ts'
import { KernelFaults } from './kernel-faults.ts'

/**
 * How a run of a guest ended: its budget is used up, its domain is no more, its owner stopped it, or it waits for an
 * event: with `whenIdle` at `return`, or when no timer of its own will wake it.
 */
export type GuestEnd = 'budget' | 'crash' | 'shutdown' | 'stopped' | 'idle'

/** Instructions after which Xen looks after a guest at the latest, and a run whether its owner wants it to go on. */
const SLICE = 200_000

const [CS, SS] = [1, 2]

/** Every run begins at the same moment, or none would be like another: 2026-01-01. */
export const WALL_CLOCK = 1_767_225_600

/**
 * A PV guest's vCPU that executes code: the core on one side, Xen on the other. The core's general registers are the
 * vCPU's; what the core reports goes to Xen, and where Xen enters the guest is where the core goes on.
 *
 * One clock for both: the core counts a nanosecond an instruction, and what Xen adds to that, for hypercalls and while the
 * guest waits, is added to the core's time stamp counter.
 */
export class Guest {
  readonly cpu: Cpu
  private readonly xen: Hypervisor
  /** Who asks Xen for what the core cannot do by itself. */
  private readonly call: Call
  private readonly pv: PvVcpu
  private readonly vcpu: Vcpu
  /** Called before every hypercall, while the registers hold what the guest asks for; null where nobody looks. */
  beforeHypercall: (() => void) | null = null
  /** Called after every hypercall; the guest stops when it says so. */
  afterHypercall: () => boolean = () => true
  /** Called whenever the core has come back, to say how far it is. */
  onReturn: (() => void) | null = null
  private isStopped = false
  /** The page faults that the guest's kernel has had. */
  readonly faults = new KernelFaults()
  /**
   * Whether Xen has the guest, behind an exit, and what happens before it goes on is still to happen. Where a budget has cut
   * the run nothing happens: a run comes to the same however it is cut. Null before the first run.
   */
  private isOutside: boolean | null = null
  /** The moment of the machine's clock at which the guest stops, in nanoseconds. */
  stopAt = Infinity
  /** A guest that waits for its next timer goes on at once, the clock set to it; or `run` returns, and goes on the next time. */
  whenIdle: 'skip' | 'return' = 'skip'

  /**
   * @param entry where the guest begins, a 48-bit address
   * @param core how its code is executed
   */
  constructor(xen: Hypervisor, vcpu: Vcpu, entry: number, core: CoreOptions = {}) {
    this.xen = xen
    this.vcpu = vcpu
    this.call = xen.callOf(vcpu)
    this.pv = this.call.vcpu
    this.cpu = new Cpu(xen.memory, { ...core, id: vcpu.id })
    this.cpu.cpuid = guestCpuid(this.cpu.cpuid, hidesApic(xen, this.pv.domain))
    this.adoptRegisters()
    this.cpu.setRip(entry >>> 0, vaHigh(entry))
    this.cpu.setSelector(CS, FLAT_CS)
    this.cpu.setSelector(SS, FLAT_SS)
    this.cpu.port.onPageFault = (va, error, store) => xen.pageFault(vcpu, va, error, store)
    this.cpu.tscOffset = xen.clock.now
    initTime(xen, this.pv, WALL_CLOCK)
    // The machine whose recordings judge this one is QEMU's.
    this.cpu.port.readsFirst = true
    vcpu.code = this.cpu
    vcpu.tlb.follower = {
      flush: () => this.cpu.tlb.flush(),
      flushPage: (va) => this.cpu.tlb.flushPage(va >>> 0, vaHigh(va)),
      flushEntry: (entryAt) => this.cpu.tlb.flushEntry(entryAt),
    }
  }

  /** One set of general registers for both: what one writes, the other reads. */
  private adoptRegisters(): void {
    const { cpu, vcpu } = this
    const registers = cpu.words.subarray(cpu.state >> 2, (cpu.state >> 2) + 32)
    registers.set(vcpu.regs)
    vcpu.regs = registers
  }

  /** Let somebody on another thread end a run of this guest: `run` comes back as `stopped`. */
  obey(stop: StopFlag | null): void {
    this.xen.work.stop = stop
    this.cpu.stopFlag = stop
  }

  /** Execute at most `budget` instructions of the guest. */
  run(budget: number): GuestEnd {
    this.catchUp()
    try {
      let left = budget
      let mayWait = this.whenIdle === 'skip'
      // A guest that goes on from a snapshot was left where it had been entered, or asleep.
      this.isOutside ??= this.cpu.instructions === 0 || this.pv.blocked
      while (left > 0 && this.xen.clock.now < this.stopAt) {
        if (this.xen.work.stop?.isSet === true) {
          this.enter()
          return 'stopped'
        }
        if (this.pv.blocked) {
          this.isOutside = true
          if (!this.waitForTimer(mayWait)) return 'idle'
          left--
          if (this.pv.blocked) continue
        }
        mayWait = this.whenIdle === 'skip'
        this.enter()
        const before = this.cpu.instructions
        this.cpu.port.root = this.vcpu.root
        const exit = this.cpu.run(Math.min(left, this.untilEntry(), this.stopAt - this.xen.clock.now))
        this.xen.clock.now = this.cpu.tsc
        this.faults.look(this.vcpu)
        this.isOutside = exit.reason !== 'budget' || this.isEntryDue
        const goesOn = this.handle(exit)
        this.xen.work.charge(this.xen.clock)
        if (this.onReturn !== null) this.onReturn()
        this.synchronise()
        if (!goesOn || this.isStopped) {
          this.isStopped = false
          return 'stopped'
        }
        // A fault that leads to itself executes nothing, but it must not go on for ever.
        left -= Math.max(1, this.cpu.instructions - before)
      }
      this.enter()
      return 'budget'
    } catch (error) {
      if (!(error instanceof DomainCrash)) throw error
      return this.pv.domain.shutdown === null ? 'crash' : 'shutdown'
    }
  }

  /** End the run that is under way, when Xen has done what it is doing. */
  stop(): void {
    this.isStopped = true
  }

  /** When the guest's next timer is due, in nanoseconds of the machine's clock; Infinity for never. */
  get deadline(): number {
    return nextDeadline(this.pv)
  }

  /** What happens before the guest goes on: timers that are due go off, and pending events are delivered. */
  private enter(): void {
    if (!this.isOutside || this.pv.blocked) return
    this.isOutside = false
    if (this.deadline <= this.xen.clock.now) fireTimers(this.xen, this.pv)
    deliverEvents(this.xen, this.pv)
  }

  /** Instructions until Xen looks after a guest that does not come by itself: for its next timer, and now and then. */
  private untilEntry(): number {
    const untilDeadline = Math.max(1, this.deadline - this.xen.clock.now)
    return Math.min(SLICE - (this.cpu.instructions % SLICE), untilDeadline)
  }

  private get isEntryDue(): boolean {
    return this.cpu.instructions % SLICE === 0 || this.deadline <= this.xen.clock.now
  }

  /** The core's counter follows the machine's clock. */
  private synchronise(): void {
    this.cpu.tscOffset += this.xen.clock.now - this.cpu.tsc
  }

  /** Time has passed while another vCPU ran. */
  private catchUp(): void {
    const passed = this.xen.clock.now - this.cpu.tsc
    if (this.pv.blocked) this.pv.blockedNs += passed
    if (passed > 0) this.isOutside = true
    this.synchronise()
  }

  /** Whether the guest would execute something if it ran now. */
  get isRunnable(): boolean {
    return !this.pv.blocked || this.deadline <= this.xen.clock.now
  }

  /**
   * A blocked guest's clock jumps to its next timer, which wakes it unless the guest has masked its port. False when it has
   * none, or is not to jump.
   */
  private waitForTimer(mayWait: boolean): boolean {
    const { clock } = this.xen
    const { deadline } = this
    if (deadline > clock.now) {
      if (!mayWait || deadline === Infinity) return false
      this.pv.blockedNs += deadline - clock.now
      clock.now = deadline
      this.synchronise()
    }
    fireTimers(this.xen, this.pv)
    updateRunstate(this.xen, this.pv)
    return true
  }

  /** Let time pass for a guest that waits, as it does for whoever sits before it: nanoseconds. */
  passTime(nanoseconds: number): void {
    const { clock } = this.xen
    const until = Math.min(clock.now + Math.floor(nanoseconds), Math.max(clock.now, this.deadline))
    if (this.pv.blocked) this.pv.blockedNs += until - clock.now
    clock.now = until
    this.synchronise()
  }

  /** What the core could not do by itself; false to stop. */
  private handle(exit: Exit): boolean {
    switch (exit.reason) {
      case 'syscall':
        if (this.vcpu.kernelMode) this.beforeHypercall?.()
        this.hypercall()
        return this.afterHypercall()
      case 'exception':
        this.xen.work.done += COST_NS.trap
        this.exception(exit.vector, exit.error, exit.va)
        return true
      case 'segment':
        this.xen.work.done += COST_NS.trap
        if (!segmentInstruction(this.call, this.cpu, exit.instruction)) this.deliver(VECTOR_GP, 0)
        return true
      case 'privileged':
        this.xen.work.done += COST_NS.trap
        if (!emulatePrivileged(this.call, this.cpu, exit.instruction)) this.deliver(VECTOR_GP, 0)
        return true
      default:
        return true
    }
  }

  private exception(vector: number, error: number, va: number): void {
    if (vector === VECTOR_UD && forcedCpuid(this.call, this.cpu)) return
    if (vector === VECTOR_GP && (error & FROM_IDT) !== 0 && this.softwareInterrupt(error >>> 3)) return
    // Xen clears the flag before the guest hears of it.
    if (vector === VECTOR_NM) this.cpu.fpuTraps = false
    if (vector === VECTOR_PF) {
      this.pageFault(va, error)
    } else {
      this.deliver(vector, error)
    }
  }

  private pageFault(va: number, error: number): void {
    const { vcpu } = this
    vcpu.faultAddress = va
    // The CPU knows ring 3 only; the guest is told whether it was a process.
    if (!vcpu.kernelMode) {
      this.deliver(VECTOR_PF, error)
      return
    }
    const told = error & ~PF_USER
    this.faults.begin(vcpu, { va, error: told, rip: this.rip, instructions: this.cpu.instructions })
    this.deliver(VECTOR_PF, told)
    this.faults.delivered(vcpu)
  }

  /** int n: the gates are Xen's, which goes by the privilege that the guest gave the vector. False: #GP it is. */
  private softwareInterrupt(vector: number): boolean {
    const handler = this.pv.traps.get(vector)
    const privilege = this.vcpu.kernelMode ? 1 : 3
    if (handler === undefined || (handler.flags & 3) < privilege) return false
    stepOver(this.cpu, INT_BYTES)
    this.xen.deliverSoftware(this.vcpu, vector)
    return true
  }

  private deliver(vector: number, error: number): void {
    this.xen.deliver(this.vcpu, vector, error)
  }

  /** Xen throws a trap that it has given to the guest, for the drivers that have no code: here it only goes on. */
  private hypercall(): void {
    try {
      this.xen.hypercall(this.vcpu)
    } catch (error) {
      if (!(error instanceof GuestTrap)) throw error
    }
  }

  /** rip, as a 48-bit address. */
  get rip(): number {
    return vaOf(this.cpu.ripLow, this.cpu.ripHigh)
  }
}

/** In an error code: the selector is a vector. */
const FROM_IDT = 2
/** int n is two bytes long. */
const INT_BYTES = 2
const VECTOR_NM = 7
