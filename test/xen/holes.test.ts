import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hostileMachine } from '../../src/run/check/hostile.ts'
import { brokenPropertiesOf } from '../../src/run/check/properties.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { runScript } from '../../src/run/script/script.ts'
import { HOLES, holesIn, holesOf, withHoles } from '../../src/xen/versions/holes.ts'
import { releaseName, versions, xenVersion } from '../../src/xen/versions/index.ts'

/** For each hole the shortest sequence that goes through it, written from the advisory's description. */
const WITNESSES: Readonly<Record<string, string>> = {
  // A table is linked where a large page could be, and becomes one by a change of one flag: A0 lies at a 2 MiB boundary.
  148: `pages A 8
ro A0
pin1 A0
mmu KL2[500] = A0|P|RW|US|A|D
mmu KL2[500] = A0|P|RW|US|A|D|PSE`,
  // A device's page, uncached; then the entry changes nothing but its caching.
  154: `uvm W0 = NORAM|P|RW|PWT|PCD
uvm W0 = NORAM|P|RW`,
  // The root maps itself, for reading; then the entry gains RW.
  182: `mmu KL4[300] = KL4|P|US|A|D
mmu KL4[300] = KL4|P|RW|US|A|D`,
  // iret to a process, whose tables have the kernel's memory too, and a call behind it.
  213: `page U T
set U[511] = KL3|P|RW|US|A|D
ro U
pin4 U
ubaseptr U
multi iret , uvm W0 = T|P|RW|US`,
  // Three roots, each of which maps the next.
  240: `pages T 3
ro T0
ro T1
ro T2
pin4 T0
mmu T1[0] = T0|P|US|A|D
pin4 T1
mmu T2[0] = T1|P|US|A|D
pin4 T2`,
  // Xen looks at an L1 through its linear map; then another L1 is there, and the first one holds nothing any more. What Xen
  // changes behind the old address is an entry whose reference it gives back a second time: T has none left.
  286: `page L T
ro L
mmu KL2[500] = L|P|RW|US|A|D
uvm V:511.510.500.0 = T|P|RW|US
mmu KL2[500] = KL1W|P|RW|US|A|D
uvm V:511.510.500.0 = 0
pin1 T`,
  // An LDT of one descriptor, and a selector of its second page.
  298: `pages R 2
ro R0
ro R1
setldt @R0 1
ldsel 0x1007`,
}

/** The properties that a script breaks, in the order in which it does. */
function brokenBy(script: string, xen: string, holes?: string): string[] {
  const found: string[] = []
  runScript(script, {
    xen,
    ...(holes === undefined ? {} : { holes }),
    after: (machine) => found.push(...brokenPropertiesOf(machine).map(({ property }) => property)),
  })
  return [...new Set(found)]
}

for (const { advisory, title, property } of HOLES) {
  test(`XSA-${advisory}, ${title}: open it breaks ${property}, closed it breaks nothing`, () => {
    const witness = WITNESSES[advisory]
    assert.deepEqual(brokenBy(witness, '4.17', advisory), [property])
    assert.deepEqual(brokenBy(witness, '4.17'), [])
    assert.deepEqual(
      brokenBy(
        witness,
        '4.17',
        HOLES.map((hole) => hole.advisory)
          .filter((name) => name !== advisory)
          .join(),
      ),
      [],
    )
  })

  test(`XSA-${advisory} is open in the Xen of 2011, and can be closed there`, () => {
    // A root that maps itself reaches Xen's own tables of the machine-to-phys map as well, hence not this property alone.
    for (const xen of ['seed', '4.1']) {
      assert.ok(brokenBy(WITNESSES[advisory], xen).includes(property), xen)
      assert.deepEqual(brokenBy(WITNESSES[advisory], xen, 'none'), [], xen)
    }
  })

  test(`XSA-${advisory} is closed in the Xen of today`, () => {
    for (const xen of ['4.14', '4.20', '4.21']) {
      assert.deepEqual(brokenBy(WITNESSES[advisory], xen), [], xen)
      assert.deepEqual(brokenBy(WITNESSES[advisory], xen, advisory), [property], xen)
    }
  })
}

test('a profile with its own holes is itself, and opening what was closed gives the same rules again', () => {
  for (const version of versions) {
    assert.equal(withHoles(version, holesOf(version)), version)
    const closed = withHoles(version, [])
    assert.deepEqual(closed.holes, [])
    const all = HOLES.map(({ advisory }) => advisory)
    assert.deepEqual(withHoles(withHoles(closed, all), []), closed)
  }
  assert.deepEqual(
    xenVersion('seed').holes,
    HOLES.map(({ advisory }) => advisory),
  )
  assert.deepEqual(xenVersion('4.17').holes, [])
})

for (const version of versions) {
  test(`${version.name} has the holes open that its release was not mended of, and their rules`, () => {
    assert.deepEqual(version.holes, holesIn(releaseName(version)))
    for (const { advisory, open, close } of HOLES) {
      const [own, other] = version.holes.includes(advisory) ? [open, close] : [close, open]
      assert.deepEqual(own(version).rules, version.rules, advisory)
      assert.notDeepEqual(other(version).rules, version.rules, advisory)
    }
  })
}

test('a release is mended from the first one of its series on that has it', () => {
  const open = (release: string): string => holesIn(release).join(' ')
  assert.equal(open('4.0.1'), '148 154 182 213 240 286 298')
  assert.equal(open('4.4.3'), '148 154 182 213 240 286 298')
  assert.equal(open('4.4.4'), '154 182 213 240 286 298')
  assert.equal(open('4.6.3'), '182 213 240 286 298')
  assert.equal(open('4.8.0'), '213 240 286 298')
  assert.equal(open('4.10.1'), '286 298')
  assert.equal(open('4.14.0'), '286')
  assert.equal(open('4.14.1'), '')
  assert.equal(open('4.15-unstable'), '286')
  assert.equal(open('4.20.5-pre'), '')
})

test('a hole that there is not is refused in one line that names those there are', () => {
  assert.throws(
    () => holesOf(xenVersion('4.17'), '148,183'),
    /'183' is no hole of this machine \(did you mean 182\?\)/,
  )
  assert.deepEqual(holesOf(xenVersion('4.17'), 'XSA-240, 148'), ['148', '240'])
})

/** Calls of a random guest between two looks at the properties. */
const BETWEEN = 25
const CALLS = 1500

test('whatever a guest calls, no property breaks and no count is wrong', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('4.17', '4.17-release'),
      fc.constantFrom('dom0' as const, 'domU' as const),
      fc.integer({ min: 1, max: 1e6 }),
      (profile, domain, seed) => {
        const machine = hostileMachine(profile, domain, seed)
        for (let i = 0; i < CALLS; i++) {
          machine.call()
          if (i % BETWEEN === 0) assert.deepEqual(brokenPropertiesOf(machine.xen), [])
        }
        assert.deepEqual(recountMachine(machine.xen), [])
      },
    ),
    { seed: 20261122, numRuns: 8 },
  )
})
