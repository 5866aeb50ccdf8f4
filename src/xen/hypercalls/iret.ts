import { hex64, vaOf } from '../../bits/address.ts'
import { R11, RAX, RCX, RSP, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { crashFrom, FLAT_CS, FLAT_SS, hasOwnLevel } from '../pv/exceptions.ts'
import { enterUserMode } from '../pv/guest-mode.ts'
import { setEventsMasked } from '../sched/vcpu-info.ts'

/** In the frame's flags: the guest goes on as after a system call, whose rcx and r11 are lost anyway. */
const VGCF_IN_SYSCALL = 0x100
const INTERRUPTS_ON = 0x200
/** Numbers of the segment registers that the frame has. */
const [CS, SS] = [1, 2]

/**
 * iret: leave a handler, for the guest's kernel or, where the frame's cs says ring 3, for its processes. The frame is on
 * the guest's stack, low to high: rax, r11, rcx, flags, rip, cs, rflags, rsp, ss. Xen: do_iret(). A frame that cannot be
 * read, and user mode without user tables, kill the domain.
 */
export function iret(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const frame = new Uint32Array(18)
  const stack = vaOf(vcpu.regs[RSP * 2], vcpu.regs[RSP * 2 + 1])
  if (!copyFromGuest(vcpu, stack, frame, 18)) {
    xen.log('iretFault')
    fail(xen, caller, vcpu)
  }
  const word = (i: number): [lo: number, hi: number] => [frame[i * 2], frame[i * 2 + 1]]
  const toUser = (frame[10] & 3) === 3
  if (toUser) {
    if (caller.userRoot === 0) {
      xen.log('iretNoUser')
      fail(xen, caller, vcpu)
    }
    enterUserMode(caller, vcpu)
  }
  vcpu.set(RAX, ...word(0))
  if ((frame[6] & VGCF_IN_SYSCALL) === 0) {
    vcpu.set(R11, ...word(1))
    vcpu.set(RCX, ...word(2))
  } else {
    vcpu.set(R11, ...word(6))
    vcpu.set(RCX, ...word(4))
  }
  vcpu.rip = hex64(...word(4))
  vcpu.code?.setRip(...word(4))
  vcpu.code?.setFlags(frame[12])
  // Everything of a guest runs in ring 3, whatever its frame says.
  const bySysret = (frame[6] & VGCF_IN_SYSCALL) !== 0
  vcpu.code?.setSelector(CS, bySysret ? FLAT_CS : (frame[10] & 0xffff) | 3)
  vcpu.code?.setSelector(SS, bySysret ? FLAT_SS : (frame[16] & 0xffff) | 3)
  vcpu.set(RSP, ...word(7))
  if (hasOwnLevel(caller)) caller.iopl = (frame[12] >>> 12) & 3
  setEventsMasked(xen, caller, (frame[12] & INTERRUPTS_ON) === 0)
  return 0
}

function fail(xen: Hypervisor, caller: Domain, vcpu: Vcpu): never {
  xen.log('iretFatal')
  // One place for whatever is wrong.
  return crashFrom(xen, caller, vcpu, xen.version.messages.iretFailure)
}
