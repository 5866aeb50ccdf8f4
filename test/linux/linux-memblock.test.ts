import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Memblock } from '../../src/linux/memory/memblock.ts'

const PAGE = 4096

test('regions that overlap or touch become one', () => {
  const memblock = new Memblock()
  memblock.addMemory(0x3000, 0x5000)
  memblock.addMemory(0x1000, 0x2000)
  memblock.addMemory(0x2000, 0x3000)
  assert.deepEqual(memblock.memory, [{ base: 0x1000, end: 0x5000 }])
  assert.equal(memblock.version, 3)
})

test('reserving nothing, backwards or twice changes nothing', () => {
  const memblock = new Memblock()
  assert.equal(memblock.reserve(0x2000, 0x4000), null)
  assert.equal(memblock.version, 1)
  memblock.reserve(0x3000, 0x3000)
  memblock.reserve(0x2000, 0x4000)
  memblock.reserve(0x2800, 0x3000)
  assert.equal(memblock.reserve(0x5000, 0x4000), 'memblock_x86_reserve_range: wrong range [0x5000, 0x4000)')
  assert.equal(memblock.version, 1)
  assert.deepEqual(memblock.reserved, [{ base: 0x2000, end: 0x4000 }])
})

test('free trims, splits and removes, but only inside one region', () => {
  const memblock = new Memblock()
  memblock.reserve(0x1000, 0x9000)
  memblock.free(0x1000, 0x2000)
  memblock.free(0x8000, 0x9000)
  memblock.free(0x4000, 0x5000)
  assert.deepEqual(memblock.reserved, [
    { base: 0x2000, end: 0x4000 },
    { base: 0x5000, end: 0x8000 },
  ])
  memblock.free(0x3000, 0x6000)
  assert.equal(memblock.reserved.length, 2)
  memblock.free(0x2000, 0x4000)
  assert.deepEqual(memblock.reserved, [{ base: 0x5000, end: 0x8000 }])
})

test('the search skips islands that are too small, and clips only what is left', () => {
  const memblock = new Memblock()
  memblock.addMemory(0x40200000, 0xbad80000)
  memblock.addMemory(0xbadf4000, 0xbadf6000)
  memblock.addMemory(0xbae7f000, 0xbb000000)
  // 1500 pages for E = 0xbb000000: neither 2 nor 385 pages will do.
  assert.equal(memblock.findInRange(0, 0xbb000000, 1500 * PAGE, PAGE), 0xba7a4000)
  assert.equal(memblock.findInRange(0, 0xbb000000, 385 * PAGE, PAGE), 0xbae7f000)
})

test('page 0 is never found, and failure is null', () => {
  const memblock = new Memblock()
  memblock.addMemory(0, 0x2000)
  assert.equal(memblock.findInRange(0, 0x2000, PAGE, PAGE), 0x1000)
  memblock.reserve(0x1000, 0x2000)
  assert.equal(memblock.findInRange(0, 0x2000, PAGE, PAGE), null)
  assert.equal(memblock.findInRange(0, 0x1000, 2 * PAGE, PAGE), null)
})

test('findInRangeSize gives a free page itself and otherwise what follows the reservation', () => {
  const memblock = new Memblock()
  memblock.addMemory(0x1000, 0x8000)
  memblock.addMemory(0x10000, 0x20000)
  memblock.reserve(0x3000, 0x5000)
  memblock.reserve(0x7000, 0x12000)
  assert.equal(memblock.findInRangeSize(0x2000, PAGE), 0x2000)
  assert.equal(memblock.findInRangeSize(0x3000, PAGE), 0x5000)
  assert.equal(memblock.findInRangeSize(0x7000, PAGE), 0x12000)
  assert.equal(memblock.findInRangeSize(0x20000, PAGE), null)
  assert.equal(memblock.isReserved(0x4fff), true)
  assert.equal(memblock.isReserved(0x5000, 0x7000), false)
})

const PAGES = 48
const range = fc
  .tuple(fc.nat(PAGES), fc.nat(PAGES))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
const step = fc.tuple(fc.constantFrom('memory', 'reserve', 'reserve', 'free'), range)

/** The same searches over an array with a cell a page. */
class Naive {
  readonly memory = new Array<boolean>(PAGES).fill(false)
  readonly taken = new Array<boolean>(PAGES).fill(false)

  /** Runs of `true` as page ranges. */
  runs(cells: readonly boolean[]): [number, number][] {
    const runs: [number, number][] = []
    for (let i = 0; i < PAGES; i++) {
      if (!cells[i]) continue
      if (i > 0 && cells[i - 1]) runs.at(-1)![1] = i + 1
      else runs.push([i, i + 1])
    }
    return runs
  }

  find(lo: number, hi: number, size: number): number | null {
    for (const [start, end] of this.runs(this.memory).reverse()) {
      if (end - start < size) continue
      for (let base = Math.min(end, hi) - size; base >= Math.max(start, lo, 1); base--)
        if (!this.taken.slice(base, base + size).includes(true)) return base
    }
    return null
  }

  next(start: number): number | null {
    for (let page = start; page < PAGES; page++) if (this.memory[page] && !this.taken[page]) return page
    return null
  }
}

test('memblock agrees with an array of pages', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 25 }),
      range,
      fc.integer({ min: 1, max: 12 }),
      (steps, [lo, hi], size) => {
        const memblock = new Memblock()
        const naive = new Naive()
        for (const [what, [a, b]] of steps) {
          if (what === 'memory') {
            memblock.addMemory(a * PAGE, b * PAGE)
            naive.memory.fill(true, a, b)
          } else if (what === 'reserve') {
            memblock.reserve(a * PAGE, b * PAGE)
            naive.taken.fill(true, a, b)
          } else {
            memblock.free(a * PAGE, b * PAGE)
            if (!naive.taken.slice(a, b).includes(false)) naive.taken.fill(false, a, b)
          }
        }
        const inBytes = (runs: [number, number][]) =>
          runs.map(([a, b]) => ({ base: a * PAGE, end: b * PAGE }))
        assert.deepEqual(memblock.memory, inBytes(naive.runs(naive.memory)))
        assert.deepEqual(memblock.reserved, inBytes(naive.runs(naive.taken)))
        const pageOf = (address: number | null) => (address === null ? null : address / PAGE)
        const expected = naive.find(lo, hi, size)
        const found = pageOf(memblock.findInRange(lo * PAGE, hi * PAGE, size * PAGE, PAGE))
        assert.equal(found, expected)
        assert.equal(pageOf(memblock.findInRangeSize(lo * PAGE, PAGE)), naive.next(lo))
      },
    ),
    { seed: 2639, numRuns: 2000 },
  )
})
