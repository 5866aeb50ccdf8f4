import type { Cause } from './cause.ts'

export const wrongTableMadeRo: Cause = {
  class: 'wrong-table-made-ro',
  name: 'The wrong table was made read-only',
  match: () => undefined,
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
