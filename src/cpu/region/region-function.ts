import { type Label, type Local, load32, load64 } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i32 } from '../../wasm/wasm-values.ts'
import { CODE_TLB, CODE_TLB_ENTRIES, CODE_TLB_ENTRY_BYTES, FIELD, REGION } from '../state.ts'
import type { Block, Blocks, Edge } from './blocks.ts'
import { flagsUsed } from './flag-use.ts'
import { edgesOf, type Graph, graphOf } from './graph.ts'
import { addressOf, RegionEmitter } from './region-emitter.ts'

const PAGE = 4096

/**
 * Where an instruction is, as a number: what the end of a region needs to know of the one that it hands over.
 *
 *     31..20  instructions of its block that were counted and have not been executed
 *     19..12  number of its page in the region's list
 *     11..0   its offset there
 */
const placeOf = (page: number, va: number, uncounted: number): number =>
  (uncounted << 20) | (page << 12) | (va % PAGE)

/** What a region's code needs besides its instructions. */
export type Surroundings = {
  /** Address of the words in the machine's memory that have the addresses of the pages' tables. */
  readonly cells: number
  /** Number of the function that is called where an instruction takes long. */
  readonly effort: number
}

/** The function of a region: it takes the address of the vCPU's state and returns one of REGION. */
export function regionFunction(blocks: Blocks, { cells, effort }: Surroundings): RegionEmitter {
  return new FunctionWriter(blocks, { cells, effort }).write()
}

const NONE: readonly Block[] = []

class FunctionWriter {
  private readonly e: RegionEmitter
  private readonly blocks: Blocks
  private readonly cells: number
  private readonly graph: Graph
  private readonly used: ReadonlyMap<Block, readonly boolean[]>
  private readonly needs = new Map<Block, number>()
  private readonly behindLong = new Set<Block>()
  /** Where a block is entered by a branch: the start of its loop, or the end of what comes before it. */
  private readonly loops = new Map<Block, Label>()
  private readonly merges = new Map<Block, Label>()
  private readonly status: Local<I32>
  private leave: Label = { depth: 0 }
  /** Whether the block that is being written has asked whether the FPU may be used. */
  private isFpuAsked = false

  constructor(blocks: Blocks, { cells, effort }: Surroundings) {
    this.e = new RegionEmitter(effort)
    this.blocks = blocks
    this.cells = cells
    this.graph = graphOf(blocks.entry)
    for (const { end, next } of this.graph.order) {
      if (end === 'repeat' && next.block !== null) this.behindLong.add(next.block)
    }
    this.used = flagsUsed(this.graph, (block) => this.isRoot(block))
    this.status = this.e.local('i32')
  }

  write(): RegionEmitter {
    const { e, blocks } = this
    const [first] = blocks.pages
    e.expect(false)
    e.if(e.field64(FIELD.page).ne(addressOf(first.va)), () => e.return(i32(REGION.elsewhere)))
    e.flags.load({ result: e.field64(FIELD.result), carries: e.field(FIELD.carries) })
    e.block((leave) => {
      this.leave = leave
      e.block((handOver) => {
        e.handOver = handOver
        this.writeTree(blocks.entry)
        e.unreachable()
      })
      e.set(e.left, e.left.value.add(e.where.value.shr(20)))
      e.set(this.status, i32(REGION.handedOver))
    })
    this.writeEnd()
    e.writePrologue()
    return e
  }

  /** The page that code was in, and where it goes on. */
  private writeEnd(): void {
    const { e } = this
    const { pages } = this.blocks
    e.flags.state = 'unknown'
    const page = e.where.value.shr(12).and(0xff)
    for (const [n, { va }] of pages.entries()) {
      const isHere = pages.length === 1 ? i32(1) : page.eq(n)
      e.if(isHere, () => {
        e.setField(FIELD.page, addressOf(va), 8)
        e.setField(FIELD.map, this.mapOf(n))
      })
    }
    e.if(this.status.value.eq(REGION.handedOver), () => {
      e.set(e.target, e.field64(FIELD.page).add(e.where.value.and(PAGE - 1).extend()))
    })
    e.setField(FIELD.rip, e.target.value, 8)
    e.writeEpilogue()
    e.return(this.status.value)
  }

  // ---- blocks ----

  /**
   * Whether the count is looked at where a block begins: more than its dominator's last instruction leads there, or an
   * instruction behind which nothing may be left.
   */
  private isRoot(block: Block): boolean {
    const { merges, loops } = this.graph
    return block === this.blocks.entry || merges.has(block) || loops.has(block) || this.behindLong.has(block)
  }

  /** A block and all that it dominates. */
  private writeTree(block: Block): void {
    if (!this.graph.loops.has(block)) {
      this.writeWithin(block, this.mergesBelow(block))
      return
    }
    this.e.loop((again) => {
      this.loops.set(block, again)
      this.forget()
      this.writeWithin(block, this.mergesBelow(block))
      this.e.unreachable()
    })
  }

