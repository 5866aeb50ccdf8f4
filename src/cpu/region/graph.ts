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
  /** The blocks that one dominates directly, where there are any. */
  readonly children: ReadonlyMap<Block, readonly Block[]>
}

/** The ways out of a block that stay in the region. */
export function edgesOf(block: Block): Edge[] {
  const { taken, next } = block
  const edges: Edge[] = []
  if (taken !== null && taken.block !== null) edges.push(taken)
  if (next.block !== null) edges.push(next)
  return edges
}

/** The graph of the blocks from `entry` on. Ways that jump into a loop past its head are made to leave the region. */
export function graphOf(entry: Block): Graph {
  for (;;) {
    const order = reversePostorder(entry)
    const number = new Map<Block, number>()
    for (let n = 0; n < order.length; n++) number.set(order[n], n)
    const ways = order.map((block) => waysOf(block, number))
    const dominator = dominators(ways)
    const bad = ways.flatMap((list) => list.filter((way) => isIrreducible(dominator, way)))
    if (bad.length === 0) return finish(order, number, ways, dominator)
    for (const { edge } of bad) edge.block = null
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

/** A way between two blocks, by their numbers. */
type Way = { readonly from: number; readonly to: number; readonly edge: Edge }

function waysOf(block: Block, number: ReadonlyMap<Block, number>): Way[] {
  const from = number.get(block) as number
  return edgesOf(block).map((edge) => ({ from, to: number.get(edge.block as Block) as number, edge }))
}

/** The number of each block's direct dominator, after Cooper, Harvey and Kennedy. */
function dominators(ways: readonly (readonly Way[])[]): number[] {
  const before: number[][] = ways.map(() => [])
  for (const list of ways) for (const { from, to } of list) before[to].push(from)
  const dominator = ways.map(() => -1)
  dominator[0] = 0
  const meet = (a: number, b: number): number => {
    let x = a
    let y = b
    while (x !== y) {
      while (x > y) x = dominator[x]
      while (y > x) y = dominator[y]
    }
    return x
  }
  for (let changed = true; changed; ) {
    changed = false
    for (let n = 1; n < ways.length; n++) {
      let next = -1
      for (const from of before[n]) {
        if (dominator[from] !== -1) next = next === -1 ? from : meet(next, from)
      }
      if (next === dominator[n]) continue
      dominator[n] = next
      changed = true
    }
  }
  return dominator
}

function isIrreducible(dominator: readonly number[], { from, to }: Way): boolean {
  let at = from
  while (at > to) at = dominator[at]
  return to <= from && at !== to
}

function finish(
  order: readonly Block[],
  number: ReadonlyMap<Block, number>,
  ways: readonly (readonly Way[])[],
  dominator: readonly number[],
): Graph {
  const forward = order.map(() => 0)
  const loops = new Set<Block>()
  for (const list of ways) {
    for (const { from, to } of list) {
      if (to > from) forward[to]++
      else loops.add(order[to])
    }
  }
  const children = new Map<Block, Block[]>()
  for (let n = 1; n < order.length; n++) {
    const parent = order[dominator[n]]
    const known = children.get(parent)
    if (known === undefined) children.set(parent, [order[n]])
    else known.push(order[n])
  }
  return { order, number, merges: new Set(order.filter((_, n) => forward[n] > 1)), loops, children }
}
