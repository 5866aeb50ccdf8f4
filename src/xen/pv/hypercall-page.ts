import { PAGE } from '../../bits/address.ts'
import { HYPERCALL } from '../abi.ts'

const STUBS = 128
const STUB_BYTES = 32
/** int3: what stands where no stub is. */
const FILLER = 0xcc

/**
 * The page of stubs through which a guest makes its hypercalls, one every 32 bytes:
 *
 *     push %rcx; push %r11; mov $number, %eax; syscall; pop %r11; pop %rcx; ret
 *
 * iret never comes back: it also pushes rax, as its frame has it. Xen: pv_ring3_init_hypercall_page().
 */
export const HYPERCALL_PAGE: Uint8Array = makePage()

function makePage(): Uint8Array {
  const page = new Uint8Array(PAGE).fill(FILLER)
  for (let nr = 0; nr < STUBS; nr++) {
    const number = [0xb8, nr, 0, 0, 0]
    const stub =
      nr === HYPERCALL.iret
        ? [0x51, 0x41, 0x53, 0x50, ...number, 0x0f, 0x05]
        : [0x51, 0x41, 0x53, ...number, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3]
    page.set(stub, nr * STUB_BYTES)
  }
  return page
}
