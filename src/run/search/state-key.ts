import { PAGE, slotAt } from '../../bits/address.ts'
import { HI_FRAME } from '../../bits/pte.ts'
import { PROBE } from '../../script/layout.ts'
import type { Moves } from './moves.ts'
import { DOMAIN_NUMBERS, type SearchMachine } from './search-machine.ts'

/**
 * One key for all states that differ in nothing but which of the alike pages plays which part: 64 bits, as two halves.
 *
 * A state is seen as a bag of facts: "slot 0 of page B maps page C with these flags", "B has this type word". A fact names
 * up to two pages, its owner and its target. The hash of a bag is the sum of the hashes of its facts, so the facts have no
 * order; the pages have one, and of all the orders that the classes allow that one is taken which gives the least key.
 * Most pages can be told apart by what they are, and so there is mostly just one order to try.
 */
export class StateKey {
  lo = 0
  hi = 0
  private readonly machine: SearchMachine
  private readonly pageCount: number
  /** Class of each page: only pages of one class can change places. */
  private readonly classOf: readonly number[]
  /** What the numbers of a state are facts of: who owns them (-1: nobody's page), and a number of their own. */
  private readonly owners: Int8Array
  private readonly codes: Int32Array
  private readonly layout: SearchMachine['layout']
  // The facts of the state at hand.
  private count = 0
  private readonly owner: Int8Array
  private readonly target: Int8Array
  private readonly code: Int32Array
  private readonly value: Int32Array
  private readonly value2: Int32Array
  /** What each page is by itself and by its neighbours, as a hash. */
  private readonly sign: Int32Array
  private readonly nextSign: Int32Array
  /** Pages in the order that is being tried, and the place of each page in it. */
  private readonly order: number[]
  private readonly place: Int8Array

  constructor(machine: SearchMachine, moves: Moves) {
    this.machine = machine
    this.pageCount = machine.pageCount
    this.layout = machine.layout
    this.classOf = moves.pages.map((page) => moves.classes.findIndex((alike) => alike.includes(page)))
    this.owners = new Int8Array(machine.size).fill(-1)
    this.codes = new Int32Array(machine.size)
    const most = machine.size
    this.owner = new Int8Array(most)
    this.target = new Int8Array(most)
    this.code = new Int32Array(most)
    this.value = new Int32Array(most)
    this.value2 = new Int32Array(most)
    this.sign = new Int32Array(this.pageCount)
    this.nextSign = new Int32Array(this.pageCount)
    this.order = moves.pages.map((_, i) => i)
    this.place = new Int8Array(this.pageCount)
    this.nameNumbers()
  }

  /** Say of every number of a state whose it is, so that the same fact of two pages has the same code. */
  private nameNumbers(): void {
    const { frames, places } = this.machine
    const { slots, domain, tlb } = this.layout
    const own = (at: number, page: number, code: number): void => {
      this.owners[at] = page
      this.codes[at] = code
    }
    frames.forEach((_, frame) => {
      const isPage = frame < this.pageCount
      for (let i = 0; i < 3; i++) own(frame * 3 + i, isPage ? frame : -1, isPage ? i : 16 + frame * 3 + i)
      places.slots.forEach((slot, i) => {
        const at = slots + (frame * places.slots.length + i) * 2
        if (isPage) own(at, frame, 0x1000 + slot)
        else own(at, -1, 0x10000 + frame * 0x1000 + slot)
      })
    })
    // The direct map's entries of the pages are their owners' in the table that has them.
    const directMap = this.pageCount + DIRECT_MAP_TABLE
    for (let page = 0; page < this.pageCount; page++) {
      const i = places.slots.indexOf(slotAt(PROBE.pool + page * PAGE, 1))
      own(slots + (directMap * places.slots.length + i) * 2, page, 0x8000)
    }
    for (let at = domain; at < tlb; at++) own(at, -1, 0x100000 + at - domain)
    places.addresses.forEach((va, i) => {
      const page = this.pageAt(va)
      if (page === -1) own(tlb + i, -1, 0x200000 + i)
      else own(tlb + i, page, 0x8001)
    })
  }

  /** The page that the direct map has at an address, or -1. */
  private pageAt(va: number): number {
    const page = Math.floor((va - PROBE.pool) / PAGE)
    return page >= 0 && page < this.pageCount ? page : -1
  }

  /** The key of a state: afterwards in `lo` and `hi`. */
  of(state: Int32Array): void {
    this.gather(state)
    this.signPages()
    const { order, sign, classOf } = this
    for (let i = 0; i < order.length; i++) order[i] = i
    order.sort((a, b) => classOf[a] - classOf[b] || sign[a] - sign[b])
    this.lo = this.hi = -1
    this.tryOrders(0)
  }

