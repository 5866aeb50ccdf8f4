import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutateBytes, mutateJson } from '../../../fuzz/mutate.ts'
import { BadInput } from '../../../src/bits/bad-input.ts'
import { recountMachine } from '../../../src/run/check/recount.ts'
import { KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { contentIn, forge, recordIn, type Taken, takeApart } from '../../tools/forged-snapshot.ts'
import { Random } from '../../tools/random.ts'
import { howMany } from '../../tools/sample.ts'
import { delay, kernelOf, speaking } from '../../tools/tiny-kernel.ts'

/** Guests whose snapshots are attacked: one at its first instructions, one that has spoken. */
const KERNEL = kernelOf(delay(500_000) + speaking('late\n', 1))
const PAGES = 1200

function snapshotAfter(instructions: number): { run: KernelRun; bytes: Uint8Array } {
  const run = new KernelRun({ kernel: { name: 'k', bytes: KERNEL }, memory: PAGES })
  run.step(instructions)
  return { run, bytes: run.snapshot() }
}

const restored = (bytes: Uint8Array) => new KernelRun({ restore: { name: 's', bytes } })

const { bytes: GOOD } = snapshotAfter(100_000)

/** The same snapshot with a lie in it, and what is said of it. */
function lie(change: (taken: Taken) => void): string {
  const file = takeApart(GOOD)
  change(file)
  try {
    restored(forge(file))
  } catch (error) {
    assert.ok(error instanceof BadInput, String(error))
    assert.doesNotMatch(error.message, /\n/)
    return error.message
  }
  return 'restored'
}

test('the same machine makes the same file, also when it came out of one, and in parts', () => {
  const { run, bytes } = snapshotAfter(100_000)
  assert.deepEqual(bytes, GOOD)
  assert.deepEqual(
    Buffer.concat([...run.snapshotParts()].map((part) => Buffer.from(part))),
    Buffer.from(bytes),
  )
  const again = restored(bytes)
  assert.deepEqual(again.snapshot(), bytes)
  assert.deepEqual(recountMachine(again.machine.xen), [])
  const parts = function* () {
    for (let at = 0; at < bytes.length; at += 777) yield bytes.subarray(at, at + 777)
  }
  const third = new KernelRun({ restore: { name: 's', parts } })
  assert.equal(third.runToEnd(), 'reboot')
  assert.deepEqual(third.result().console, ['late'])
  // What was forged without a change is what it was.
  assert.deepEqual(Buffer.from(forge(takeApart(GOOD))), Buffer.from(GOOD))
})

test('damage is told as damage, wherever it is', () => {
  const random = new Random(1, 'damage')
  for (let i = 0; i < 40; i++) {
    const bytes = mutateBytes(GOOD, random)
    if (Buffer.compare(bytes, GOOD) === 0) continue
    assert.throws(
      () => restored(bytes),
      (error) =>
        error instanceof BadInput &&
        /cut off or damaged|no snapshot of this version|has more/.test(error.message),
      `mutation ${i}`,
    )
  }
})

test('what a guest could not have made is refused, though its hashes are right', () => {
  const at = restored(GOOD)
  const { xen, start } = at.machine
  const { root } = start.vcpu
  const words = xen.memory.u32
  const tables = xen.memory.frameWords(root)
  const l3 = words[tables + 511 * 2] >>> 12
  const l2 = words[xen.memory.frameWords(l3) + 510 * 2] >>> 12
  const l1 = words[xen.memory.frameWords(l2)] >>> 12
  const l1Words = xen.memory.frameWords(l1)
  const plain = words[l1Words] >>> 12
  const slotOf = (mfn: number) => {
    for (let slot = 0; slot < 512; slot++) if (words[l1Words + slot * 2] >>> 12 === mfn) return slot
    throw new Error('not mapped')
  }
  assert.equal(
    lie(() => {}),
    'restored',
  )
  const lies: Record<string, [(taken: Taken) => void, RegExp]> = {
    'a root that is a page': [
      ({ head }) => {
        head.vcpus[0].port.root = plain
      },
      /a root is no table/,
    ],
    'a root that is nowhere': [
      ({ head }) => {
        head.vcpus[0].port.root = 2 ** 31 - 1
      },
      /a root is no table/,
    ],
    'a page of descriptors that is a page': [
      ({ head }) => {
        head.vcpus[0].gdtFrames = [plain]
      },
      /page of descriptors is none/,
    ],
    'more descriptors than pages': [
      ({ head }) => {
        head.vcpus[0].gdtEntries = 600
      },
      /descriptors is none/,
    ],
    'a table that is mapped writable': [
      (file) => {
        const slot = words[l1Words + slotOf(l1) * 2]
        contentIn(file, l1)[slotOf(l1) * 2] = slot | 2
      },
      /frame .* has a record|of frame .* are/,
    ],
    "an entry that names a frame of Xen's": [
      (file) => {
        contentIn(file, l1)[0] = (xen.m2p.firstFrame << 12) | 0x27
        contentIn(file, l1)[1] = xen.m2p.firstFrame >>> 20
      },
      /its entries/,
    ],
    'an entry that names nothing': [
      (file) => {
        contentIn(file, l1)[1] = 0x000f_ffff
      },
      /its entries/,
    ],
    'a large page': [
      (file) => {
        contentIn(file, l2)[0] |= 0x80
      },
      /its entries/,
    ],
    'a root that maps itself writable': [
      (file) => {
        contentIn(file, root)[100 * 2] = (root << 12) | 0x67
      },
      /a mapping lets the guest store to it/,
    ],
    "another table in Xen's part of a root": [
      (file) => {
        contentIn(file, root)[260 * 2] = (l3 << 12) | 0x67
      },
      /its entries/,
    ],
    'a frame with a count too many': [
      (file) => {
        const { words: all, refs } = recordIn(file, plain)
        all[refs]++
      },
      /of frame .* are/,
    ],
    'a table without its type': [
      (file) => {
        const { words: all, type } = recordIn(file, l1)
        all[type] = 0
      },
      /of frame .* are|has a record/,
    ],
    'a type that is not validated': [
      (file) => {
        const { words: all, type } = recordIn(file, l1)
        all[type] &= ~0x0800_0000
      },
      /has a record that cannot be/,
    ],
    "a page that is dom0's": [
      (file) => {
        const { words: all, owner } = recordIn(file, plain)
        all[owner] = 2
      },
      /has a record that cannot be|its entries/,
    ],
    'a frame that is free and in use': [
      ({ head }) => {
        head.hypervisor.heap.ranges.push({ start: plain, end: plain + 1 })
      },
      /free and in use|free memory is none/,
    ],
    'free memory twice': [
      ({ head }) => {
        const range = { start: 0x100 + PAGES - 1, end: 0x100 + PAGES }
        head.hypervisor.heap.freed.push(range, range)
      },
      /free memory is none/,
    ],
    'free memory that is not there': [
      ({ head }) => {
        head.hypervisor.heap.freed.push({ start: 0x10_0000, end: 0x10_0001 })
      },
      /free memory is none/,
    ],
    'a ring on a table': [
      ({ head }) => {
        head.consoleMfn = 5
      },
      /a shared page is none|of frame 5 are/,
    ],
    'a port of the toolstack elsewhere': [
      ({ head }) => {
        head.domain.ports[7] = { kind: 'backend' }
        for (let i = 0; i < 7; i++) head.domain.ports[i] ??= null
      },
      /its ports are none/,
    ],
    'records of other memory': [
      ({ head }) => {
        head.groups = [0, 5]
      },
      /records of frames that its machine/,
    ],
    'more frames than memory': [
      ({ head }) => {
        head.frames = 2 ** 20
      },
      /more frames than memory/,
    ],
    'another Xen': [
      ({ head }) => {
        head.xen = '__proto__'
      },
      /no such profile/,
    ],
    'no time': [
      ({ head }) => {
        head.hypervisor.now = -1
      },
      /hypervisor\.now/,
    ],
  }
  for (const [name, [change, message]] of Object.entries(lies)) assert.match(lie(change), message, name)
})

test('bombs are refused before they take memory', () => {
  const before = process.resourceUsage().maxRSS
  const head = Buffer.from(GOOD)
  const lines = head.indexOf(10, head.indexOf(10) + 1) + 1
  const piece = (bytes: number, packedBytes: number) => Buffer.from(Uint32Array.of(bytes, packedBytes).buffer)
  for (const bad of [piece(0xffff_ffff, 10), piece(100, 0xffff_ffff), piece(2 ** 20 + 1, 10), piece(0, 0)]) {
    const file = Buffer.concat([head.subarray(0, lines), bad, Buffer.alloc(100)])
    assert.throws(() => restored(file), /cut off or damaged/)
  }
  for (const change of [
    ({ head: h }: Taken) => Object.assign(h, { nrPages: 2 ** 31 }),
    ({ head: h }: Taken) => Object.assign(h, { nrPages: 2 ** 27, frames: 2 ** 20 }),
    ({ head: h }: Taken) => Object.assign(h, { symbols: 2 ** 28 }),
    ({ head: h }: Taken) => Object.assign(h, { groups: Array.from({ length: 2 ** 15 }, (_, i) => i) }),
  ]) {
    assert.notEqual(lie(change), 'restored')
  }
  const grown = (process.resourceUsage().maxRSS - before) / 1024
  assert.ok(grown < 700, `${grown} MiB more`)
})

test('whatever is in a forged snapshot, it is refused in one line, or runs as a guest that keeps the rules', () => {
  const random = new Random(7, 'forged')
  const good = takeApart(GOOD)
  const mutations = howMany({ all: 80, few: 30 })
  let ran = 0
  for (let i = 0; i < mutations; i++) {
    const file = random.once(3)
      ? { head: good.head, data: mutateBytes(good.data, random) }
      : { head: mutateJson(good.head, random), data: good.data }
    let run: KernelRun
    try {
      run = restored(forge(file))
    } catch (error) {
      assert.ok(error instanceof BadInput, `mutation ${i}: ${(error as Error).stack}`)
      continue
    }
    ran++
    try {
      run.step(3000)
      run.result()
      assert.deepEqual(recountMachine(run.machine.xen), [], `mutation ${i}`)
      if (run.isAlive) run.snapshot()
    } catch (error) {
      assert.ok(error instanceof BadInput, `mutation ${i}: ${(error as Error).stack}`)
    }
  }
  assert.ok(ran >= mutations / 16, `${ran} of them ran`)
})
