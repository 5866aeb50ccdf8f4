import { PAGE } from '../bits/address.ts'
import { HYPERCALL } from './abi.ts'

/** Bytes of a page of Xen's code for guests that one hypercall has. */
const STUB_BYTES = 32
const INT3 = 0xcc
const PUSH_RCX = 0x51
const PUSH_R11 = [0x41, 0x53]
const PUSH_RAX = 0x50
const MOV_EAX = 0xb8
const SYSCALL = [0x0f, 0x05]
const POP_R11 = [0x41, 0x5b]
const POP_RCX = 0x59
const RET = 0xc3

/**
 * Fill a page with the code by which a 64-bit guest makes hypercalls, a stub each in the order of their numbers: rcx and
 * r11, which syscall destroys, are kept. iret does not come back, and finds rax on the stack. Xen:
 * hypercall_page_initialise_ring3_kernel().
 *
 * @param at address of the page's bytes
 */
export function fillHypercallPage(bytes: Uint8Array, at: number): void {
  bytes.fill(INT3, at, at + PAGE)
  for (let n = 0; n < PAGE / STUB_BYTES; n++) {
    const call = [MOV_EAX, n, 0, 0, 0, ...SYSCALL]
    const stub =
      n === HYPERCALL.iret
        ? [PUSH_RCX, ...PUSH_R11, PUSH_RAX, ...call]
        : [PUSH_RCX, ...PUSH_R11, ...call, ...POP_R11, POP_RCX, RET]
    bytes.set(stub, at + n * STUB_BYTES)
  }
}
