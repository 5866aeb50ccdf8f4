import { ALL_FLAGS } from '../semantics/semantic.ts'
import { isString } from '../semantics/strings.ts'
import type { Block, Step } from './blocks.ts'
import { edgesOf, type Graph } from './graph.ts'

/**
 * For each block and each of its instructions, whether anybody may look at the flags that it sets: another instruction, or
 * whoever goes on where the region is left or an instruction is handed over.
 *
 * @param isRoot whether the region may be left at a block's beginning
 */
export function flagsUsed(graph: Graph, isRoot: (block: Block) => boolean): Map<Block, boolean[]> {
  const used = new Map<Block, boolean[]>()
  const before = new Map<Block, number>()
  // Ways forward lead to higher numbers, so that what follows a block is known.
  for (let n = graph.order.length - 1; n >= 0; n--) {
    const block = graph.order[n]
    const own = block.steps.map(() => false)
    let live = liveBehind(block, isRoot, before)
    for (let i = own.length - 1; i >= 0; i--) {
      const step = block.steps[i]
      const { reads, sets, maySet } = step.selection.semantic.flags
      own[i] = ((sets | maySet) & live) !== 0
      live = mayHandOver(step) ? ALL_FLAGS : (live & ~sets) | reads
    }
    used.set(block, own)
    before.set(block, live)
  }
  return used
}

function liveBehind(
  block: Block,
  isRoot: (block: Block) => boolean,
  before: ReadonlyMap<Block, number>,
): number {
  const ways =
    block.end === 'branch' || block.end === 'repeat'
      ? 2
      : block.end === 'fall' || block.taken !== null
        ? 1
        : 0
  const inside = edgesOf(block)
  if (ways === 0 || inside.length < ways || block.end === 'return') return ALL_FLAGS
  let all = 0
  for (const { block: to } of inside) {
    const next = to as Block
    // A way to another page may turn out to leave.
    const mayLeave = isRoot(next) || next.page !== block.page
    all |= mayLeave ? ALL_FLAGS : (before.get(next) ?? ALL_FLAGS)
  }
  return all
}

/** Whether an instruction may be handed over: what accesses memory, divides, or computes with floating point. */
function mayHandOver({ selection, usesFpu }: Step): boolean {
  const { semantic, memory } = selection
  return (
    (memory !== -1 && semantic.name !== 'lea') ||
    semantic.usesStack ||
    isString(semantic) ||
    semantic.name === 'div' ||
    semantic.name === 'idiv' ||
    usesFpu
  )
}
