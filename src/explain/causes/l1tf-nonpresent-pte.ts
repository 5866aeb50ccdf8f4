import { readPte } from '../decode/values.ts'
import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const l1tfNonpresentPte: Cause = {
  class: 'l1tf-nonpresent-pte',
  name: 'A non-present entry names real memory',
  match: (evidence) => {
    const found = messagesOf(evidence, 'l1tf')
    if (found.length === 0) return undefined
    const { fields, text } = found[0]
    const pte = fields.pte === undefined ? undefined : readPte(fields.pte)
    const crashing = /crashing/i.test(text)
    return {
      score: 97,
      title: `The guest${fields.domid === undefined ? '' : ` d${fields.domid}`} wrote an entry that is not present and still names frame ${pte?.mfn ?? '?'}: open to L1TF, so Xen ${crashing ? 'crashed it' : 'put it under shadow paging'}.`,
      lines: linesOf(found),
      details:
        pte === undefined
          ? []
          : [`${fields.pte} is frame ${pte.mfn} with ${pte.flags}: P is clear, the frame is not.`],
    }
  },
  signature: [
    '`dN L1TF-vulnerable L1e ... - Shadowing`, or the same with `- Crashing`; L2e, L3e and L4e are possible too.',
    'The printed entry has bit 0 (present) clear while its address bits hold a plausible frame: in `8010000018200066` the flags RW, user, accessed and dirty are set and present is not.',
    'With `- Crashing` a `domain_crash` follows whose place is in shadow.h. RIP then points into the hypercall page.',
  ],
  explanation: [
    'CPUs with the L1TF flaw can read, by speculation, the memory that a non-present entry names. A PV guest could in this way read memory of others. Since the fixes of XSA-273 in 2018 Xen looks at each non-present entry on such CPUs: its address bits have to be 0 or beyond all memory.',
    'When a guest writes an entry that fails this test, Xen switches the domain to shadow page tables, in which the entry does not appear as written. That costs speed and is otherwise harmless. If Xen was built without shadow paging, all it can do is to crash the domain.',
    'The guest is rarely malicious. It clears the present bit of an existing entry and keeps the rest, to catch accesses to the page. KFENCE in Linux from 5.12 on does so with the pages that guard its objects. Swap and migration entries of Linux invert their address bits for this reason and are accepted.',
  ],
  check: [
    "Decode the entry: present clear, and a frame inside the guest's RAM. Look up the pfn in the guest: KFENCE's pool is a block of memory that it allocates at boot.",
    'See which of the two words the line ends in. `Shadowing` explains a slow guest, and no crash.',
    'Ask whether the guest was built with CONFIG_KFENCE, and try the switch below: if the line goes away, it was KFENCE.',
    'If Xen crashed the domain, ask how it was built (shadow paging), and resolve the caller through the return address on the guest stack, as RIP itself says only that it was a hypercall.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: 'b505f1944535',
      what: 'Inverts the address bits when KFENCE makes an entry non-present.',
    },
  ],
  avoid: [
    'Boot the guest with kfence.sample_interval=0, or build it without CONFIG_KFENCE.',
    'Use a Xen that is built with shadow paging: the domain is then slowed and not crashed.',
  ],
}
