import type { Instruction } from '../../machine/vcpu/instruction.ts'
import { decode } from '../decode/decode.ts'
import { type Selection, select, usesFpu } from '../semantics/select.ts'
import { OWNERS_FLAGS } from '../semantics/semantic.ts'
import { STRING_SEMANTICS } from '../semantics/strings.ts'

/**
 * The blocks of a region: what is reached from its entry by jumps whose targets are known. A static call goes on in the
 * callee, whose blocks are the region's own for that call, and its return comes back behind it.
 */
export type Block = {
  readonly va: number
  /** Number of its page in the region's list. */
  readonly page: number
  readonly steps: readonly Step[]
  /** How it ends: with its last instruction, which may repeat itself, or before one that the interpreter has to carry out. */
  readonly end: 'fall' | 'jump' | 'branch' | 'call' | 'return' | 'indirect' | 'repeat' | 'hand over'
  /** Where its jump or call goes; of a return, where the call that it belongs to goes on; of a repetition, its beginning. */
  readonly taken: Edge | null
  /** What lies behind it: where it falls through, or hands over. */
  readonly next: Edge
}

/** One instruction of a block. */
export type Step = {
  readonly va: number
  readonly instruction: Instruction
  readonly selection: Selection
  readonly usesFpu: boolean
}

/** A way to an address; `block` is null where it leaves the region. */
export type Edge = { readonly va: number; block: Block | null }

/** A page with code: its 48-bit address, its number in the machine's memory, the address of its table of instructions. */
export type RegionPage = { readonly va: number; readonly page: number; readonly map: number }

/** What finding blocks asks of the core. */
export type CodeSource = {
  readonly bytes: Uint8Array
  /** The page that code at an address lies in, or null where nothing is known of it. */
  pageAt(va: number): RegionPage | null
  /** Whether jumps go to an address, as far as one has seen. */
  isWarm(va: number): boolean
  /** Whether the instruction at an offset of a page has to be the interpreter's, as one at a breakpoint is. */
  isReserved(offset: number): boolean
}

export type Blocks = {
  readonly entry: Block
  readonly all: readonly Block[]
  readonly pages: readonly RegionPage[]
}

const PAGE = 4096
const MOST_BLOCKS = 32
const MOST_STEPS = 64
export const MOST_PAGES = 8
const DEEPEST_CALL = 3
const SPACE = 2 ** 48

/** The calls that a block is inside of. */
type Calls = {
  readonly depth: number
  readonly returnTo: number
  readonly outer: Calls | null
  /** The blocks inside, by their addresses. */
  readonly drafts: Map<number, Draft>
}

type Draft = {
  readonly va: number
  readonly calls: Calls
  readonly page: number
  steps: Step[]
  end: Block['end']
  taken: { readonly va: number; readonly calls: Calls } | null
  next: number
}

/** What does nothing but raise an exception. */
const FAULTS = new Set(['undefined', 'general protection'])
/** Instructions that come again until they are done, each time as one that counts: a block each. */
const REPEATED = new Set(STRING_SEMANTICS.filter(({ name }) => name.startsWith('rep')))

/** Whether a region can carry an instruction out. */
function isOurs({ semantic }: Selection): boolean {
  return semantic.write !== null && semantic.flags !== OWNERS_FLAGS && !FAULTS.has(semantic.name)
}

/** The blocks from an address on, or null where there is nothing to compile. */
export function findBlocks(source: CodeSource, entry: number): Blocks | null {
  return new Finder(source).find(entry)
}

class Finder {
  private readonly source: CodeSource
  private readonly pages: RegionPage[] = []
  private readonly drafts: Draft[] = []

  constructor(source: CodeSource) {
    this.source = source
  }

  find(entry: number): Blocks | null {
    const outermost: Calls = { depth: 0, returnTo: -1, outer: null, drafts: new Map() }
    const first = this.draft(entry, outermost)
    if (first === null) return null
    // More are added while these are looked at.
    for (const draft of this.drafts) this.fill(draft)
    for (const draft of this.drafts) this.cut(draft)
    if (first.steps.length === 0) return null
    const blocks = new Map<Draft, Block>()
    const made = this.finish(first, blocks)
    return { entry: made, all: [...blocks.values()], pages: this.pages }
  }