  /** The blocks behind this one that several ways lead to, the last one first. */
  private mergesBelow(block: Block): readonly Block[] {
    const { children, merges, number } = this.graph
    const all = children.get(block)
    if (all === undefined) return NONE
    const own = all.filter((child) => merges.has(child))
    return own.sort((a, b) => (number.get(b) as number) - (number.get(a) as number))
  }

  private writeWithin(block: Block, merges: readonly Block[], at = 0): void {
    if (at === merges.length) {
      this.writeBlock(block)
      return
    }
    const last = merges[at]
    this.e.block((end) => {
      this.merges.set(last, end)
      this.writeWithin(block, merges, at + 1)
    })
    this.forget()
    this.writeTree(last)
  }

  /** Several ways lead to what is written next: what is known on one of them may not be on another. */
  private forget(): void {
    this.e.flags.state = 'unknown'
    this.e.recent.kept = null
    this.isFpuAsked = false
  }

  private writeBlock(block: Block): void {
    const { e } = this
    const count = block.steps.length
    if (this.isRoot(block)) {
      e.handOverIf(e.left.value.ltU(this.need(block)), placeOf(block.page, block.va, 0))
    }
    e.set(e.left, e.left.value.sub(count))
    e.ways = {
      taken: () => this.writeEdge(block, block.taken),
      computed: (target) => this.writeComputed(block, target),
    }
    const used = this.used.get(block)
    for (let n = 0; n < count; n++) {
      const step = block.steps[n]
      const place = placeOf(block.page, step.va, count - n)
      if (!this.isFpuAsked && step.usesFpu) {
        e.handOverIf(e.field(FIELD.fpuTraps).ne(0), place)
        this.isFpuAsked = true
      }
      e.instruction(step, place, used?.[n] ?? true)
    }
    if (block.end === 'fall' || block.end === 'branch' || block.end === 'repeat')
      this.writeEdge(block, block.next)
    if (block.end === 'hand over') e.handOverAlways(placeOf(block.page, block.next.va, 0))
  }

  /** Instructions on the longest way from a block on, before the count is looked at again. */
  private need(block: Block): number {
    const known = this.needs.get(block)
    if (known !== undefined) return known
    let behind = 0
    for (const { block: to } of edgesOf(block)) {
      if (!this.isRoot(to as Block)) behind = Math.max(behind, this.need(to as Block))
    }
    const all = block.steps.length + behind
    this.needs.set(block, all)
    return all
  }

  /** Address of the table of a page: that may move while the code stays. */
  private mapOf(page: number): I32 {
    return load32(i32(this.cells), 4, page * 4)
  }

  // ---- ways from one block to another ----

  /** What is known goes along to where only this way leads. */
  private writeEdge(from: Block, edge: Edge | null): void {
    if (edge === null) throw new Error('a jump without a target')
    const { block } = edge
    const { e } = this
    if (block === null) {
      this.writeLeave(from, edge)
      return
    }
    if (block.page !== from.page) this.writePageCheck(from, edge, block.page)
    const isBack = (this.graph.number.get(block) as number) <= (this.graph.number.get(from) as number)
    const label = isBack ? this.loops.get(block) : this.merges.get(block)
    if (label !== undefined) {
      e.br(label)
      return
    }
    const { ways } = e
    const [state, asked, kept] = [e.flags.state, this.isFpuAsked, e.recent.kept]
    this.writeTree(block)
    e.ways = ways
    e.flags.state = state
    e.recent.kept = kept
    this.isFpuAsked = asked
  }

  private writeLeave(from: Block, edge: Edge): void {
    if (edge === from.next) this.e.set(this.status, i32(REGION.fell))
    this.writeJump(from, addressOf(edge.va))
  }

  private writeJump(from: Block, target: I64): void {
    const { e } = this
    e.set(e.target, target)
    e.set(e.where, i32(from.page << 12))
    e.br(this.leave)
  }

  /** A return from a call that the region follows goes on behind it. */
  private writeComputed(from: Block, target: I64): void {
    const { e } = this
    const back = from.end === 'return' ? from.taken : null
    if (back !== null && back.block !== null) {
      const kept = e.let(target)
      e.if(kept.eq(addressOf(back.va)), () => this.writeEdge(from, back))
      this.writeJump(from, kept)
    } else {
      this.writeJump(from, target)
    }
  }

  /** The interpreter's look at a page that code goes to: where its translation is not at hand, the region is left. */
  private writePageCheck(from: Block, edge: Edge, page: number): void {
    const { e } = this
    const { va } = this.blocks.pages[page]
    const slot = (Math.floor(va / PAGE) % CODE_TLB_ENTRIES) * CODE_TLB_ENTRY_BYTES
    const table = e.field(FIELD.codeTlb)
    const isOther = load64(table, 8, slot + CODE_TLB.tag)
      .ne(addressOf(va))
      .or(load32(table, 4, slot + CODE_TLB.map).ne(this.mapOf(page)))
    e.expect(false)
    e.if(isOther, () => this.writeLeave(from, edge))
  }
}
