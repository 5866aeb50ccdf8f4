import { earlyTableSuspects } from '../decode/suspects.ts'
import { errnoOf } from '../decode/values.ts'
import { afterBoot, crashed, hasMark, hasRefusals, inEarlyBoot, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { aTable, counted, frameName, linesOf, writableAliases } from './shared.ts'

export const writableAliasThenPin: Cause = {
  class: 'writable-alias-then-pin',
  name: 'New table is still mapped writable',
  match: (evidence) => {
    const [first, ...others] = writableAliases(evidence)
    if (first !== undefined) {
      const early = inEarlyBoot(evidence)
      return {
        score: early ? 96 : others.length === 0 && first.saw.count === 1 ? 78 : 70,
        title: `Xen refused ${frameName(first)} as ${aTable(first.exp.type)}: ${counted(first.saw.count, 'writable mapping')} of it is left.`,
        lines: linesOf([
          first.record,
          ...others.map(({ record }) => record),
          ...messagesOf(evidence, 'pin-error'),
        ]),
        ...(early ? { details: ['The guest was in early boot, where its own tables are being built.'] } : {}),
      }
    }
    // A release build prints no refusal: what is left is a BUG() before any handler, and -EINVAL in a register.
    if (hasRefusals(evidence) || !crashed(evidence) || !hasMark(evidence, 'early-tables')) return undefined
    const trap = recordsOf(evidence, 'trap').find(({ vector }) => vector === 6)
    // A refused table is EINVAL; EBUSY is a refused writable mapping, another cause.
    const dump = recordsOf(evidence, 'registers').find(({ values }) =>
      Object.values(values).some((value) => errnoOf(value) === '-EINVAL'),
    )
    if (trap === undefined || dump === undefined || afterBoot(evidence)) return undefined
    const [suspect] = earlyTableSuspects(evidence)
    if (suspect === undefined) {
      const [name, value] = Object.entries(dump.values).find(([, text]) => errnoOf(text) === '-EINVAL')!
      return {
        score: 72,
        title: `The kernel gave up when a hypercall was refused (${name} is ${value}, -EINVAL) while it built its early page tables: most likely one of them is still mapped writable.`,
        lines: [trap.line, dump.line],
        details: ['This build of Xen prints no line for a refusal; a debug build would name the page.'],
      }
    }
    return {
      score: 82,
      title: `A hypercall of early boot was refused (${suspect.errno}) over pfn ${suspect.pfn}, a page of the early page tables: most likely a writable mapping of it is left.`,
      lines: [trap.line, suspect.line],
      details: [
        `${suspect.register} is ${suspect.value}, the direct map's address of pfn ${suspect.pfn}, inside the buffer ${suspect.buffer} that the kernel printed.`,
        'This build of Xen prints no line for a refusal; a debug build would.',
      ],
    }
  },
  signature: [
    '`Bad type` with a `saw` of type writable and an `exp` of type L1 to L4 on the same mfn, followed by `Error while pinning mfn` or `Error while validating mfn` about that mfn, or by a refused hook of it into a higher table.',
    'The count of `saw` is the number of writable references that are left; one reference is the usual case, one entry that the guest forgot. Each present entry of a live L1 with RW set counts as one.',
    'The guest is still setting up its memory: the last lines are those of the early boot, no trap table is registered, and `Unhandled invalid opcode` follows because BUG() is how the kernel answers a failed pin.',
  ],
  explanation: [
    'Xen gives a frame one type at a time. A frame that the guest can write has the type writable; a page table has one of the types L1 to L4. The type can change only while nothing refers to the frame by its type, so a frame with one writable mapping left cannot become a table.',
    'Here the guest filled a page, made it a page table and asked Xen to pin it, while another entry of a live table still mapped the same page writable. In early boot this is typically the entry of the direct map: the kernel maps all memory, the pages that it has set aside for tables included, and those that are not tables yet at that moment are mapped writable like ordinary memory.',
    'Making the page read-only just before the pin does not help when the guest cannot find the entry. In Linux 2.6.39-rc the entry was in an L1 that was already pinned but hung below an L2 that was not linked yet, so the look-up of the address found no path and changed nothing. Xen had counted the entry all the same, when it validated that L1.',
  ],
  check: [
    'Find the other entry: the one in the direct map at the virtual address of the printed pfn comes first, then the fixmap and early-ioremap slots, then vmalloc. It must become read-only, or go, before the pin.',
    'Compare the pfn with the range that the kernel set aside for its page tables (`kernel direct mapping tables up to ... @ ...`). A pfn in the unused part of the range confirms the cause.',
    'Compare when the entry was written with when the page became a table: an entry that was written before the page was known as a table was written without the read-only mask.',
    "A count above 1 means several entries. Then clearing the direct map's entry alone will not cure it.",
    'Boot the guest with `earlyprintk=xen`, and Xen with `loglvl=all guest_loglvl=all`, to see which memory range was being mapped when it happened.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: 'b9269dc7bfdf',
      release: '2.6.39-rc6',
      what: 'Keeps the whole buffer for early page tables read-only, up to its top and not only up to its used end.',
    },
    {
      project: 'Linux',
      commit: 'a38647837a41',
      release: '2.6.39-rc6',
      what: 'Gives the unused tail of that buffer its write permission back later; withdrawn by 92bdaef7b2c5 before 2.6.39.',
    },
    {
      project: 'Linux',
      commit: '279b706bf800',
      release: '2.6.39',
      what: 'Replaces the workaround by a hook that reserves the used part and gives back the tail when a mapping is done.',
    },
    {
      project: 'Linux',
      commit: '8d57470d8f85',
      release: '3.9',
      what: 'Takes the pages for tables one by one from memory that is mapped already, so that they can be made read-only when they become tables.',
    },
  ],
  avoid: [],
}
