import { isKasanShadow, kasanShadowed } from '../decode/regions.ts'
import { hexOf } from '../decode/values.ts'
import { faultAddresses, isXen } from '../evidence.ts'
import type { Cause } from './cause.ts'

export const kasanShadowUnmapped: Cause = {
  class: 'kasan-shadow-unmapped',
  name: "KASAN's shadow memory is not mapped",
  match: (evidence) => {
    const hit = faultAddresses(evidence).find(({ address }) => isKasanShadow(address))
    if (hit === undefined || !isXen(evidence)) return undefined
    return {
      score: 91,
      title: `The kernel read ${hexOf(hit.address)}, the KASAN shadow of ${hexOf(kasanShadowed(hit.address))}, which is not mapped: a kernel built with KASAN without support for Xen PV.`,
      lines: [hit.line],
    }
  },
  signature: [
    "An unhandled page fault in early boot at an address of KASAN's shadow, `ffffec...` to `fffffbff...`, slots 0x1d8 to 0x1f7 of the L4.",
    'The walk ends at the top: `L4[0x1f7] = 0000000000000000 ffffffffffffffff`.',
    'A register that holds the address shifted right by three, with a leading `1fff`, confirms it: that is the first step of the computation.',
  ],
  explanation: [
    'A kernel with KASAN checks each access against a shadow byte at dffffc0000000000 plus the address divided by 8. The compiler puts these checks into all code, so that the shadow has to be mapped before the first checked function runs.',
    'The start of a PV guest is not the native one. In kernels whose KASAN does not know PV guests nobody maps the shadow there, so the first checked access faults. The fault at fffffbfff0480fbe, for example, is the check of an access to ffffffff82407df0, which is the boot stack.',
    "The access that was checked was right in itself. Xen refused nothing, and no page table is wrong; a part of the kernel's own set-up is missing.",
  ],
  check: [
    "Compute the address that was checked: take dffffc0000000000 from the faulting address and shift left by three. If the result is near rsp or in the kernel's image, this is the cause.",
    "Ask for the kernel's configuration: CONFIG_KASAN, and what a debug configuration has turned on beside it.",
    'Resolve RIP with System.map: an early function of the Xen start path that should not have been compiled with checks is an alternative.',
    'Build the same kernel without KASAN: it boots if this was the only cause.',
  ],
  fixes: [],
  avoid: ["Build the guest's kernel without CONFIG_KASAN."],
}
