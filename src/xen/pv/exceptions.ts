import { vaHigh, vaOf } from '../../bits/address.ts'
import { DomainCrash, R11, RCX, RSP, type Vcpu, VECTOR_PF } from '../../machine/vcpu/vcpu.ts'
import { VM_ASSIST } from '../abi.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { isGuestAddress } from '../mm/guest-copy.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { eventsMasked, setEventsMasked, writeFaultAddress } from '../sched/vcpu-info.ts'
import { dumpGuest, pageWalk } from './crash-dump.ts'
import { enterKernelMode } from './guest-mode.ts'

/** Names of the exceptions: as words (trapstr() in traps.c), or as the processor's manuals have them (vector_name()). */
const TRAP_NAMES = {
  words: [
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
  ],
  mnemonics: [
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
  ],
} as const

function trapName(names: keyof typeof TRAP_NAMES, vector: number): string {
  return TRAP_NAMES[names][vector] ?? '???'
}

/** The flat segments of Xen's that a guest's kernel is entered with. */
export const FLAT_CS = 0xe033
export const FLAT_SS = 0xe02b
const [CS, SS] = [1, 2]

/** TF, NT, RF, VM and AC in rflags. */
const CLEARED_FLAGS = 0x100 | 0x4000 | 0x1_0000 | 0x2_0000 | 0x4_0000

/** Exceptions that push an error code. */
const HAS_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17])

/**
 * Give the guest an exception. Its frame is pushed on the guest's kernel stack (create_bounce_frame), and with a handler
 * registered the guest goes on there; without one Xen says so and kills the domain: that is how the seed's kernel ends,
 * whose BUG() comes before it has a handler for #UD. A stack that cannot take the frame ends the domain too.
 */
export function deliverException(xen: Hypervisor, vcpu: PvVcpu, vector: number, error: number | null): void {
  const handler = vcpu.traps.get(vector)
  if (handler === undefined) logUnhandled(xen, vcpu, vector, error ?? 0)
  if (vector === VECTOR_PF) writeFaultAddress(xen, vcpu, vcpu.port.faultAddress)
  enterGuest(xen, vcpu, handler?.address ?? null, HAS_ERROR_CODE.has(vector) ? error : null)
  if (handler !== undefined && (handler.flags & 4) !== 0) setEventsMasked(xen, vcpu, true)
}

/**
 * Enter the guest's kernel with a frame on its stack, for an exception or a system call. Where there is nothing to enter,
 * or no room for the frame, the domain ends.
 *
 * @param address of the handler, 48 bits; null when there is none
 */
export function enterGuest(
  xen: Hypervisor,
  vcpu: PvVcpu,
  address: number | null,
  error: number | null,
): void {
  const { port } = vcpu
  const missed = pushBounceFrame(xen, vcpu, error)
  if (missed === null && address !== null) {
    enterAt(port, address)
    return
  }
  const { entryFault } = xen.version.messages
  let fault = ''
  if (entryFault !== null) {
    // Xen walks to the address of the store that failed, unless the stack is in Xen's own range.
    if (missed !== null && isGuestAddress(missed.va)) pageWalk(xen, port, missed.va)
    const place = missed === null ? entryFault.noHandler : pushFault(entryFault.labels, missed.index)
    fault = `: fault at ${place}`
  }
  xen.console.xen(`domain_crash_sync called from entry.S${fault}`)
  crashDomain(xen, vcpu)
}

/** Go on at an address, where code is executed. A model's driver knows by itself where its handlers are. */
function enterAt(port: Vcpu, address: number): void {
  const { code } = port
  if (code === null) return
  code.setRip(address >>> 0, vaHigh(address))
  // TF, NT, RF, VM and AC do not reach a handler.
  code.setFlags(code.getFlags() & ~CLEARED_FLAGS)
  code.setSelector(CS, FLAT_CS)
  code.setSelector(SS, FLAT_SS)
}

/** Where Xen says that the frame could not be pushed: labels four bytes apart, one for each word from the top. */
function pushFault(labels: number | null, index: number): string {
  const word = Math.max(0, 6 - index)
  const label = word === 0 ? '0x8' : `${word}x8`
  const at = labels === null ? '?'.repeat(16) : `ffff82d0${(labels + (6 - word) * 4).toString(16)}`
  return `${at} x86_64/entry.S#domain_crash_page_fault_${label}+0/0x4`
}

