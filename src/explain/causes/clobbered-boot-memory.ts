import { hexOf } from '../decode/values.ts'
import { crashed, faultAddresses, inEarlyBoot, recordsOf, walkAddress, walkEnd } from '../evidence.ts'
import type { Cause } from './cause.ts'

export const clobberedBootMemory: Cause = {
  class: 'clobbered-boot-memory',
  name: 'Boot data was overwritten',
  match: (evidence) => {
    if (!crashed(evidence) || evidence.badTypes.length > 0) return undefined
    const nowhere = recordsOf(evidence, 'registers').find(({ values }) => /^0{8,16}$/.test(values.rip ?? ''))
    // The page is there and writable, and still the guest could not go on from it.
    const fine = recordsOf(evidence, 'walk').find((walk) => {
      const end = walkEnd(walk)
      return end.whole && end.readOnlyAt === undefined
    })
    if (nowhere === undefined && fine === undefined) return undefined
    const early = inEarlyBoot(evidence)
    if (nowhere === undefined && !early) return undefined
    if (nowhere !== undefined && !early && fine === undefined && faultAddresses(evidence).length > 0)
      return undefined
    return {
      score: nowhere !== undefined && fine !== undefined ? 88 : nowhere !== undefined ? 74 : 66,
      title:
        nowhere !== undefined
          ? 'The kernel jumped to address 0 in early boot: what it took for code or a pointer had been overwritten.'
          : `The kernel died at ${hexOf(walkAddress(fine!))} although that page is mapped and writable: what it holds had been overwritten.`,
      lines: [...(nowhere === undefined ? [] : [nowhere.line]), ...(fine === undefined ? [] : [fine.line])],
      details:
        fine === undefined
          ? []
          : [
              `The walk from ${hexOf(walkAddress(fine))} is complete, each level present and writable: the mapping is not at fault.`,
            ],
    }
  },
  signature: [
    'A crash in early boot at an address that no code has, such as RIP 0, or with a walk that is complete and allows the access: all levels present with `067`.',
    'No `Bad type` line and no refused hypercall. The place of the crash may change with the size of the initrd or the kernel.',
    "It came with a change of the kernel's early memory reservations or of the size of the initrd.",
  ],
  explanation: [
    'Xen hands a PV guest several things beside the kernel: the list from pfn to mfn, the start info page, the first page tables, the initrd. They lie in ordinary memory of the guest, which has to reserve them before its first allocation.',
    'If it allocates or copies before that, it writes over them. The tables among them are protected, as they are read-only, and a store there would fault. The p2m list, the start info and the initrd are not, so the damage shows later: a wrong frame, a null pointer, a jump to nowhere.',
    'The page types have no part in it. The crash alone says little, and the walk in the log looks healthy, because the page at fault was mapped properly and merely has the wrong content. In Linux 5.13 commit a799c2bd29d1 moved the reservations, and PV guests were hit.',
  ],
  check: [
    'Boot with `earlyprintk=xen` to get the lines before the crash; a photo of the screen is not enough to decide it.',
    "Compare the addresses of p2m, start info, page tables and initrd in Xen's boot log with the kernel's early allocations (`memblock=debug`).",
    "Check in the kernel's source that the memory is reserved before the memory map is set up and before anything is allocated.",
    'Change the size of the initrd or leave it out: if the crash moves or disappears, memory is being overwritten.',
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Reserves the early memory sooner, before the memory map is set up, in the start of a PV guest as well.',
    },
  ],
  avoid: [],
}
