import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainText } from '../../src/explain/explain.ts'

/** One mechanism each: what a line or two say, in the real format. */
const READINGS: readonly (readonly [what: string, lines: readonly string[], cause: string])[] = [
  [
    'an entry that Xen mended as half-written is no refused one',
    [
      '(XEN) mm.c:601:d3 Error getting mfn 7c123 (pfn 81123) from L1 entry 000000007c123025 for dom3',
      '(XEN) mm.c:3190:d3 ptwr_emulate: fixing up invalid PAE PTE 000000007c123025',
    ],
    'ptwr-pae-half-write',
  ],
  [
    'another entry that was refused is not excused by it',
    [
      '(XEN) mm.c:601:d3 Error getting mfn 7c777 (pfn 81777) from L1 entry 000000007c777067 for dom3',
      '(XEN) mm.c:3190:d3 ptwr_emulate: fixing up invalid PAE PTE 000000007c123025',
    ],
    'ambiguous-message',
  ],
  [
    'EBUSY in a multicall is a writable mapping that cannot be had',
    [
      '[    2.101] 1 of 1 multicall(s) failed: cpu 1',
      '[    2.102]   call  1: op=1 arg=[ffff888012345af0] result=-16',
    ],
    'rw-mapping-refused',
  ],
  [
    'EPERM with an entry in the interrupt window is device memory',
    [
      '[    2.101000] 1 of 1 multicall(s) failed: cpu 1',
      '[    2.102000]   call  1: op=1 result=-1 caller=xen_extend_mmu_update+0x4e/0xd0 pars=ffff888267e25ad0 1 0 7ff0 args=12345678 80000000fee01073',
    ],
    'mmio-denied',
  ],
  [
    "a page-table dump in a guest walks through Xen's slots",
    [
      '[    3.100001] Oops: 0000 [#1] SMP',
      '[    3.100002] RIP: e030:ptdump_walk_pgd_level_core+0x11d/0x480',
      '[    3.100003] Call Trace:',
      '[    3.100004]  kernel_init+0x2c/0xfe',
    ],
    'walks-hypervisor-slots',
  ],
  [
    "a fault in Xen's range needs no other sign of Xen, and may be broken over two lines",
    ['[   26.301388] BUG: unable to handle kernel ', 'paging request at ffff830123456018'],
    'walks-hypervisor-slots',
  ],
  [
    'the registers of an HVM guest say nothing of tables that Xen checks',
    [
      '(XEN) Domain 7 (vcpu#1) crashed on cpu#5:',
      '(XEN) RIP:    0010:[<ffffffffc0123de5>]',
      '(XEN) RFLAGS: 0000000000000002   CONTEXT: hvm guest (d7v1)',
      '(XEN) cr3: 00000001130e4004   cr2: ffff880012345000',
    ],
    'not-mmu',
  ],
  [
    'an ordinary fault of a driver in a PV guest is no page-type problem',
    [
      '[    0.526802] #PF: error_code(0x0000) - not-present page',
      '[    0.526810] Oops: 0000 [#1] SMP',
      '[    0.526818] RIP: e030:some_probe+0x136/0x210',
      '[    0.526835] RAX: ffffc900401bb818 RBX: ffffffff82b01fa8 RCX: 0000000000000000',
    ],
    'not-mmu',
  ],
  [
    "a tool's writable mapping of another domain's table",
    [
      '(XEN) mm.c:2421:d0 Bad type (saw 2400000000000001 != exp 7000000000000000) for mfn 7c123 (pfn 123)',
      '(XEN) mm.c:907:d0 Error getting mfn 7c123 (pfn 123) from L1 entry 800000007c123067 for l1e_owner=0, pg_owner=5',
    ],
    'map-pagetable-rw-from-dom0',
  ],
  [
    'a table of two levels is a conflict of types',
    [
      '(XEN) arch/x86/mm.c:2940:d1v0 Bad type (saw 2400000000000001 != exp 6000000000000000) for mfn 7c123 (pfn 00123)',
      '(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 7c123',
    ],
    'table-type-conflict',
  ],
  [
    'a line about a linear table behind another refusal is its echo',
    [
      '(XEN) arch/x86/mm.c:878:d1v0 Bad L1 flags 800000',
      '(XEN) arch/x86/mm.c:1124:d1v0 Attempt to create linear p.t. with write perms',
    ],
    'forbidden-pte-flag',
  ],
  [
    'on its own it is a recursive entry with RW',
    [
      '(XEN) arch/x86/mm.c:698:d1v0 Attempt to create linear p.t. with write perms',
      '(XEN) arch/x86/mm.c:1784:d1v0 Failure -22 in promote_l4_table: slot 0x1ed',
      '(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 7c123',
    ],
    'linear-pt-writable',
  ],
  [
    'a refused pin without its reason is ambiguous',
    ['(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 7c123'],
    'ambiguous-message',
  ],
  [
    'a log inside a patch or a comment is a log',
    ['+\t * (XEN) mm.c:3506:d0v0 mfn 63b936 already pinned'],
    'double-pin',
  ],
]
for (const [what, lines, cause] of READINGS) {
  test(what, () => {
    const { causes } = explainText(lines.join('\n'))
    assert.equal(
      causes[0]?.class,
      cause,
      causes.map(({ class: name, score }) => `${name} ${score}`).join(', '),
    )
  })
}

/** What line numbers say of the version, in the order: exactly, between two, and nothing where there are two such places. */
const VERSIONS: readonly (readonly [line: string, from: string, to: string, how: string])[] = [
  ['(XEN) mm.c:2985:d0 Error while pinning mfn b1d89', '4.1', '4.1', 'line-numbers'],
  ['(XEN) mm.c:2600:d0 Error while pinning mfn b1d89', '3.0.3', '3.4', 'near-line-numbers'],
  ['(XEN) mm.c:2993:d0 Error while pinning mfn b1d89', '4.4', '4.4', 'near-line-numbers'],
  ['(XEN) arch/x86/mm.c:2165:d0v0 Bad L1 flags 400000', '4.19', '4.19', 'near-line-numbers'],
  ['(XEN) mm.c:2186:d0v0 Bad L1 flags 800000', '4.13', '4.13', 'near-line-numbers'],
  ['(XEN) d1 L1TF-vulnerable L1e 8010000018200066 - Shadowing', '4.12', 'unstable', 'wording'],
]
for (const [line, from, to, how] of VERSIONS) {
  test(`the Xen of "${line}" is ${from} to ${to}`, () => {
    const { xen } = explainText(line)
    assert.deepEqual([xen?.from, xen?.to, xen?.how], [from, to, how], xen?.sure)
  })
}
