import { domainText, poisonMeaning } from '../decode/values.ts'
import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { frameName, isNoPfn, linesOf, refusedEntries, saysWhy } from './shared.ts'

export const foreignOrFreeFrame: Cause = {
  class: 'foreign-or-free-frame',
  name: 'An entry maps a frame of nobody',
  match: (evidence) => {
    const owners = messagesOf(evidence, 'l1-owner')
    const stolen = messagesOf(evidence, 'bad-page')
    const lost = messagesOf(evidence, 'get-page', 'page-ref', 'mmu-update-page', 'machphys')
    const xens = refusedEntries(evidence).filter(({ fields }) => fields.pg_owner === '32754')
    const all = [...owners, ...xens, ...stolen, ...lost]
    const unexplained = saysWhy(evidence)
      ? []
      : refusedEntries(evidence).filter(({ fields }) => fields.pg_owner !== '32753')
    if (all.length === 0 && unexplained.length > 0) {
      const [{ fields }] = unexplained
      const noPfn = isNoPfn(fields.pfn ?? '')
      return {
        score: noPfn ? 66 : 58,
        title: `One reading: ${frameName(fields)} is not the guest's own${noPfn ? ', as it has no pfn' : ''}.`,
        lines: linesOf(unexplained),
      }
    }
    if (all.length === 0) return undefined
    const [entry] = refusedEntries(evidence)
    const frame = frameName(entry?.fields ?? all[0].fields)
    const real = owners[0]?.fields.real_pg_owner
    const owner = real !== undefined ? domainText(real) : xens.length > 0 ? domainText('32754') : undefined
    const poison = entry?.fields.pfn === undefined ? undefined : poisonMeaning(entry.fields.pfn)
    return {
      score: owners.length > 0 ? 93 : xens.length > 0 ? 91 : stolen.length > 0 ? 86 : 64,
      title: `Xen refused to let the guest use ${frame}: the frame is not its own${owner === undefined ? '' : `, its owner is ${owner}`}.`,
      lines: linesOf([...all, ...refusedEntries(evidence)]),
      details: poison === undefined ? [] : [`pfn ${entry.fields.pfn}: ${poison}.`],
    }
  },
  signature: [
    '`Error getting mfn ... from L1 entry ...` together with `pg_owner A l1e_owner B, but real_pg_owner C` (Xen 4.2 and later), in which C is another domain or -1, which is nobody.',
    "A printed pfn of `ffffffffffffffff` or `5555555555555555`: Xen's table has no pfn for the frame.",
    '`Bad page ... caf=... taf=...` or `Bad steal mfn` before it, when the guest wanted to exchange the frame.',
    '`Could not get page ref` names the same for a frame that is wanted as a table or in an operation on it.',
  ],
  explanation: [
    'An entry may map only frames of the domain that the caller names, normally its own. For each present entry Xen takes a reference on the frame, and that succeeds only if the frame has the right owner. A frame that was given back has no owner, and one that was never allocated has none either.',
    'The guest asked for a frame that it does not own any more, or never did. Most often its own list from pfn to mfn is outdated: it gave the frame back or exchanged it and mapped it once more by the old number. An entry made of data that is no entry gives the same line.',
    'The refusal is about ownership and not about types: a writable and a read-only entry are refused alike. The guest gets -16 (EBUSY); Xen 3.x gives -22 (EINVAL).',
  ],
  check: [
    "Look at the owner that is printed last. A domain number says whose frame it is; -1 says that it was freed. Numbers from 32752 (0x7ff0) up are Xen's own: 32752 the caller, 32753 devices, 32754 Xen itself, 32755 shared memory.",
    'Compare the mfn with what the guest exchanged or gave back before: contiguous regions for DMA, ballooning, transferred or granted pages.',
    'See whether the entry looks like one: if its flags or its frame are odd, find out which memory was taken for a table.',
    'Check that regions are exchanged back with the same order and the same number of frames with which they were made.',
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Lets the software I/O TLB under Xen allocate and free with the same rounded size, so that no region is broken up that was never contiguous.',
    },
  ],
  avoid: [],
}
