import { inEarlyBoot, messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { aTable, counted, frameName, linesOf, writableAliases } from './shared.ts'

export const staleAliasThenPin: Cause = {
  class: 'stale-alias-then-pin',
  name: 'A forgotten mapping still writes the page',
  match: (evidence) => {
    const aliases = writableAliases(evidence)
    if (aliases.length === 0) return undefined
    const worst = aliases.toSorted((a, b) => b.saw.count - a.saw.count)[0]
    const frames = new Set(aliases.map(({ mfn }) => mfn)).size
    const guest = !/^d0(?:v|$)/.test(worst.record.vcpu ?? 'd0')
    let score = inEarlyBoot(evidence) ? 30 : 66
    // One forgotten entry is one mistake; many, or many pages, are mappings that nobody takes away when memory is freed.
    if (worst.saw.count > 1) score += 22
    if (frames > 1) score += 14
    if (guest) score += 6
    if (messagesOf(evidence, 'linear-rw').length > 0) score += 4
    return {
      score: Math.min(score, 95),
      title: `Xen refused ${frameName(worst)} as ${aTable(worst.exp.type)}: ${counted(worst.saw.count, 'writable mapping')} of it left over from an earlier use.`,
      lines: linesOf([
        ...aliases.map(({ record }) => record),
        ...messagesOf(evidence, 'pin-error', 'linear-rw'),
      ]),
      details: [
        ...(frames > 1 ? [`${frames} frames were refused so: the guest ran on after the first.`] : []),
        ...(messagesOf(evidence, 'linear-rw').length > 0
          ? ['The line about a linear page table follows from the refused table; nobody tried to make one.']
          : []),
      ],
    }
  },
  signature: [
    '`Bad type` with a `saw` of type writable and an `exp` of type L1 to L4, in a guest that has booted and was working: a domain id above 0 or a long uptime, and no boot lines around it.',
    'A count above 1 in `saw`, such as `7400000000000010` with 16 references, is typical: several entries map the page, where the direct map alone would give 1.',
    'Several mfns are refused in a row, at different levels. `Attempt to create linear p.t. with write perms` right after such a line is its consequence and not a cause of its own.',
  ],
  explanation: [
    'A frame with writable references has the type writable, and Xen refuses to make it a page table until the last of them is gone. It does not matter where the entries are or whether the guest means to use them again.',
    "The guest freed a page while some entries that map it were left in its tables, such as those of vmalloc or vmap areas that are taken down lazily. The allocator then gave the page out again, as a page table. The kernel made the direct map's entry read-only, and knew nothing of the others.",
    'On bare hardware a stale entry that nobody uses does no harm, so the lazy clean-up is sound there. Under Xen the entry itself is a reference. It is enough to clear the entry: the TLB flush may stay lazy, as Xen flushes by itself when the type of a frame changes.',
    "When the refused reference comes from an entry of an upper level, Xen also looks whether that entry is a recursive one, and reports the write permission, which a recursive entry must not have and ordinary entries do have. That second line describes the look, not the guest's intention.",
  ],
  check: [
    "Take the count in `saw` as the number of entries to look for. The direct map's entry is among them only if the guest had not made it read-only before.",
    'Search the vmalloc area and the kmap or fixmap slots for entries with the printed mfn; the users of vm_map_ram(), vmap() and ioremap() that ran shortly before come first. NFS was the one in 2010.',
    "Ask for the guest's call trace at the failed pin (`kernel BUG` or `multicall(s) failed`): it says what was being allocated, though not who left the entries.",
    "Ask for the log from the start with `guest_loglvl=all` on Xen's command line: guest warnings are rate limited otherwise and the first refusal may be missing.",
  ],
  fixes: [
    {
      project: 'Linux',
      commit: '64141da5872',
      what: 'Clears the entries of a vmap area at once when it is unmapped and leaves only the flush for later.',
    },
  ],
  avoid: [],
}
