import { StateKey } from '../../run/search/state-key.ts'
import { type Finding, findingOf, signatureOf } from './finding.ts'
import { randomStream } from './random.ts'
import { type Space, type Walker, walkerOf } from './space.ts'
import { Visited } from './visited.ts'

/** Every move from every one of some states of one depth. */
export type LevelTask = {
  readonly kind: 'level'
  readonly space: Space
  /** The sequences that lead to the states, one behind the other. */
  readonly sequences: Uint16Array
  readonly count: number
  /** Moves of each sequence. */
  readonly depth: number
  /** Keys of states that are known. */
  readonly visited: SharedArrayBuffer | ArrayBuffer
}

export type LevelResult = {
  /** Of every state that may be new: the number of the state it came from, the move, and its key. */
  readonly states: Int32Array
  /** Findings, each with the number of its state in `states`. */
  readonly findings: readonly { readonly state: number; readonly finding: Finding }[]
  readonly steps: number
}

/** Numbers of a state in `LevelResult.states`. */
export const STATE_NUMBERS = 4

/** Random walks by their numbers, from `first` on. */
export type WalkTask = {
  readonly kind: 'walks'
  readonly space: Space
  readonly seed: number
  readonly first: number
  readonly count: number
  readonly length: number
}

export type WalkResult = { readonly findings: readonly Finding[]; readonly steps: number }

export type Task = LevelTask | WalkTask

/** What a thread of a search does. */
export default function run(task: LevelTask): LevelResult
export default function run(task: WalkTask): WalkResult
export default function run(task: Task): LevelResult | WalkResult {
  return task.kind === 'level' ? expand(task) : walk(task)
}

/** States that one task finds, so that each is looked at once. */
const met = new Visited(new ArrayBuffer(2 ** 20))

function expand({ space, sequences, count, depth, visited }: LevelTask): LevelResult {
  const walker = walkerOf(space)
  const { machine, moves } = walker
  const key = keyOf(walker)
  const known = new Visited(visited)
  const before = new Int32Array(machine.size)
  const after = new Int32Array(machine.size)
  const states: number[] = []
  const findings: { state: number; finding: Finding }[] = []
  let steps = 0
  met.clear()
  for (let from = 0; from < count; from++) {
    const sequence = [...sequences.subarray(from * depth, (from + 1) * depth)]
    machine.reset()
    // No search goes on behind a guest that is dead, but a checkpoint may say so.
    if (!sequence.every((move) => machine.move(moves.lines[move]))) continue
    machine.save(before)
    for (let move = 0; move < moves.lines.length; move++) {
      machine.restore(before)
      steps++
      // A guest that is dead does nothing more.
      if (!machine.move(moves.lines[move])) continue
      machine.save(after)
      key.of(after)
      if (known.has(key.lo, key.hi) || !met.add(key.lo, key.hi)) continue
      const [broken] = machine.broken()
      if (broken !== undefined) {
        const finding = findingOf(walker, [...sequence, move])
        if (finding !== null) findings.push({ state: states.length / STATE_NUMBERS, finding })
      }
      states.push(from, move, key.lo, key.hi)
    }
  }
  return { states: Int32Array.from(states), findings, steps }
}

/** The key of the machine as it is now. */
export function keyNow(walker: Walker): StateKey {
  const state = new Int32Array(walker.machine.size)
  walker.machine.save(state)
  const key = keyOf(walker)
  key.of(state)
  return key
}

let keyed: { readonly walker: Walker; readonly key: StateKey } | null = null

function keyOf(walker: Walker): StateKey {
  if (keyed?.walker !== walker) keyed = { walker, key: new StateKey(walker.machine, walker.moves) }
  return keyed.key
}

/** Walks that use all moves, in a hundred; the others keep to a few, and so repeat and combine them more. */
const WITH_ALL_MOVES = 30
const [FEWEST, MOST] = [6, 40]

function walk({ space, seed, first, count, length }: WalkTask): WalkResult {
  const walker = walkerOf(space)
  const { machine, moves } = walker
  const findings = new Map<string, Finding>()
  let steps = 0
  for (let n = first; n < first + count; n++) {
    const random = randomStream(seed, n)
    const few = random(100) < WITH_ALL_MOVES ? moves.lines.length : FEWEST + random(MOST - FEWEST)
    const choice = Array.from({ length: few }, (_, i) =>
      few === moves.lines.length ? i : random(moves.lines.length),
    )
    const sequence: number[] = []
    machine.reset()
    while (sequence.length < length) {
      const move = choice[random(choice.length)]
      sequence.push(move)
      steps++
      if (!machine.move(moves.lines[move])) break
      if (machine.broken().length === 0) continue
      const finding = findingOf(walker, sequence)
      if (finding !== null && !findings.has(signatureOf(finding))) findings.set(signatureOf(finding), finding)
      break
    }
  }
  return { findings: [...findings.values()], steps }
}
