import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REFS_WORD, TYPE_SHIFT } from '../../src/machine/frames.ts'
import { Audit, auditMachine, auditScript, WHOLE_EVERY } from '../../src/run/check/audit.ts'
import { hostileMachine } from '../../src/run/check/hostile.ts'
import { runScript } from '../../src/run/script/script.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'

/** A script that makes tables and uses them, and then does little for a long time. */
const SCRIPT = [
  'page A B C D',
  'set A[0] = C|P|RW|US',
  'ro A',
  'pin1 A',
  'ro B',
  'mmu B[3] = A|P|RW|US',
  'pin2 B',
  'gdt 0',
  ...Array.from({ length: 1500 }, (_, i) => (i % 2 === 0 ? 'mmu A[1] = D|P|US' : 'mmu A[1] = 0')),
].join('\n')

/** Words of the record of the n-th scratch page. */
function record(xen: Hypervisor, page: number): number {
  const domain = xen.domainOf(xen.guestVcpu)
  return xen.memory.record(xen.m2p.find(0x200 + page, domain.owner))
}

/** One mistake each, as the rules might make it; all of them are made by the `at`-th operation. */
const MISTAKES: Readonly<
  Record<string, { readonly change: (xen: Hypervisor) => void; readonly says: RegExp }>
> = {
  'a reference too many': {
    change: (xen) => void xen.memory.u32[record(xen, 2) + REFS_WORD]++,
    says: /references/,
  },
  'a type reference too few': {
    change: (xen) => void xen.memory.u32[record(xen, 2)]--,
    says: /type count/,
  },
  'a table of another level': {
    change(xen) {
      const at = record(xen, 0)
      xen.memory.u32[at] = (xen.memory.u32[at] ^ (3 << TYPE_SHIFT)) >>> 0
    },
    says: /has type/,
  },
  'an entry that nobody counted': {
    change(xen) {
      const { memory, m2p } = xen
      const frame = m2p.find(0x203, xen.domainOf(xen.guestVcpu).owner)
      memory.u32[memory.backing(record(xen, 0)) + 2 * 7] = ((frame << 12) | 5) >>> 0
    },
    says: /references/,
  },
}

for (const [name, { change, says }] of Object.entries(MISTAKES)) {
  for (const at of [8, 60, 1102]) {
    test(`the audit finds ${name} at the operation that made it, number ${at}`, () => {
      let n = 0
      const { finding } = auditScript(SCRIPT, {
        ready: () => {
          n = 0
        },
        after(xen) {
          if (++n === at) change(xen)
        },
      })
      assert.ok(finding !== null)
      assert.equal(finding.n, at)
      assert.equal(finding.op, SCRIPT.split('\n')[at - 1])
      assert.match(finding.wrong.join('\n'), says)
    })
  }
}

test('a record that changes where nothing else does is found by the next whole count', () => {
  let audit: Audit | null = null
  const found: number[] = []
  let n = 0
  runScript(SCRIPT, {
    ready: (xen) => {
      audit = new Audit(xen)
    },
    after(xen) {
      n++
      // A page of the pool that the script has nothing to do with.
      if (n === 20) xen.memory.u32[record(xen, 40) + REFS_WORD]++
      if (audit?.isWell() === false) found.push(n)
    },
  })
  assert.equal(found[0], WHOLE_EVERY)
  assert.equal((audit as unknown as Audit).wholeAt, 0)
})

test('a script without mistakes has no finding', () => {
  const { finding, result } = auditScript(SCRIPT)
  assert.equal(finding, null)
  assert.equal(result.lines.length, SCRIPT.split('\n').length)
})

test('after every one of many random hypercalls every count is right', () => {
  for (const [profile, domain, seed] of [
    ['4.17', 'dom0', 11],
    ['4.17', 'domU', 12],
    ['seed', 'dom0', 13],
  ] as const) {
    const machine = hostileMachine(profile, domain, seed)
    let xen: Hypervisor | null = null
    let audit: Audit | null = null
    for (let i = 0; i < 6000; i++) {
      // A guest that died has been replaced by another, on another machine.
      if (audit === null || machine.xen !== xen) {
        xen = machine.xen
        audit = new Audit(xen)
      }
      const before = machine.xen
      machine.call()
      if (machine.xen !== before) audit = null
      else if (!audit.isWell()) assert.fail(`${profile} ${domain}, call ${i}: ${auditMachine(machine.xen)}`)
    }
    if (audit !== null) assert.ok(audit.isWholeWell())
  }
})