function logUnhandled(xen: Hypervisor, vcpu: PvVcpu, vector: number, error: number): void {
  const { domain, port } = vcpu
  const { ownLineForPageFault, trapNames } = xen.version.messages
  const ec = HAS_ERROR_CODE.has(vector) || ownLineForPageFault ? error : 'ffffffff'
  if (vector === VECTOR_PF && ownLineForPageFault) {
    xen.log('unhandledPageFault', { domid: domain.id, vcpu: vcpu.id, ec })
  } else xen.log('unhandled', { trap: trapName(trapNames, vector), vec: vector, vcpu: vcpu.id, ec })
  if (vector === VECTOR_PF) pageWalk(xen, port, port.faultAddress)
}

/**
 * The frame that a guest's handler finds: RCX, R11, [error code], RIP, CS and the event mask, RFLAGS, RSP, SS. Null, or
 * which word from the top could not be stored and its address, when the guest's stack cannot take it.
 */
function pushBounceFrame(
  xen: Hypervisor,
  vcpu: PvVcpu,
  error: number | null,
): { index: number; va: number } | null {
  const { port } = vcpu
  const cs = port.code?.selector(CS) ?? FLAT_CS
  const fromKernel = port.kernelMode
  const [rspLo, rspHi] = [port.regs[RSP * 2], port.regs[RSP * 2 + 1]]
  enterKernelMode(vcpu)
  const top = fromKernel ? vaOf(rspLo, rspHi) : vcpu.kernelSp
  const masked = eventsMasked(xen, vcpu)
  const values: [number, number][] = [
    [port.code?.selector(SS) ?? FLAT_SS, 0],
    [rspLo, rspHi],
    [frameFlags(vcpu, port.code?.getFlags() ?? 0, masked), 0],
    // The ring in the saved cs tells the handler what was interrupted.
    [fromKernel ? cs & ~3 : cs, masked ? 1 : 0],
    [port.code?.ripLow ?? 0, port.code?.ripHigh ?? 0],
    ...(error === null ? [] : ([[error, 0]] as [number, number][])),
    [port.regs[R11 * 2], port.regs[R11 * 2 + 1]],
    [port.regs[RCX * 2], port.regs[RCX * 2 + 1]],
  ]
  let sp = top === -1 ? -1 : top - (top % 16)
  for (const [index, [lo, hi]] of values.entries()) {
    sp -= 8
    const page = isGuestAddress(sp) ? port.tryWritable(sp) : -1
    if (page === -1) return { index, va: sp }
    const at = page + (((sp >>> 0) & 0xfff) >>> 2)
    port.memory.u32[at] = lo
    port.memory.u32[at + 1] = hi
  }
  if (port.code !== null) port.setVa(RSP, sp)
  return null
}

/**
 * rflags as a frame has them: the interrupt flag says whether events were masked, and the I/O privilege level is there for a
 * kernel that has asked for it only.
 */
function frameFlags({ domain, iopl }: PvVcpu, flags: number, masked: boolean): number {
  const INTERRUPTS_ON = 0x200
  return (flags & ~INTERRUPTS_ON) | (masked ? 0 : INTERRUPTS_ON) | 2 | (hasOwnLevel(domain) ? iopl << 12 : 0)
}

/** Whether a kernel sees its I/O privilege level in rflags, and is at level 0 itself: vm_assist's architectural_iopl. */
export function hasOwnLevel(domain: Domain): boolean {
  return (domain.assist & (1 << VM_ASSIST.architectural_iopl)) !== 0
}

/** The end of a domain: the dump of its vCPU, and for dom0 of the machine. */
export function crashDomain(xen: Hypervisor, vcpu: PvVcpu): never {
  const { domain } = vcpu
  domain.crashed = true
  xen.endConsoleLine(domain)
  xen.console.xen(`Domain ${domain.id} (vcpu#${vcpu.id}) crashed on cpu#0:`)
  dumpGuest(xen, vcpu)
  if (domain.id === 0) xen.console.xen(xen.version.messages.dom0Crashed)
  throw new DomainCrash(`domain ${domain.id} crashed`)
}

/** domain_crash() called from Xen's C code at a place in its source. */
export function crashFrom(xen: Hypervisor, vcpu: PvVcpu, place: string): never {
  xen.console.xen(`domain_crash called from ${place}`)
  crashDomain(xen, vcpu)
}
