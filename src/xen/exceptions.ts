import { vaHigh, vaOf } from '../bits/address.ts'
import { DomainCrash, R11, RCX, RSP, type Vcpu, VECTOR_PF } from '../machine/vcpu.ts'
import { dumpGuest, pageWalk } from './crash-dump.ts'
import type { Domain } from './domain.ts'
import { isGuestAddress } from './guest-copy.ts'
import type { Hypervisor } from './hypervisor.ts'

/** Names of the exceptions as the seed prints them (traps.c:trapstr), and as 4.17 does. */
const TRAP_WORDS = [
  'divide error',
  'debug',
  'nmi',
  'bkpt',
  'overflow',
  'bounds',
  'invalid opcode',
  'device not available',
  'double fault',
  'coprocessor segment',
  'invalid tss',
  'segment not found',
  'stack error',
  'general protection fault',
  'page fault',
  'spurious interrupt',
  'coprocessor error',
  'alignment check',
  'machine check',
  'simd error',
]
const TRAP_MNEMONICS = [
  '#DE',
  '#DB',
  'NMI',
  '#BP',
  '#OF',
  '#BR',
  '#UD',
  '#NM',
  '#DF',
  'CSO',
  '#TS',
  '#NP',
  '#SS',
  '#GP',
  '#PF',
  'SPV',
  '#MF',
  '#AC',
  '#MC',
  '#XM',
]

/** Exceptions that push an error code. */
const HAS_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17])

/**
 * Give the guest an exception. With a handler registered its frame is pushed on the guest's stack
 * (create_bounce_frame); without one Xen says so and kills the domain: that is how the seed's kernel ends, whose BUG()
 * comes before it has a handler for #UD.
 */
export function deliverException(
  xen: Hypervisor,
  domain: Domain,
  vcpu: Vcpu,
  vector: number,
  error: number,
): void {
  const handler = domain.traps.get(vector)
  if (handler !== undefined && pushBounceFrame(vcpu, vector, error)) {
    if ((handler.flags & 4) !== 0) domain.eventsMasked = true
    return
  }
  if (handler === undefined) logUnhandled(xen, domain, vcpu, vector, error)
  else if (xen.version.walksStack) pageWalk(xen, vcpu, badStack)
  const place = handler === undefined ? xen.version.entryFault : xen.version.stackFault
  xen.console.xen(`domain_crash_sync called from entry.S${place}`)
  crashDomain(xen, domain, vcpu)
}

function logUnhandled(xen: Hypervisor, domain: Domain, vcpu: Vcpu, vector: number, error: number): void {
  if (xen.version.messages === 'seed') {
    // A page fault has a line of its own and a walk of the tables instead.
    if (vector === VECTOR_PF) {
      xen.log('unhandledPageFault', domain.id, 0, error)
      pageWalk(xen, vcpu, vcpu.faultAddress)
    } else xen.log('unhandled', TRAP_WORDS[vector], vector, 0, error)
    return
  }
  const code = HAS_ERROR_CODE.has(vector) ? error.toString(16).padStart(4, '0') : 'ffffffff'
  xen.log('unhandled', vector, TRAP_MNEMONICS[vector] ?? '???', code)
  if (vector === VECTOR_PF) pageWalk(xen, vcpu, vcpu.faultAddress)
}

/** Where the last frame that could not be pushed failed. */
let badStack = 0

/**
 * The frame that a guest's handler finds: RCX, R11, [error code], RIP, CS and the event mask, RFLAGS, RSP, SS. False
 * when the guest's stack cannot take it.
 */
function pushBounceFrame(vcpu: Vcpu, vector: number, error: number): boolean {
  const top = vaOf(vcpu.regs[RSP * 2], vcpu.regs[RSP * 2 + 1])
  if (!isGuestAddress(top)) return false
  const [KERNEL_CS, KERNEL_SS, INTERRUPTS_ON] = [0xe030, 0xe02b, 0x202]
  const values: [number, number][] = [
    [KERNEL_SS, 0],
    [top >>> 0, vaHigh(top)],
    [INTERRUPTS_ON, 0],
    [KERNEL_CS, 0],
    [0, 0],
    ...(HAS_ERROR_CODE.has(vector) ? ([[error, 0]] as [number, number][]) : []),
    [vcpu.regs[R11 * 2], vcpu.regs[R11 * 2 + 1]],
    [vcpu.regs[RCX * 2], vcpu.regs[RCX * 2 + 1]],
  ]
  let sp = top - (top % 16)
  for (const [lo, hi] of values) {
    sp -= 8
    const page = isGuestAddress(sp) ? vcpu.tryWritable(sp) : -1
    if (page === -1) {
      badStack = sp
      return false
    }
    const at = page + (((sp >>> 0) & 0xfff) >>> 2)
    vcpu.memory.u32[at] = lo
    vcpu.memory.u32[at + 1] = hi
  }
  return true
}

/** The end of a domain: the dump of its vCPU, and for dom0 of the machine. */
export function crashDomain(xen: Hypervisor, domain: Domain, vcpu: Vcpu): never {
  domain.crashed = true
  xen.console.xen(`Domain ${domain.id} (vcpu#${domain.vcpus.indexOf(vcpu)}) crashed on cpu#0:`)
  dumpGuest(xen, domain, vcpu)
  if (domain.id === 0) xen.console.xen(xen.version.dom0Crashed)
  throw new DomainCrash(`domain ${domain.id} crashed`)
}

/** domain_crash() called from Xen's C code at a place in its source. */
export function crashFrom(xen: Hypervisor, domain: Domain, vcpu: Vcpu, place: string): never {
  xen.console.xen(`domain_crash called from ${place}`)
  crashDomain(xen, domain, vcpu)
}