  /** The state as facts. */
  private gather(state: Int32Array): void {
    const { slots, domain, ldt, tlb } = this.layout
    const { machine } = this
    this.count = 0
    for (let i = 0; i < slots; i++) if (state[i] !== 0) this.fact(i, -1, state[i], 0)
    for (let i = slots; i < domain; i += 2) {
      const lo = state[i]
      const hi = state[i + 1]
      if ((lo | hi) === 0) continue
      const page = this.pageOf((hi & HI_FRAME) * 2 ** 20 + (lo >>> 12))
      if (page === -1) this.fact(i, -1, lo, hi)
      else this.fact(i, page, lo & 0xfff, hi & ~HI_FRAME)
    }
    for (let i = domain; i < tlb; i++) {
      const value = state[i]
      if (value === 0) continue
      const n = i - domain
      if (n === CACHED_FRAMES) {
        for (let page = 0; page < this.pageCount; page++) if ((value >> page) & 1) this.fact(i, page, 0, 0)
        if (value >> this.pageCount !== 0) this.fact(i, -1, value >> this.pageCount, 0)
      } else if (n === LDT_PAGE) {
        const page = this.pageAt(state[i - 1] * 2 ** 32 + (value >>> 0))
        this.fact(i, page, page === -1 ? value : 0, 0)
      } else {
        const page = HOLDS_FRAME.has(n) || i >= ldt ? this.pageOf(value) : -1
        this.fact(i, page, page === -1 ? value : 0, 0)
      }
    }
    for (let i = tlb; i < machine.size; i++) {
      if (state[i] === 0) continue
      const frame = machine.backingNumber(state[i] >>> 1)
      const page = frame < this.pageCount ? frame : -1
      this.fact(i, page, page === -1 ? state[i] : state[i] & 1, 0)
    }
  }

  private pageOf(mfn: number): number {
    const frame = this.machine.frameNumber(mfn)
    return frame < this.pageCount ? frame : -1
  }

  private fact(at: number, target: number, value: number, value2: number): void {
    const n = this.count++
    this.owner[n] = this.owners[at]
    this.target[n] = target
    this.code[n] = this.codes[at]
    this.value[n] = value
    this.value2[n] = value2
  }

  /** What each page is: first by its own facts, then by its neighbours' as well. */
  private signPages(): void {
    const { sign, nextSign, pageCount } = this
    for (let page = 0; page < pageCount; page++) sign[page] = this.classOf[page] + 1
    for (let round = 0; round < 2; round++) {
      nextSign.fill(0)
      for (let n = 0; n < this.count; n++) {
        const owner = this.owner[n]
        const target = this.target[n]
        const fact = mix(mix(this.code[n], this.value[n]), this.value2[n])
        const isSelf = owner === target ? 1 : 0
        if (owner !== -1)
          nextSign[owner] += mix(fact, target === -1 ? 0 : isSelf === 1 ? 1 : sign[target] ^ 0x5bd1)
        if (target !== -1 && isSelf === 0)
          nextSign[target] += mix(fact, owner === -1 ? 2 : sign[owner] ^ 0x2f0b)
      }
      for (let page = 0; page < pageCount; page++) sign[page] = mix(sign[page], nextSign[page])
    }
  }

  /** Try every order of the pages from position `from` on that changes places only within ties. */
  private tryOrders(from: number): void {
    const { order, sign, classOf } = this
    if (from === order.length) {
      this.tryOrder()
      return
    }
    for (let i = from; i < order.length; i++) {
      const [a, b] = [order[from], order[i]]
      if (classOf[a] !== classOf[b] || sign[a] !== sign[b]) break
      order[from] = b
      order[i] = a
      this.tryOrders(from + 1)
      order[from] = a
      order[i] = b
    }
  }

  private tryOrder(): void {
    const { order, place } = this
    for (let i = 0; i < order.length; i++) place[order[i]] = i
    let lo = 0
    let hi = 0
    for (let n = 0; n < this.count; n++) {
      const owner = this.owner[n]
      const target = this.target[n]
      const who = ((owner === -1 ? 0 : place[owner] + 1) << 8) | (target === -1 ? 0 : place[target] + 1)
      lo = (lo + mix(mix(mix(this.code[n], who), this.value[n]), this.value2[n])) | 0
      // The other half is of the same facts in another order, so that what is alike in one is not in both.
      hi = (hi + mix(mix(mix(this.value2[n] ^ 0x3c6ef372, this.value[n]), this.code[n]), who)) | 0
    }
    lo >>>= 0
    hi >>>= 0
    if (this.hi === -1 || hi < this.hi || (hi === this.hi && lo < this.lo)) {
      this.lo = lo
      this.hi = hi
    }
  }
}

/** Number of KL1P among the tables that follow the pages in a state. */
const DIRECT_MAP_TABLE = 3
/** Numbers of the domain, as SearchMachine.save() writes them: those that are frames, an address, a set of frames. */
const HOLDS_FRAME = new Set([0, 1, 8, 9])
const LDT_PAGE = 6
const CACHED_FRAMES = DOMAIN_NUMBERS - 1

/** Two numbers made one: 32 bits of it depend on all bits of both. */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ (a >>> 15) ^ 0x85ebca6b, 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12) ^ b, 0x297a2d39)
  h = Math.imul(h ^ (h >>> 15), 0x9e3779b1)
  return h ^ (h >>> 16)
}
