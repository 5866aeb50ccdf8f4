import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SoftTlb } from '../../src/cpu/memory/soft-tlb.ts'
import {
  CODE_TLB,
  CODE_TLB_ENTRIES,
  CODE_TLB_ENTRY_BYTES,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
} from '../../src/cpu/state.ts'
import { Memory } from '../../src/machine/memory.ts'
import { Tlb, tlbSlot } from '../../src/machine/vcpu/tlb.ts'
import { Random } from '../tools/random.ts'

const PAGE = 4096
/** Pages and entries that are used: more of both than there are slots, and entries that share their marks. */
const [PAGES, ENTRIES] = [6000, 400]
const entryOf = (n: number): number => 2 * (1 + (n % 40)) + Math.floor(n / 40) * 2 ** 15

/** Fill, change entries and flush at random; each cache is asked what it has by `translation`, -1 for nothing. */
function agrees(
  seed: string,
  cache: {
    fill(page: number, entry: number): void
    flushEntry(entry: number): void
    flushPage(page: number): void
    flush(): void
    /** The entry by which a page is translated. */
    translation(page: number): number
  },
): void {
  const random = new Random(1, seed)
  const known = new Map<number, number>()
  let found = 0
  const steps = 60_000
  for (let i = 0; i < steps; i++) {
    const [page, entry] = [random.between(0, PAGES), entryOf(random.between(0, ENTRIES))]
    // Seldom at first, so that many slots are filled; then so often that few are.
    if (random.once(i < steps / 2 ? 3000 : 100)) {
      cache.flush()
      known.clear()
    } else if (random.once(20)) {
      cache.flushPage(page)
      known.delete(page)
    } else if (random.once(3)) {
      cache.flushEntry(entry)
      for (const [other, by] of known) if (by === entry) known.delete(other)
    } else {
      cache.fill(page, entry)
      known.set(page, entry)
    }
    const asked = random.between(0, PAGES)
    const translation = cache.translation(asked)
    if (translation === -1) continue
    assert.equal(translation, known.get(asked), `step ${i}`)
    found++
  }
  assert.ok(found > 1000, `${found} were found`)
}

test('a changed entry is forgotten, whatever else is in the TLB of a vCPU', () => {
  const tlb = new Tlb()
  agrees('vcpu', {
    fill: (page, entry) => tlb.fill(page * PAGE, 0, true, entry),
    flushEntry: (entry) => tlb.flushEntry(entry),
    flushPage: (page) => tlb.flushPage(page * PAGE),
    flush: () => tlb.flush(),
    translation: (page) => {
      const slot = tlbSlot(page * PAGE)
      return tlb.readTag[slot] === page * PAGE ? tlb.entries[slot] : -1
    },
  })
})

test('and in those of the core, for data and for code', () => {
  const memory = new Memory(64 * 2 ** 20)
  const tlb = new SoftTlb(memory)
  const { u32 } = memory
  /** The entry of the slot that has the page, of all slots of a table. */
  const entryIn = (table: number, slots: number, bytes: number, entry: number, page: number): number => {
    for (let i = 0, at = table >> 2; i < slots; i++, at += bytes >> 2) {
      if (u32[at] === page * PAGE) return u32[at + (entry >> 2)]
    }
    return -1
  }
  const forgets = {
    flushEntry: (entry: number) => tlb.flushEntry(entry),
    flushPage: (page: number) => tlb.flushPage(page * PAGE, 0),
    flush: () => tlb.flush(),
  }
  agrees('data', {
    ...forgets,
    fill: (page, entry) => tlb.fill(page * PAGE, 0, 0, true, true, entry),
    translation: (page) => entryIn(tlb.data, TLB_ENTRIES, TLB_ENTRY_BYTES, TLB.entry, page),
  })
  tlb.flush()
  agrees('code', {
    ...forgets,
    fill: (page, entry) => tlb.fillCode(page * PAGE, 0, 0, entry),
    translation: (page) => entryIn(tlb.code, CODE_TLB_ENTRIES, CODE_TLB_ENTRY_BYTES, CODE_TLB.entry, page),
  })
})

test('no store to a page goes unseen that was protected, wherever it was mapped', () => {
  const tlb = new SoftTlb(new Memory(64 * 2 ** 20))
  const random = new Random(1, 'protect')
  /** The page of memory that each address is mapped to, and whether it may be stored to. */
  const known = new Map<number, { readonly page: number; isWritable: boolean }>()
  let [stores, refusals] = [0, 0]
  for (let i = 0; i < 40_000; i++) {
    const [address, page] = [random.between(0, PAGES), random.between(1, 200) * 97]
    if (random.once(2000)) {
      tlb.flush()
      known.clear()
    } else if (random.once(8)) {
      tlb.protect(page)
      for (const one of known.values()) if (one.page === page) one.isWritable = false
    } else {
      const isWritable = !random.once(4)
      tlb.fill(address * PAGE, 0, page, true, isWritable, entryOf(random.between(0, ENTRIES)))
      known.set(address, { page, isWritable })
    }
    const asked = random.between(0, PAGES)
    const place = known.get(asked)
    const [load, store] = [tlb.find(asked * PAGE, 0, false), tlb.find(asked * PAGE, 0, true)]
    if (load !== 0) assert.equal(load, (place?.page ?? -1) * PAGE, `step ${i}`)
    if (store !== 0) assert.ok(store === load && place?.isWritable === true, `step ${i}`)
    if (store !== 0) stores++
    else if (load !== 0) refusals++
  }
  assert.ok(stores > 500 && refusals > 500, `${stores} stores, ${refusals} refusals`)
})
