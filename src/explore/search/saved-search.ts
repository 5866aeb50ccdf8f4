import * as v from 'valibot'
import { listOf, whole } from '../../files/checked.ts'
import {
  type Checkpoint,
  type CheckpointForm,
  impossibleCheckpoint,
  readCheckpoint,
} from '../jobs/checkpoint.ts'
import { ShardForm } from '../jobs/shard-form.ts'
import { brokenAgain, FindingForm, MOST, SpaceForm } from './forms.ts'
import { walkerOf } from './space.ts'
import { Visited } from './visited.ts'
import { WALKS_A_PIECE, walksOf } from './walk-piece.ts'

const PlanForm = v.strictObject({
  space: SpaceForm,
  depth: whole(0, MOST.depth),
  walks: whole(0, MOST.walks),
  length: whole(0, MOST.length),
  seed: whole(0, MOST.seed),
  all: v.boolean(),
  shard: v.exactOptional(ShardForm),
})

const HeadForm = v.strictObject({
  plan: PlanForm,
  findings: listOf(FindingForm, 1000),
  steps: whole(0, Number.MAX_SAFE_INTEGER),
  depth: whole(0, MOST.depth),
  expanded: whole(0, 2 ** 31),
  walks: whole(0, MOST.walks),
})

const FORM: CheckpointForm<typeof HeadForm> = {
  kind: 'explore',
  head: HeadForm,
  parts: ['visited', 'level', 'next'],
}

/** A search where a checkpoint has it. The sequences are numbers of moves, those of one length one behind the other. */
export type SavedSearch = v.InferOutput<typeof HeadForm> & {
  readonly visited: Visited
  readonly level: Uint16Array
  readonly next: Uint16Array
}

/** More moves than this are not made again to see whether findings are true: shrunk ones have a handful each. */
const MOST_MOVES_OF_FINDINGS = 100_000

/**
 * The search that a checkpoint holds. Nothing in it is believed that does not fit together: anybody can write a file and
 * its checksum. Throws BadInput.
 */
export function readSearch(file: string): SavedSearch {
  const { head, parts }: Checkpoint<v.InferOutput<typeof HeadForm>> = readCheckpoint(file, FORM)
  const { plan, findings, depth, expanded, walks } = head
  const not = (why: string) => impossibleCheckpoint(file, why)
  // Throws for moves that cannot be read, or that no search can make.
  const walker = walkerOf(plan.space)
  const moves = walker.moves.lines.length
  const level = sequencesOf(parts.level, depth, moves)
  const next = sequencesOf(parts.next, depth + 1, moves)
  if (level === null || next === null) throw not('a sequence in it is none of its moves')
  const count = depth === 0 ? 1 : level.length / depth
  if (depth > plan.depth || expanded > count) throw not('it has searched more than there is')
  const ofShard = walksOf(plan, plan.shard ?? { index: 1, of: 1 })
  if (walks > ofShard || (walks % WALKS_A_PIECE !== 0 && walks !== ofShard)) {
    throw not('it has taken other walks than there are')
  }
  const visited = parts.visited.byteLength % 8 === 0 ? Visited.of(new Int32Array(parts.visited.buffer)) : null
  if (visited === null) throw not('its states are none that a search has')
  let made = 0
  const seen = findings.map((finding) => {
    made += finding.sequence.length
    const again = made <= MOST_MOVES_OF_FINDINGS ? brokenAgain(walker, finding) : null
    if (again === null) throw not('a finding in it breaks nothing in this version')
    return again
  })
  walker.machine.openHoles(walker.machine.open)
  return { ...head, findings: seen, visited, level, next }
}

/** Numbers of moves, as many as make sequences of that length; null when they are something else. */
function sequencesOf(bytes: Uint8Array, length: number, moves: number): Uint16Array | null {
  if (length === 0 ? bytes.byteLength !== 0 : bytes.byteLength % (2 * length) !== 0) return null
  const numbers = new Uint16Array(bytes.buffer)
  return numbers.every((move) => move < moves) ? numbers : null
}
