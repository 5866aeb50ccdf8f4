import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE, REGION } from '../../src/bits/address.ts'
import { BadInput } from '../../src/bits/bad-input.ts'
import { A, HI_GUEST_KERNEL, P, RW, US } from '../../src/bits/pte.ts'
import { Memory } from '../../src/machine/memory.ts'
import { Walk, walk } from '../../src/machine/vcpu/mmu.ts'
import type { Vcpu } from '../../src/machine/vcpu/vcpu.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { buildDomain } from '../../src/toolstack/build-domain.ts'
import type { StartOfDayLayout } from '../../src/toolstack/layouts/start-of-day.ts'
import { tablesAsNeeded, tablesByLevel } from '../../src/toolstack/layouts/tables.ts'
import { P2m } from '../../src/toolstack/p2m.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { Xen } from '../../src/xen/xen.ts'

const VA = REGION.kernelMap
const P2M_VA = 0x80_0000_0000
const NR_PAGES = 0x1000
const INITRD = Buffer.from('initrd '.repeat(1000))
const VIDEO = Uint8Array.from({ length: 40 }, (_, i) => i + 1)

/** As Xen lays out a dom0 whose kernel asks by its notes for an unmapped initrd and a p2m list of its own place. */
function dom0Layout(types: StartOfDayLayout['types']): StartOfDayLayout {
  const mapping = { va: VA, pfn: 0, pages: 0x400, tables: tablesAsNeeded(VA, 0x400, 0x201) }
  const list = {
    va: P2M_VA,
    pfn: 0x402,
    pages: 8,
    tables: tablesByLevel(P2M_VA, 8, 0x40a, [mapping]),
  }
  return {
    virtBase: VA,
    end: 0x40d,
    startInfo: 0x200,
    flags: 0,
    stack: VA + 0x207 * PAGE,
    p2mList: { pfn: 0x402, va: P2M_VA, frames: 11, isTold: true },
    initrd: { pfn: 0x400, bytes: INITRD.length, isMapped: false },
    xenstore: null,
    console: null,
    video: VIDEO,
    mappings: [mapping, list],
    pageFlags: { lo: P | RW | A | US, hi: HI_GUEST_KERNEL },
    dirty: [],
    types,
  }
}

function build(types: StartOfDayLayout['types']) {
  const ram = [{ start: 0x100, end: 0x1_0000 }]
  const xen = new Xen(xenVersion('4.17'), { ram, map: [], passedThrough: [] }, new Memory(64 << 20))
  const built = buildDomain(xen, dom0Layout(types), {
    id: 0,
    privileged: true,
    nrPages: NR_PAGES,
    initrd: INITRD,
    commandLine: 'x'.repeat(2000),
  })
  return { xen, ...built }
}

const load64 = (vcpu: Vcpu, va: number): bigint => {
  const lo = vcpu.load64(va)
  return (BigInt(vcpu.hi) << 32n) | BigInt(lo)
}

test('a dom0 of today is one more layout: p2m list elsewhere, initrd by its pfn, a record of the screen', () => {
  const { xen, vcpu, p2m } = build('asBuilt')
  const info = VA + 0x200 * PAGE
  assert.equal(vcpu.load32(info + 48), 1 | 2 | 8)
  assert.deepEqual([vcpu.load32(info + 72), vcpu.load32(info + 76)], [1168, 40])
  assert.deepEqual(
    Array.from({ length: 40 }, (_, i) => vcpu.load8(info + 1168 + i)),
    [...VIDEO],
  )
  assert.deepEqual([load64(vcpu, info + 112), load64(vcpu, info + 120)], [0x400n, BigInt(INITRD.length)])
  assert.deepEqual([load64(vcpu, info + 1152), load64(vcpu, info + 1160)], [0x402n, 11n])
  assert.equal(load64(vcpu, info + 104), BigInt(P2M_VA))
  assert.equal(load64(vcpu, info + 96), 5n)
  // Xen cuts a dom0's command line, with a zero behind it.
  assert.deepEqual([vcpu.load8(info + 128 + 1022), vcpu.load8(info + 128 + 1023)], [0x78, 0])
  for (const pfn of [0, 0x3ff, 0x400, NR_PAGES - 1])
    assert.equal(vcpu.load64(P2M_VA + pfn * 8), p2m.get(pfn), String(pfn))
  assert.equal(xen.memory.u8[xen.memory.frameWords(p2m.get(0x401)) * 4], INITRD[PAGE])
  assert.ok(walk(xen.memory, vcpu.root, VA + 0x400 * PAGE, new Walk()).missing > 0)
  assert.deepEqual(auditMachine(xen), [])
})

