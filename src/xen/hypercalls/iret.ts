import { hex64, vaOf } from '../../bits/address.ts'
import { R11, RAX, RCX, RSP } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { crashFrom, FLAT_CS, FLAT_SS, hasOwnLevel } from '../pv/exceptions.ts'
import { enterUserMode } from '../pv/guest-mode.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
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
export function iret({ xen, domain, vcpu, port }: Call): number {
  const frame = new Uint32Array(18)
  const stack = vaOf(port.regs[RSP * 2], port.regs[RSP * 2 + 1])
  if (!copyFromGuest(port, stack, frame, 18)) {
    xen.log('iretFault')
    fail(xen, vcpu)
  }
  const word = (i: number): [lo: number, hi: number] => [frame[i * 2], frame[i * 2 + 1]]
  const toUser = (frame[10] & 3) === 3
  if (toUser) {
    if (vcpu.userRoot === 0) {
      xen.log('iretNoUser')
      fail(xen, vcpu)
    }
    enterUserMode(vcpu)
  }
  port.set(RAX, ...word(0))
  if ((frame[6] & VGCF_IN_SYSCALL) === 0) {
    port.set(R11, ...word(1))
    port.set(RCX, ...word(2))
  } else {
    port.set(R11, ...word(6))
    port.set(RCX, ...word(4))
  }
  port.rip = hex64(...word(4))
  port.code?.setRip(...word(4))
  port.code?.setFlags(frame[12])
  // Everything of a guest runs in ring 3, whatever its frame says.
  const bySysret = (frame[6] & VGCF_IN_SYSCALL) !== 0
  port.code?.setSelector(CS, bySysret ? FLAT_CS : (frame[10] & 0xffff) | 3)
  port.code?.setSelector(SS, bySysret ? FLAT_SS : (frame[16] & 0xffff) | 3)
  port.set(RSP, ...word(7))
  if (hasOwnLevel(domain)) vcpu.iopl = (frame[12] >>> 12) & 3
  // Whatever handler this is, NMIs may come again: async_exception_cleanup().
  vcpu.nmiMasked = false
  setEventsMasked(xen, vcpu, (frame[12] & INTERRUPTS_ON) === 0)
  return 0
}

function fail(xen: Hypervisor, vcpu: PvVcpu): never {
  xen.log('iretFatal')
  // One place for whatever is wrong.
  return crashFrom(xen, vcpu, xen.version.messages.iretFailure)
}
