import {
  ARGUMENTS,
  DomainCrash,
  type FaultingStore,
  RAX,
  type Trap,
  type Vcpu,
} from '../machine/vcpu/vcpu.ts'
import type { Domain } from './domain.ts'
import { PREEMPTED } from './hypercalls/continuation.ts'
import { hypercallOf } from './hypercalls/hypercalls.ts'
import { traceHypercall } from './hypercalls/trace-hypercall.ts'
import { Hypervisor } from './hypervisor.ts'
import { loadSelector } from './mm/ldt.ts'
import { fixupPageFault } from './mm/ptwr.ts'
import { demoteTable, promoteTable } from './mm/tables.ts'
import { deliverException } from './pv/exceptions.ts'
import { stepBack, systemCall } from './pv/system-call.ts'
import { refuse } from './refusal.ts'
import { COST_NS } from './work.ts'

/** How long a hypercall takes, in the machine's time. */
const HYPERCALL_NS = 1000

/** Xen as guests meet it: what it does at a hypercall, a fault, an exception, by the rules of the room. */
export class Xen extends Hypervisor {
  /** A driver without code makes a call that is put off again at once; code is led back to its instruction. */
  override hypercall(port: Vcpu): void {
    if (port.code !== null) {
      if (this.callOnce(port)) stepBack(port)
      return
    }
    do this.work.done = 0
    while (this.callOnce(port))
  }

  /** A hypercall, or a part of it. True when there is more to do. */
  private callOnce(port: Vcpu): boolean {
    const call = this.callOf(port)
    const { domain, vcpu } = call
    this.current = vcpu
    this.clock.advance(HYPERCALL_NS)
    if (domain.crashed || domain.shutdown !== null) throw new DomainCrash(`domain ${domain.id} is dead`)
    if (!port.kernelMode) {
      systemCall(this, vcpu)
      return false
    }
    const number = port.regs[RAX * 2]
    const handler = hypercallOf(number, port.regs[RAX * 2 + 1])
    const rc = handler === undefined ? refuse(this, 'unknownCommand', { cmd: number }) : handler.call(call)
    if (domain.crashed) throw new DomainCrash(`domain ${domain.id} crashed`)
    if (domain.shutdown !== null) {
      this.endConsoleLine(domain)
      throw new DomainCrash(`domain ${domain.id} shut down, reason ${domain.shutdown}`)
    }
    if (rc === PREEMPTED) {
      port.set(RAX, number)
      return true
    }
    const { clobber } = this.version.abi
    if (clobber !== null && handler !== undefined) {
      for (let i = 0; i < handler.arguments; i++) port.set(ARGUMENTS[i], clobber[0], clobber[1])
    }
    if (this.sink !== null) traceHypercall(this.sink, number, rc)
    if (handler?.leavesResult !== true) port.setNumber(RAX, rc)
    return false
  }

  override pageFault(
    port: Vcpu,
    va: number,
    error: number,
    store: FaultingStore | undefined,
  ): 'emulated' | 'retry' | 'deliver' {
    this.current = this.vcpuOf(port)
    this.work.done += COST_NS.trap
    return fixupPageFault(this, this.current.domain, port, va, error, store)
  }

  override deliver(port: Vcpu, vector: number, error: number): void {
    this.current = this.vcpuOf(port)
    deliverException(this, this.current, vector, error)
  }

  override deliverSoftware(port: Vcpu, vector: number): void {
    this.current = this.vcpuOf(port)
    deliverException(this, this.current, vector, null)
  }

  override loadSegment(port: Vcpu, selector: number): Trap | null {
    this.current = this.vcpuOf(port)
    return loadSelector(this, this.current, selector)
  }

  override promoteTable(domain: Domain, mfn: number, record: number, code: number): number {
    return promoteTable(this, domain, mfn, record, code)
  }

  override demoteTable(domain: Domain, mfn: number, record: number, code: number): void {
    demoteTable(this, domain, mfn, record, code)
  }
}