test('types that are written down are those that the rules find', () => {
  const [asBuilt, validated] = [build('asBuilt'), build('validated')]
  // Type word, references and owner of every page.
  const records = ({ xen, p2m }: typeof asBuilt) =>
    Array.from({ length: NR_PAGES }, (_, pfn) => {
      const record = xen.memory.record(p2m.get(pfn))
      return [...xen.memory.u32.subarray(record, record + 3)]
    })
  assert.deepEqual(records(asBuilt), records(validated))
  assert.deepEqual(auditMachine(validated.xen), [])
})

test('tables are taken level by level, or as they are needed', () => {
  const places = (tables: readonly { level: number; va: number; pfn: number; count: number }[]) =>
    tables.map(({ level, va, pfn, count }) => [level, va, pfn, count])
  const giB = 2 ** 30
  // From 2 MiB before a GiB to 4 MiB behind it: two L2s, three L1s.
  const [va, pages] = [giB - 2 ** 21, 0x600]
  assert.deepEqual(places(tablesByLevel(va, pages, 7)), [
    [4, 0, 7, 1],
    [3, 0, 8, 1],
    [2, 0, 9, 2],
    [1, va, 11, 3],
  ])
  assert.deepEqual(places(tablesAsNeeded(va, pages, 7)), [
    [4, 0, 7, 1],
    [1, va, 8, 1],
    [2, 0, 9, 1],
    [3, 0, 10, 1],
    [1, giB, 11, 1],
    [2, giB, 12, 1],
    [1, giB + 2 ** 21, 13, 1],
  ])
})

test('a p2m gives what was put into it', () => {
  const frames = [5, 6, 7, 20, 19, 18, 40, 41]
  const p2m = P2m.of(frames)
  const all = (): number[] => frames.map((_, pfn) => p2m.get(pfn))
  assert.deepEqual(all(), frames)
  p2m.set(1, 100)
  p2m.set(7, 101)
  p2m.set(0, 102)
  assert.deepEqual(all(), [102, 100, 7, 20, 19, 18, 40, 101])
  assert.deepEqual(
    [7, 18, 100, 41, 6].map((mfn) => p2m.pfnOf(mfn)),
    [2, 5, 1, -1, -1],
  )
  const seen: number[] = []
  p2m.forEachRun(1, 6, (pfn, mfn, count) => {
    for (let i = 0; i < count; i++) seen[pfn + i] = mfn + i
  })
  assert.deepEqual(seen.slice(1), [100, 7, 20, 19, 18, 40])
  for (const pfn of [-1, 8]) assert.throws(() => p2m.get(pfn), /no frame for pfn/)
  assert.throws(() => p2m.forEachRun(6, 3, () => {}), /no frame for pfn 0x8/)
})

test('frames may go down as pfns go up', () => {
  const p2m = new P2m([
    { pfn: 0, mfn: 10, count: 2, step: 1 },
    { pfn: 2, mfn: 29, count: 5, step: -1 },
  ])
  assert.deepEqual([p2m.get(1), p2m.get(2), p2m.get(6)], [11, 29, 25])
  assert.deepEqual([p2m.pfnOf(25), p2m.pfnOf(29), p2m.pfnOf(24), p2m.pfnOf(30)], [6, 2, -1, -1])
  p2m.set(4, 99)
  const seen: number[][] = []
  p2m.forEachRun(1, 6, (...run) => seen.push(run))
  assert.deepEqual(seen, [
    [1, 11, 1, 1],
    [2, 29, 2, -1],
    [4, 99, 1, 1],
    [5, 26, 2, -1],
  ])
})

test('what does not fit is said', () => {
  const ram = [{ start: 0x100, end: 0x800 }]
  const xen = new Xen(xenVersion('4.17'), { ram, map: [], passedThrough: [] }, new Memory(64 << 20))
  const make = (nrPages: number) => () =>
    buildDomain(xen, dom0Layout('asBuilt'), { id: 0, privileged: true, nrPages })
  assert.throws(make(0x100), (error) => error instanceof BadInput && /lies beyond/.test(error.message))
  assert.throws(make(NR_PAGES), (error) => error instanceof BadInput && /too large/.test(error.message))
})
