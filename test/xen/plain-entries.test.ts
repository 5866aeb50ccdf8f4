import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLOTS } from '../../src/bits/address.ts'
import { G, HI_GNTTAB, HI_GUEST_KERNEL, HI_NX, P, PAT, PCD, PWT, RW, US } from '../../src/bits/pte.ts'
import { TYPE_CODE } from '../../src/bits/type-word.ts'
import {
  OWNER_IO,
  OWNER_NONE,
  OWNER_WORD,
  RECORD_WORDS,
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../src/machine/frames.ts'
import { Memory } from '../../src/machine/memory.ts'
import type { Domain } from '../../src/xen/domain.ts'
import { adjustedHigh, adjustedLow, getPageFromL1e, putPageFromL1e } from '../../src/xen/mm/entries.ts'
import { promoteTable } from '../../src/xen/mm/tables.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { Xen } from '../../src/xen/xen.ts'
import { Random } from '../tools/random.ts'

/** Frames that tables name, on both sides of the end of a group of records, and the frame of the table. */
const [FIRST, COUNT, TABLE] = [0xff00, 0x200, 0x5000]

type Machine = { readonly xen: Xen; readonly domain: Domain; readonly record: number; readonly at: number }

function machine(version: string, privileged: boolean): Machine {
  const host = { ram: [{ start: 0x100, end: 0x2_0000 }], map: [] }
  const xen = new Xen(xenVersion(version), host, new Memory(32 << 20))
  const domain = xen.addDomain(privileged ? 0 : 1, privileged)
  xen.current = xen.addVcpu(domain)
  const record = xen.memory.record(TABLE)
  xen.memory.fillRecords(record, 1, 0, REF_ALLOCATED | 1, domain.owner)
  return { xen, domain, record, at: xen.memory.backing(record) }
}

/** The rules of an entry, for each entry: what the fast way must come to. */
function promoteByRules({ xen, domain, at }: Machine): number {
  const words = xen.memory.u32
  for (let slot = 0; slot < SLOTS; slot++) {
    const entry = at + slot * 2
    const [lo, hi] = words.subarray(entry, entry + 2)
    if ((lo & P) === 0) continue
    const rc = getPageFromL1e(xen, lo, hi, domain, domain)
    if (rc < 0) {
      for (let n = slot - 1; n >= 0; n--)
        putPageFromL1e(xen, words[at + n * 2], words[at + n * 2 + 1], domain)
      return slot
    }
    const got = (lo ^ rc) >>> 0
    words[entry] = adjustedLow(xen, 1, got, hi)
    words[entry + 1] = adjustedHigh(1, got, hi)
  }
  return -1
}

const WRITABLE = (TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED

/** The words of a record: plain, at a limit, or of something else. */
function randomRecord(random: Random, owner: number, strange: number): [number, number, number] {
  if (!random.once(strange)) {
    const type = random.pick([0, WRITABLE, WRITABLE | random.between(1, 9)])
    return [type, REF_ALLOCATED | random.between(1, 9), owner]
  }
  const count = random.pick([0, 1, TYPE_COUNT - 1, TYPE_COUNT])
  const code = random.pick([0, 1, 5, 6, 7])
  const flags = random.pick([TYPE_VALIDATED, TYPE_VALIDATED | TYPE_PINNED, 0x0c00_0000])
  const refs = random.pick([0, 1, REF_COUNT - 3, REF_COUNT - 2, REF_COUNT - 1, REF_COUNT])
  const heap = random.once(4) ? REF_XEN_HEAP : 0
  const whose = random.pick([owner, owner, owner | 0x300, owner | 0x1_0000, OWNER_IO, OWNER_NONE])
  return [(code << TYPE_SHIFT) | flags | count, REF_ALLOCATED | heap | refs, whose]
}

function randomEntry(random: Random, frame: number, strange: number): [lo: number, hi: number] {
  let lo = random.pick([P, P, P, P, 0]) | random.pick([0, RW]) | random.pick([0, US]) | 0x20
  let hi = random.pick([0, HI_NX]) | random.pick([0, 0, 0, HI_GUEST_KERNEL])
  let mfn = frame
  if (random.once(strange)) {
    lo |= random.pick([G, PWT, PCD, PAT, PWT | PCD, 0xe00])
    hi |= random.pick([0, HI_GNTTAB, 0x7fe0_0000])
    mfn = random.pick([frame, frame + COUNT, 0x3_0000, 0x7fff_ffff, 2 ** 31, 2 ** 32 + frame, 2 ** 40 - 1])
  }
  return [(lo | ((mfn % 0x10_0000) << 12)) >>> 0, (hi | Math.floor(mfn / 0x10_0000)) >>> 0]
}

/** Give both machines the same records and the same table. */
function fill(machines: readonly Machine[], random: Random, strange: number): void {
  const step = random.pick([1, 1, -1, 7])
  for (const [at, n] of Array.from({ length: COUNT }, (_, n) => [n, FIRST + n] as const)) {
    const words = randomRecord(random, machines[0].domain.owner, strange)
    const entry = randomEntry(random, FIRST + ((at * step) & (COUNT - 1)), strange)
    for (const { xen, at: table } of machines) {
      const record = xen.memory.record(n)
      xen.memory.u32.set(words, record)
      xen.memory.u32.set(entry, table + at * 2)
    }
  }
}

function stateOf({ xen, at, domain }: Machine): unknown {
  const { memory } = xen
  const groups = [FIRST, FIRST + COUNT / 2].map((mfn) => {
    const record = memory.record(mfn)
    return memory.u32.slice(record, record + (COUNT / 2) * RECORD_WORDS)
  })
  return [groups, memory.u32.slice(at, at + SLOTS * 2), domain.totPages]
}

for (const version of ['seed', '4.1', '4.17']) {
  test(`the fast way through an L1 is the rule of each entry: Xen ${version}`, () => {
    const random = new Random(7, version)
    let [promoted, refused, taken] = [0, 0, 0]
    for (const privileged of [true, false]) {
      const machines = [machine(version, privileged), machine(version, privileged)]
      for (let i = 0; i < 400; i++) {
        fill(machines, random, random.pick([20, 500, 5000, 1e9]))
        const [fast, slow] = machines
        const slot = promoteTable(fast.xen, fast.domain, TABLE, fast.record, TYPE_CODE.l1)
        assert.equal(slot, promoteByRules(slow), `table ${i}`)
        assert.deepEqual(stateOf(fast), stateOf(slow), `table ${i}`)
        if (slot === -1) promoted++
        else refused++
        taken += fast.xen.memory.u32[fast.xen.memory.record(FIRST) + REFS_WORD] & 1
        assert.equal(fast.xen.memory.u32[fast.record + OWNER_WORD], fast.domain.owner)
      }
    }
    assert.ok(promoted > 100 && refused > 100 && taken > 100, `${promoted} ${refused} ${taken}`)
  })
}
