import type { Automaton } from './automaton.ts'

/**
 * An automaton's positions with the kind of the character that each has read last, as far as a text can lead to them;
 * numbered from 0. What a way asks of the characters on its two sides (`\b`, `^`) is decided here.
 */
export type Machine = {
  readonly samples: readonly string[]
  readonly size: number
  /** The kind of the character that a state has read last. */
  readonly kindOf: readonly number[]
  /** Where a state may go by reading an atom, every way for itself. */
  readonly steps: (state: number, atom: number) => readonly Step[]
  /** The atoms that lead on from a state. */
  readonly next: readonly (readonly number[])[]
  /** The circle that a state lies on; -1 for none. */
  readonly circle: readonly number[]
  /** For each state, whether it leads to a circle. */
  readonly leadsTo: (circle: number) => Uint8Array
  /** What a text begins with that leads to a state. */
  readonly textBefore: (state: number) => string
}

export type Step = { readonly to: number; readonly mayEnd: boolean }

const NONE: readonly Step[] = []

export function stateMachine(automaton: Automaton): Machine {
  const { samples } = automaton.atoms
  const { table, kindOf, from } = explored(automaton)
  const next = table.map((byAtom) => [...byAtom.keys()])
  const targets = table.map((byAtom) => [...new Set([...byAtom.values()].flat().map(({ to }) => to))])
  const circle = circles(targets)
  const known = new Map<number, Uint8Array>()
  return {
    samples,
    size: table.length,
    kindOf,
    steps: (state, atom) => table[state].get(atom) ?? NONE,
    next,
    circle,
    leadsTo: (wanted) => {
      const found = known.get(wanted) ?? leadingTo(wanted, circle, targets)
      known.set(wanted, found)
      return found
    },
    textBefore: (state) => {
      const read: string[] = []
      for (let at: Origin | undefined = from[state]; at !== undefined; at = from[at.state])
        read.unshift(samples[at.atom])
      return read.join('')
    },
  }
}

/** What was read to come to a state, and from where; from -1 when it is a text's first character. */
type Origin = { readonly atom: number; readonly state: number }

/** All states that a text leads to, breadth first. */
function explored({ atoms, edges, reads, kindOf }: Automaton) {
  const classes = atoms.samples.length
  const samplesOf = kindOf.map((kind) => kindOf.indexOf(kind))
  const numbers = new Map<number, number>()
  const states: { readonly position: number; readonly kind: number; readonly last: number }[] = []
  const from: Origin[] = []
  const numberOf = (position: number, origin: Origin): number => {
    const kind = kindOf[origin.atom]
    const key = position * classes + kind
    const known = numbers.get(key)
    if (known !== undefined) return known
    numbers.set(key, states.length)
    states.push({ position, kind, last: samplesOf[origin.atom] })
    return from.push(origin) - 1
  }
  const stepsFrom = (position: number, last: number | undefined, state: number) => {
    const byAtom = new Map<number, Step[]>()
    const add = (atom: number, position: number, mayEnd: boolean) => {
      const step = { to: numberOf(position, { atom, state }), mayEnd }
      const steps = byAtom.get(atom)
      if (steps === undefined) byAtom.set(atom, [step])
      else steps.push(step)
    }
    for (const { to, open, mayEnd } of edges[position])
      for (const atom of reads[to]) if (open(last, atom)) add(atom, to, mayEnd)
    // The search goes on without having begun to match.
    if (position === 0) for (let atom = 0; atom < classes; atom++) add(atom, 0, false)
    return byAtom
  }
  stepsFrom(0, undefined, -1)
  const table: Map<number, Step[]>[] = []
  for (let state = 0; state < states.length; state++)
    table.push(stepsFrom(states[state].position, states[state].last, state))
  return { table, kindOf: states.map(({ kind }) => kind), from }
}

/** Tarjan's strongly connected components, of those that hold a step; without recursion. */
function circles(targets: readonly (readonly number[])[]): number[] {
  const circle = targets.map(() => -1)
  const index = targets.map(() => -1)
  const low = targets.map(() => -1)
  const isOpen = targets.map(() => false)
  const open: number[] = []
  let visited = 0
  let found = 0
  for (let root = 0; root < targets.length; root++) {
    if (index[root] >= 0) continue
    const work = [{ state: root, at: 0 }]
    while (work.length > 0) {
      const frame = work.at(-1)!
      const { state } = frame
      if (index[state] < 0) {
        index[state] = visited
        low[state] = visited++
        isOpen[state] = true
        open.push(state)
      }
      if (frame.at < targets[state].length) {
        const to = targets[state][frame.at++]
        if (index[to] < 0) work.push({ state: to, at: 0 })
        else if (isOpen[to]) low[state] = Math.min(low[state], index[to])
        continue
      }
      work.pop()
      const parent = work.at(-1)?.state
      if (parent !== undefined) low[parent] = Math.min(low[parent], low[state])
      if (low[state] !== index[state]) continue
      const members = open.splice(open.lastIndexOf(state))
      const isCircle = members.length > 1 || targets[state].includes(state)
      for (const member of members) {
        isOpen[member] = false
        if (isCircle) circle[member] = found
      }
      found++
    }
  }
  return circle
}

function leadingTo(
  wanted: number,
  circle: readonly number[],
  targets: readonly (readonly number[])[],
): Uint8Array {
  const leads = Uint8Array.from(circle, (own) => (own === wanted ? 1 : 0))
  for (let changed = true; changed; ) {
    changed = false
    for (let state = targets.length - 1; state >= 0; state--) {
      if (leads[state] || !targets[state].some((to) => leads[to])) continue
      leads[state] = 1
      changed = true
    }
  }
  return leads
}