  private draft(va: number, calls: Calls): Draft | null {
    const known = calls.drafts.get(va)
    if (known !== undefined) return known
    if (this.drafts.length >= MOST_BLOCKS) return null
    const page = this.pageNumber(va)
    if (page === -1) return null
    const made: Draft = { va, calls, page, steps: [], end: 'fall', taken: null, next: va }
    calls.drafts.set(va, made)
    this.drafts.push(made)
    return made
  }

  private pageNumber(va: number): number {
    const start = va - (va % PAGE)
    for (let n = 0; n < this.pages.length; n++) if (this.pages[n].va === start) return n
    if (this.pages.length >= MOST_PAGES) return -1
    const page = this.source.pageAt(start)
    return page === null ? -1 : this.pages.push(page) - 1
  }

  /** Decode a block's instructions, and draft what follows it. */
  private fill(draft: Draft): void {
    const { page } = this.pages[draft.page]
    const { bytes } = this.source
    let va = draft.va
    for (;;) {
      draft.next = va
      const offset = va % PAGE
      // Behind the page's end another one begins.
      if (va !== draft.va && offset === 0) break
      if (draft.steps.length >= MOST_STEPS) break
      const instruction = decode(bytes, page * PAGE + offset, (page + 1) * PAGE)
      if (typeof instruction === 'string' || this.source.isReserved(offset)) {
        draft.end = 'hand over'
        return
      }
      const selection = select(instruction)
      if (!isOurs(selection)) {
        draft.end = 'hand over'
        return
      }
      const isRepeated = REPEATED.has(selection.semantic)
      if (isRepeated && draft.steps.length > 0) break
      draft.steps.push({ va, instruction, selection, usesFpu: usesFpu(instruction) })
      va += instruction.length
      if (isRepeated) {
        draft.next = va
        draft.end = 'repeat'
        draft.taken = { va: draft.va, calls: draft.calls }
        break
      }
      if (selection.semantic.endsBlock) {
        draft.next = va
        this.endWith(draft, instruction, va)
        return
      }
    }
    this.draft(draft.next, draft.calls)
  }

  private endWith(draft: Draft, instruction: Instruction, behind: number): void {
    const { calls } = draft
    const [target] = instruction.operands
    if (instruction.name === 'ret') {
      draft.end = 'return'
      if (calls.outer !== null) draft.taken = { va: calls.returnTo, calls: calls.outer }
    } else if (target?.kind !== 'target') {
      draft.end = 'indirect'
    } else {
      const to = behind + target.displacement
      draft.end = instruction.name === 'jmp' ? 'jump' : instruction.name === 'call' ? 'call' : 'branch'
      const into = draft.end === 'call' ? this.inside(calls, behind) : calls
      draft.taken = { va: to, calls: into ?? calls }
      if (into !== null && to >= 0 && to < SPACE && this.source.isWarm(to)) this.draft(to, into)
    }
    if (draft.end === 'return' && draft.taken !== null) this.draft(draft.taken.va, draft.taken.calls)
    if (draft.end === 'branch') this.draft(behind, calls)
  }

  private inside(outer: Calls, returnTo: number): Calls | null {
    if (outer.depth >= DEEPEST_CALL) return null
    return { depth: outer.depth + 1, returnTo, outer, drafts: new Map() }
  }

  /** A block ends where another one of the same call begins. */
  private cut(draft: Draft): void {
    const { drafts } = draft.calls
    if (drafts.size === 1) return
    const at = draft.steps.findIndex((step, n) => n > 0 && drafts.has(step.va))
    if (at === -1) return
    draft.next = draft.steps[at].va
    draft.steps = draft.steps.slice(0, at)
    draft.end = 'fall'
    draft.taken = null
  }

  private finish(draft: Draft, blocks: Map<Draft, Block>): Block {
    const known = blocks.get(draft)
    if (known !== undefined) return known
    const { va, page, steps, end, calls, taken, next } = draft
    const made: Block = {
      va,
      page,
      steps,
      end,
      taken: taken === null ? null : { va: taken.va, block: null },
      next: { va: next, block: null },
    }
    blocks.set(draft, made)
    if (made.taken !== null && taken !== null) made.taken.block = this.at(taken.va, taken.calls, blocks)
    if (end === 'fall' || end === 'branch' || end === 'repeat') made.next.block = this.at(next, calls, blocks)
    return made
  }

  /** The block at an address; one without instructions is left to the interpreter. */
  private at(va: number, calls: Calls, blocks: Map<Draft, Block>): Block | null {
    const draft = calls.drafts.get(va)
    return draft === undefined || draft.steps.length === 0 ? null : this.finish(draft, blocks)
  }
}
