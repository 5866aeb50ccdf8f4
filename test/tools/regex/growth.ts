import { automatonOf, Refused } from './automaton.ts'
import { type Machine, type Step, stateMachine } from './state-machine.ts'

/**
 * How the work of a regular expression grows with its input, by the structure of its automaton: no clock is read.
 *
 * A backtracking engine that fails has tried every run over the text, and a search begins one at every character. The work is
 * in proportion to the text where the runs alive at a character are bounded in number. They are not in two cases (Weber and
 * Seidl, On the degree of ambiguity of finite automata, 1991):
 *
 * - *exponential*: a state has two ways to itself over one word;
 * - *polynomial*: over one word a state leads to itself, and to another, which leads to itself.
 *
 * A run whose repetition could end the pattern at every turn does no lost work: where it fails, it falls back to there.
 */
export type Growth = {
  readonly kind: 'exponential' | 'polynomial' | 'refused'
  /** Why, in words: a text that shows it. */
  readonly why: string
}

/** Undefined where the work is in proportion to the text. */
export function growthOf(source: string, flags: string): Growth | undefined {
  try {
    const machine = stateMachine(automatonOf(source, flags))
    return exponential(machine) ?? polynomial(machine)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { kind: 'refused', why: error.message }
  }
}

function exponential(machine: Machine): Growth | undefined {
  const { size, circle, steps, next } = machine
  for (let state = 0; state < size; state++) {
    const own = circle[state]
    if (own === NO_CIRCLE) continue
    // Places are two states, and whether the two ways have parted.
    const place = (a: number, b: number, apart: boolean) => (a * size + b) * 2 + (apart ? 1 : 0)
    const stays = ({ to, mayEnd }: Step) => circle[to] === own && !mayEnd
    const word = wordBetween(machine, place(state, state, false), place(state, state, true), (from) => {
      const apart = from % 2 === 1
      const b = Math.floor(from / 2) % size
      const a = Math.floor(from / 2 / size)
      const reached: Reached[] = []
      for (const atom of next[a]) {
        const ones = steps(a, atom).filter(stays)
        if (ones.length === 0) continue
        const others = a === b ? ones : steps(b, atom).filter(stays)
        for (const one of ones)
          for (const other of others)
            reached.push({ place: place(one.to, other.to, apart || a !== b || one !== other), atom })
      }
      return reached
    })
    if (word !== undefined) return { kind: 'exponential', why: attack(machine, state, word) }
  }
  return undefined
}

function polynomial(machine: Machine): Growth | undefined {
  const { size, circle, kindOf, leadsTo, steps, next } = machine
  const place = (stay: number, cross: number, on: number) => (stay * size + cross) * size + on
  for (let second = 0; second < size; second++) {
    if (circle[second] === NO_CIRCLE) continue
    const onCircle = leadsTo(circle[second])
    for (let first = 0; first < size; first++) {
      if (circle[first] === NO_CIRCLE || first === second) continue
      if (kindOf[first] !== kindOf[second] || !onCircle[first]) continue
      const start = place(first, first, second)
      const goal = place(first, second, second)
      const word = wordBetween(machine, start, goal, (from) => {
        const on = from % size
        const cross = Math.floor(from / size) % size
        const stay = Math.floor(from / size / size)
        const reached: Reached[] = []
        for (const atom of next[on]) {
          const ons = steps(on, atom).filter(({ to, mayEnd }) => circle[to] === circle[second] && !mayEnd)
          if (ons.length === 0) continue
          const stays = steps(stay, atom).filter(({ to }) => circle[to] === circle[first])
          if (stays.length === 0) continue
          for (const { to } of steps(cross, atom)) {
            if (!onCircle[to]) continue
            for (const a of stays) for (const c of ons) reached.push({ place: place(a.to, to, c.to), atom })
          }
        }
        return reached
      })
      if (word !== undefined) return { kind: 'polynomial', why: attack(machine, first, word) }
    }
  }
  return undefined
}

const NO_CIRCLE = -1

type Reached = { readonly place: number; readonly atom: number }
type Walk = Reached & { readonly previous: Walk | undefined }

/** Breadth first from one place to another; returns what is read on the way. */
function wordBetween(
  { samples }: Machine,
  start: number,
  goal: number,
  next: (place: number) => Reached[],
): string | undefined {
  const seen = new Set([start])
  const queue: Walk[] = [{ place: start, atom: -1, previous: undefined }]
  for (let i = 0; i < queue.length; i++) {
    for (const { place, atom } of next(queue[i].place)) {
      if (seen.has(place)) continue
      seen.add(place)
      const walk: Walk = { place, atom, previous: queue[i] }
      if (place !== goal) queue.push(walk)
      else {
        const word: string[] = []
        for (let at: Walk = walk; at.previous !== undefined; at = at.previous) word.unshift(samples[at.atom])
        return word.join('')
      }
    }
  }
  return undefined
}

function attack(machine: Machine, state: number, word: string): string {
  return `${JSON.stringify(machine.textBefore(state))} and ${JSON.stringify(word)} many times`
}
