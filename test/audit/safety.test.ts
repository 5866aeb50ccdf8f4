import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RECORD_WORDS, REF_COUNT, REFS_WORD, TYPE_COUNT } from '../../src/machine/frames.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { runScript } from '../../src/run/script/script.ts'
import { defaultMoves } from '../../src/run/search/moves.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import { howMany } from '../tools/sample.ts'

/**
 * What must hold whatever a guest does, with all holes closed: no frame is a table and mapped writable at once, no frame of
 * Xen's or of another domain becomes writable, every count is what its holders make it and so never negative, and what is
 * refused takes no reference. fast-check shrinks a sequence that breaks one to a minimal script.
 */
const PAGES = ['A', 'B', 'C', 'D']
const [SETUP, ...MOVES] = defaultMoves(PAGES.length, false).split('\n')
/** Operations beside those of a search: memory that comes and goes, stores of all widths, whole pages, descriptors. */
const MORE = PAGES.flatMap((p) => [
  `decr ${p}`,
  `popp ${p}`,
  `exch ${p}`,
  `clear ${p}`,
  `copy ${p} A`,
  `set4 ${p}[0] = 0x67`,
  `set2 ${p}+2 = 0xea01`,
  `set1 ${p}+1 = 0`,
  `cas ${p}[0] 0 A|P|RW`,
  `xchg ${p}[0] B|P|US`,
  `or ${p}[0] 2`,
  `btr ${p}[0] 0`,
  `desc ${p}[1] = 0x00cff2000000ffff`,
  `rw ${p}`,
  `ro ${p}`,
  `mmu ${p}[0] = XPERD|P|RW|US`,
  `mmu ${p}[0] = M2PF|P|RW dom=XEN`,
  `mmu ${p}[0] = SHINFO|P|RW`,
  `mmu ${p}[1] = C|P|US , ${p}[0] = D|P|RW|US , ${p}[2] = NORAM|P`,
  `pin1 ${p} , pin2 A , unpin ${p}`,
])
/** A root without the kernel, and a process without one, end the guest, and with it the sequence. */
const isFatal = (line: string): boolean => /^(baseptr [A-D]|multi iret)/.test(line)
const LINES = [...MOVES.filter((line) => !isFatal(line)), 'baseptr A', 'multi iret , tlblocal', ...MORE]

const numRuns = howMany({ all: 80, few: 25 })
const runs = fc.record({
  xen: fc.constantFrom('4.17', '4.17-release', 'seed'),
  domain: fc.constantFrom('dom0' as const, 'domU' as const),
  // Tables are few where every page is writable; most sequences begin with what makes them possible.
  start: fc.subarray(
    PAGES.map((p) => `ro ${p}`),
    { minLength: 0 },
  ),
  lines: fc.array(fc.constantFrom(...LINES), { minLength: 1, maxLength: 60, size: 'max' }),
})

test('random sequences of operations break no property, and every count stays right', () => {
  fc.assert(
    fc.property(runs, ({ xen, domain, start, lines }) => {
      runScript([SETUP, ...start, ...lines].join('\n'), {
        xen,
        domain,
        holes: 'none',
        after: (machine, { op }) => assert.deepEqual(auditMachine(machine), [], op),
      })
    }),
    { seed: 20261126, numRuns },
  )
})

test('what is refused takes no reference, and gives none back', () => {
  let refused = 0
  fc.assert(
    fc.property(runs, ({ xen, domain, start, lines }) => {
      let before: Uint32Array | null = null
      runScript([SETUP, ...start, ...lines].join('\n'), {
        xen,
        domain,
        holes: 'none',
        after(machine, { op, rc }) {
          const now = countsOf(machine)
          // Of a batch, the requests before the refused one stand.
          if (before !== null && rc !== undefined && rc < 0 && !op.includes(',')) {
            refused++
            assert.deepEqual(now, before, op)
          }
          before = now
        },
      })
    }),
    { seed: 20261127, numRuns },
  )
  assert.ok(refused > numRuns * 6, `only ${refused} operations were refused`)
})

/** The two counts of every frame that has any. */
function countsOf({ memory }: Hypervisor): Uint32Array {
  const counts: number[] = []
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const record = word + i * RECORD_WORDS
      const refs = memory.u32[record + REFS_WORD] & REF_COUNT
      const types = memory.u32[record] & TYPE_COUNT
      if (refs + types !== 0) counts.push(first + i, refs, types)
    }
  }
  return Uint32Array.from(counts)
}
