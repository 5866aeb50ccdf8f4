import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const grantedPteOverwritten: Cause = {
  class: 'granted-pte-overwritten',
  name: 'A grant mapping was overwritten',
  match: (evidence) => {
    const overwritten = messagesOf(evidence, 'grant-implicit')
    const mismatch = messagesOf(evidence, 'grant-mismatch')
    const all = [...overwritten, ...mismatch]
    if (all.length === 0) return undefined
    const pte = all[0].fields.pte
    return {
      score: overwritten.length > 0 ? 94 : 86,
      title:
        overwritten.length > 0
          ? `The guest overwrote an entry that maps a grant${pte === undefined ? '' : ` (${pte})`} instead of unmapping it.`
          : 'The entry that a grant was mapped by is no longer the one that Xen wrote: the guest changed it.',
      lines: linesOf(all),
    }
  },
  signature: [
    "`Attempt to implicitly unmap a granted PTE ...`, from Xen 4.17 on `Attempt to implicitly unmap dN's grant PTE ...`.",
    "Up to 4.16 a crash of the domain follows at once (`domain_crash`, with put_page_from_l1e in Xen's call trace). From 4.17 on the guest gets a general protection fault instead, and its own call trace shows who wrote the entry.",
    'Only a debug build of Xen says this; a release build is silent.',
  ],
  explanation: [
    'An entry that maps a granted page is written by Xen and has to be removed by the grant unmap operation, as Xen keeps a record of each such mapping. If the guest overwrites the entry with an ordinary update, the record stays behind and the granting domain never gets its page back.',
    'Debug builds mark the entries of grants with bit 62. When an update replaces a marked entry, Xen knows that an unmap was forgotten. Release builds have no mark and cannot see it.',
    "The mistake is in the guest's driver or in its memory management: the area was unmapped, moved or remapped as ordinary memory, while a grant was still mapped there. Mapping a second grant over the first one is the same mistake.",
  ],
  check: [
    "Get the guest's stack. On Xen 4.17 and later it is in the guest's log below the general protection fault; before, decode RIP and the guest stack of Xen's dump with System.map.",
    "Read Xen's call trace: create_grant_pv_mapping in it means that a new grant was mapped over the old one; the update hypercalls mean an ordinary write.",
    'Look at the users of gntdev in that domain: which process mapped pages of other domains, and whether it unmapped or forked in between.',
    'Compare with a release build: if nobody noticed there, pages that are never given back are the visible sign (`xl debug-keys g`).',
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Repairs mmap of gntdev, which let an area with live grants be overwritten.',
    },
    {
      project: 'Xen',
      commit: 'f61c54967f',
      release: '4.17',
      what: 'Injects a general protection fault into the guest in place of crashing it, so that the guest prints its stack.',
    },
  ],
  avoid: [],
}
