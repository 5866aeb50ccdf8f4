import { calls, hasMark, inEarlyBoot, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { aTable, frameName, linesOf, MMUEXT_OP, SETS_ENTRY, writableAliases } from './shared.ts'

export const wrongTableMadeRo: Cause = {
  class: 'wrong-table-made-ro',
  name: 'The wrong table was made read-only',
  match: (evidence) => {
    const [alias] = writableAliases(evidence)
    // The batch made pages read-only, which succeeded, and pinned another, which did not.
    const batch = recordsOf(evidence, 'multicall').find(
      ({ calls: entries }) =>
        entries.some(({ op, result }) => SETS_ENTRY.includes(op) && result === 0) &&
        entries.some(({ op, result }) => op === MMUEXT_OP && result < 0),
    )
    // Linux pins a whole tree by walking it and taking write permission away from each table first. At suspend it pins all.
    const root = alias?.exp.type === 'l4' || (alias?.exp.type === 'l3' && alias.exp.layout === '3.0')
    const walker =
      calls(evidence, /^_*xen_(?:pgd_pin|mm_pin_all|pgd_walk)|^_*xen_pin_page/) ||
      (root && (hasMark(evidence, 'kstop') || calls(evidence, /^xen_suspend/)))
    // Of a running Linux the root is pinned in one batch with that; a root that is itself what is still writable was missed.
    const missedRoot =
      root &&
      alias.saw.count === 1 &&
      !inEarlyBoot(evidence) &&
      recordsOf(evidence, 'multicall').length > 0 &&
      messagesOf(evidence, 'pin-error').some(({ fields }) => fields.mfn === alias.mfn)
    if (batch === undefined && !(alias !== undefined && (walker || missedRoot))) return undefined
    const frame = alias === undefined ? 'the table' : frameName(alias)
    const as = alias === undefined ? '' : ` as ${aTable(alias.exp.type)}`
    return {
      score: alias === undefined ? 74 : batch !== undefined ? 97 : walker ? 90 : 81,
      title: `The kernel made pages read-only and then pinned ${frame}${as}, which was not among them: Xen refused it.`,
      lines: linesOf([
        ...(alias === undefined ? [] : [alias.record]),
        ...(batch === undefined ? [] : [batch]),
      ]),
      ...(batch === undefined
        ? {}
        : {
            details: [
              'In the failed batch the calls that take write permission away succeeded; only the pin failed.',
            ],
          }),
    }
  },
  signature: [
    '`Bad type` with a `saw` of type writable, count 1, and an `exp` of the top level (L4, or L3 of a 32-bit PAE guest), followed by `Error while pinning mfn` about the same mfn.',
    "In the guest's multicall dump the calls before the pin, `op=14` (update_va_mapping) to make tables read-only, have `result=0`; only the pin, `op=26` (mmuext_op), fails with `result=-22`.",
    'The call trace names a function that pins whole address spaces, such as __xen_pgd_pin or xen_mm_pin_all on the way into a suspend.',
  ],
  explanation: [
    'Before a guest pins a top-level table it has to make every table of that tree read-only in its own mappings. Xen takes the tree level by level and gives each frame its type; a frame that is still mapped writable has the type writable and is refused.',
    'Here the guest did make tables read-only, and Xen accepted each of those changes. They were the tables of another tree: the walk started at a different top-level table than the one that was pinned. So the table at the pin kept its writable entry in the direct map.',
    'The log looks as if everything was prepared properly, because each preparing call succeeded. Only a comparison of the addresses in these calls with the table that was pinned shows the mistake.',
  ],
  check: [
    'Compare the addresses in the successful update_va_mapping calls with the direct-map address of the printed pfn. If none of them is equal, the wrong table was made read-only.',
    'Read the entry of the direct map for the printed pfn: it is present and has RW set.',
    'Read the function that walks the tables before a pin: which top-level table it is given, and which it uses.',
    'If the log has no multicall dump, ask for a guest kernel with the debugging of multicalls turned on; it lists every call of the batch with its result.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: '86bbc2c235e',
      what: 'Hands the top-level table that is to be pinned to the walker, which had used the one of init_mm.',
    },
  ],
  avoid: [],
}
