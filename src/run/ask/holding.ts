import { A, D, G, HI_GUEST_KERNEL, US } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import {
  BACKING_WORD,
  OWNER_WORD,
  REF_ALLOCATED,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import { eoiFrames } from '../../xen/domain.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { kernelRootOf, recordFrames } from '../../xen/pv-vcpu.ts'
import type { FrameHolder } from './frame-report.ts'

/** What the CPU sets in an entry, and what Xen adds when it takes it: whoever stored the entry did not write these. */
const [NOT_STORED_LO, NOT_STORED_HI] = [A | D | US | G, HI_GUEST_KERNEL]

type EntryHolder = Extract<FrameHolder, { kind: 'entry' }>

/**
 * Whether somebody who holds a frame in the end has it right now: of an entry, whether its words are there, whatever Xen makes of
 * the table. It looks only: the guest sees nothing of it.
 */
export function holds(xen: Hypervisor, mfn: number, holder: FrameHolder): boolean {
  const words = xen.memory.u32
  const record = xen.memory.record(mfn)
  switch (holder.kind) {
    case 'entry':
      return hasEntry(xen, holder)
    case 'pin':
      return (words[record] & TYPE_PINNED) !== 0
    case 'root':
      return vcpusOf(xen, holder.domain).some(
        (vcpu) => (holder.mode === 'kernel' ? kernelRootOf(vcpu) : vcpu.userRoot) === mfn,
      )
    case 'descriptors':
      return vcpusOf(xen, holder.domain).some(({ gdtFrames, ldtFrames }) =>
        holder.table === 'gdt' ? gdtFrames.includes(mfn) : [...ldtFrames.values()].includes(mfn),
      )
    case 'vcpu-info':
      return vcpusOf(xen, holder.domain).some((vcpu) => recordFrames(vcpu).includes(mfn))
    case 'backend':
      return xen.owners.some((domain) =>
        domain?.backendPages.some((page) => page.mfn === mfn && page.user === holder.user),
      )
    case 'eoi-flags':
      return xen.owners.some((domain) => domain?.id === holder.domain && eoiFrames(domain).includes(mfn))
    case 'allocation':
      return (words[record + REFS_WORD] & REF_ALLOCATED) !== 0 && (words[record + OWNER_WORD] & 0xff) !== 0
  }
}

function vcpusOf(xen: Hypervisor, domain: number) {
  return xen.owners.find((d) => d?.id === domain)?.vcpus ?? []
}

function hasEntry(xen: Hypervisor, { table, slot, lo, hi }: EntryHolder): boolean {
  const words = xen.memory.u32
  const record = xen.memory.record(table)
  const page = record === -1 ? 0 : words[record + BACKING_WORD]
  // A frame that was never touched has no page: zeros.
  if (page === 0) return false
  const at = page * 1024 + slot * 2
  return ((words[at] ^ lo) & ~NOT_STORED_LO) === 0 && ((words[at + 1] ^ hi) & ~NOT_STORED_HI) === 0
}

/** The level of which a frame is a table in use, whose entries hold what they name; 0 where it is none. */
export function tableLevel(xen: Hypervisor, mfn: number): 0 | 1 | 2 | 3 | 4 {
  const record = xen.memory.record(mfn)
  if (record === -1) return 0
  const type = xen.memory.u32[record]
  const code = type >>> TYPE_SHIFT
  const isInUse = (type & TYPE_VALIDATED) !== 0 && (type & TYPE_COUNT) !== 0
  return isInUse && code >= TYPE_CODE.l1 && code <= TYPE_CODE.l4 ? (code as 1 | 2 | 3 | 4) : 0
}
