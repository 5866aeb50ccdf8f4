import type { Block, Edge } from './blocks.ts'

/**
 * How the blocks of a region lie in WebAssembly's structured control flow, after Ramsey's "Beyond Relooper" (2022): the tree
 * of dominators says what is nested in what; a block that several ways forward lead to follows a `block` that they leave, and
 * a block that is jumped back to is a `loop`.
 */
export type Graph = {
  /** Blocks in reverse postorder: every way that leads forward leads to a higher number. */
  readonly order: readonly Block[]
  readonly number: ReadonlyMap<Block, number>
  /** Blocks that several ways forward lead to. */
  readonly merges: ReadonlySet<Block>
  readonly loops: ReadonlySet<Block>
  /** The blocks that one dominates directly. */
  readonly children: ReadonlyMap<Block, readonly Block[]>
}

/** The ways out of a block that stay in the region. */
export function edgesOf(block: Block): Edge[] {
  return [block.taken, block.next].filter((edge): edge is Edge => edge !== null && edge.block !== null)
}

/** The graph of the blocks from `entry` on. Ways that jump into a loop past its head are made to leave the region. */
export function graphOf(entry: Block): Graph {
  for (;;) {
    const order = reversePostorder(entry)
    const number = new Map(order.map((block, n) => [block, n]))
    const dominator = dominators(order, number)
    const bad = order.flatMap((block) =>
      edgesOf(block).filter(({ block: to }) => isIrreducible(number, dominator, block, to as Block)),
    )
    if (bad.length === 0) return finish(order, number, dominator)
    for (const edge of bad) edge.block = null
  }
}

function reversePostorder(entry: Block): Block[] {
  const seen = new Set<Block>()
  const post: Block[] = []
  const visit = (block: Block): void => {
    seen.add(block)
    for (const { block: to } of edgesOf(block)) if (!seen.has(to as Block)) visit(to as Block)
    post.push(block)
  }
  visit(entry)
  return post.reverse()
}

type Numbers = ReadonlyMap<Block, number>

const numberOf = (number: Numbers, block: Block): number => number.get(block) as number

/** The number of each block's direct dominator, after Cooper, Harvey and Kennedy. */
function dominators(order: readonly Block[], number: Numbers): number[] {
  const from: number[][] = order.map(() => [])
  for (const [n, block] of order.entries()) {
    for (const { block: to } of edgesOf(block)) from[numberOf(number, to as Block)].push(n)
  }
  const dominator = order.map(() => -1)
  dominator[0] = 0
  const meet = (a: number, b: number): number => {
    let [x, y] = [a, b]
    while (x !== y) {
      while (x > y) x = dominator[x]
      while (y > x) y = dominator[y]
    }
    return x
  }
  for (let changed = true; changed; ) {
    changed = false
    for (let n = 1; n < order.length; n++) {
      const known = from[n].filter((p) => dominator[p] !== -1)
      const next = known.reduce(meet)
      if (next === dominator[n]) continue
      dominator[n] = next
      changed = true
    }
  }
  return dominator
}

function isIrreducible(number: Numbers, dominator: readonly number[], from: Block, to: Block): boolean {
  const head = numberOf(number, to)
  let at = numberOf(number, from)
  if (head > at) return false
  while (at > head) at = dominator[at]
  return at !== head
}

function finish(order: readonly Block[], number: Numbers, dominator: readonly number[]): Graph {
  const forward = order.map(() => 0)
  const loops = new Set<Block>()
  for (const [n, block] of order.entries()) {
    for (const { block: to } of edgesOf(block)) {
      const head = numberOf(number, to as Block)
      if (head > n) forward[head]++
      else loops.add(to as Block)
    }
  }
  const children = new Map<Block, Block[]>(order.map((block) => [block, []]))
  for (let n = 1; n < order.length; n++) children.get(order[dominator[n]])?.push(order[n])
  return { order, number, merges: new Set(order.filter((_, n) => forward[n] > 1)), loops, children }
}
