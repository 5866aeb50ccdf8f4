import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recountMachine } from '../../src/run/check/recount.ts'
import { runScript } from '../../src/run/script/script.ts'
import { parseScript } from '../../src/script/parse.ts'
import { RANDOM_PROFILES, randomScript } from '../../src/script/random-script.ts'

test('a random script is the same for the same seed, and another for another', () => {
  assert.equal(randomScript(7), randomScript(7))
  const all = new Set(
    RANDOM_PROFILES.flatMap((profile) => [1, 2, 3].map((seed) => randomScript(seed, { profile }))),
  )
  assert.equal(all.size, RANDOM_PROFILES.length * 3)
  assert.equal(
    randomScript(3, { ops: 90 })
      .split('\n')
      .findLastIndex((line) => line.startsWith('autoinfo')),
    90,
  )
})

const FIRST_WORDS =
  'page autoinfo set ro rw unmap uvm mmu pin1 unpin multi get set4 set2 set1 set16 cas cas4 xchg or btr gdt desc setldt ldsel decr popp exch m2p baseptr ubaseptr clear copy hc assist dump info'

for (const profile of RANDOM_PROFILES) {
  test(`random scripts of profile ${profile} are read whole, and both what is granted and what is refused occurs`, () => {
    let [granted, refused, faults] = [0, 0, 0]
    const verbs = new Set<string>()
    for (let seed = 1; seed <= 6; seed++) {
      const script = randomScript(seed, { profile })
      for (const line of parseScript(script)) {
        assert.equal(line.error, null, line.text)
        verbs.add(line.text.split(' ')[0])
      }
      const { lines } = runScript(script, {
        xen: '4.17-release',
        domain: seed % 2 === 0 ? 'dom0' : 'domU',
        after: (machine, line) => {
          if (line.op.startsWith('info')) assert.deepEqual(recountMachine(machine), [], script)
        },
      })
      for (const { rc, fault } of lines) {
        if (fault !== undefined) faults++
        else if (rc !== undefined && rc < 0) refused++
        else if (rc !== undefined) granted++
      }
    }
    assert.ok(granted > 1000 && refused > 100 && faults > 30, `${granted} ${refused} ${faults}`)
    if (profile === 'mixed') {
      assert.deepEqual(
        FIRST_WORDS.split(' ').filter((verb) => !verbs.has(verb)),
        [],
      )
    }
  })
}
