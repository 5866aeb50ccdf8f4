import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EBUSY, EINVAL } from '../../src/bits/errno.ts'
import { parseRecording, runScript } from '../../src/run/script/script.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import { type Refusal, typeInTheWay } from '../../src/xen/refusal.ts'
import { xenVersionNames } from '../../src/xen/versions/index.ts'
import { recordings } from '../tools/recordings.ts'
import { sampled } from '../tools/sample.ts'

/** Folders of recorded scripts, and the version that they were recorded of. */
const RECORDED = [
  ['oracle', '4.17'],
  ['oracle-4.14', '4.14-release'],
  ['oracle-4.20', '4.20'],
] as const

/** What had been refused last after each operation of a script. */
function refusalsOf(script: string, xen: string): (Refusal | null)[] {
  const found: (Refusal | null)[] = []
  runScript(script, { xen, after: (machine) => void found.push(machine.refusal) })
  return found
}

/** Every hypercall that fails has refused something just then, and is told the number that the record has. */
function assertRecorded(script: string, domain: 'dom0' | 'domU', xen: string): number {
  let machine: Hypervisor | null = null
  let seen: Refusal | null = null
  let failed = 0
  runScript(script, {
    xen,
    domain,
    ready: (made) => {
      machine = made
    },
    sink: (event) => {
      if (event.kind !== 'hypercall' || machine === null) return
      const { refusal } = machine as Hypervisor
      if (event.rc < 0) {
        const what = `${xen}: ${event.name} ${JSON.stringify(event.args)}`
        assert.notEqual(refusal, seen, what)
        assert.equal(refusal?.errno, event.rc, what)
        failed++
      }
      seen = refusal
    },
  })
  return failed
}

test('whatever fails has one record, with the number that the guest is told', () => {
  let failed = 0
  for (const [folder, version] of RECORDED) {
    for (const set of ['hand', 'hand-domu', 'fuzz', 'fuzz-domu']) {
      const domain = set.endsWith('-domu') ? 'domU' : 'dom0'
      for (const { path, text } of sampled(recordings(`${folder}/${set}`), 16)) {
        const { lines } = parseRecording(text, path)
        // What the recorded probe could not read either is no operation.
        const readable = lines.filter(({ err }) => err === undefined)
        const script = readable.map(({ op }) => op).join('\n')
        for (const xen of [version, 'seed']) failed += assertRecorded(script, domain, xen)
      }
    }
  }
  assert.ok(failed > 1000, `${failed} hypercalls failed`)
})

test('the reason stays what stood in the way, and says where that was', () => {
  const script = 'page T D\nset T[7] = D|P|RW|US\nset T[9] = T|P|RW|US\nro T\npin1 T'
  const refusal = refusalsOf(script, '4.17').at(-1)
  assert.equal(refusal?.reason, 'badType')
  assert.equal(refusal?.errno, EBUSY)
  assert.equal(refusal?.facts.slot, 9)
  assert.equal(refusal?.facts.level, 1)
  assert.equal(refusal?.facts.table, refusal?.facts.mfn)
  assert.equal(typeInTheWay(refusal ?? null)?.mfn, refusal?.facts.mfn)
})

test('a version has its own number for a refusal, and the record has it too', () => {
  const script = 'page T D\nset T[9] = T|P|RW|US\nro T\npin1 T'
  assert.deepEqual(
    ['4.1', '4.17'].map((xen) => refusalsOf(script, xen).at(-1)?.errno),
    [EINVAL, EBUSY],
  )
})

test('a table that becomes linear after the ordinary way said no is no refusal', () => {
  const script = 'page A B\nro A\nro B\npin2 A\nset B[3] = A|P|US\npin2 B'
  for (const xen of xenVersionNames()) assert.equal(refusalsOf(script, xen).at(-1), null, xen)
})
