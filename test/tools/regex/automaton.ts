import { type AST, RegExpParser } from '@eslint-community/regexpp'
import { type Atoms, atomsOf } from './atoms.ts'

/**
 * A regular expression as an automaton whose runs are the paths that a backtracking engine may try: as many runs as
 * there are ways to read a text, no two of them merged.
 *
 * A *position* is a place of the pattern that reads one character. Between two positions lie the decisions that read
 * nothing; an edge is one way through them.
 */
export type Automaton = {
  readonly atoms: Atoms
  /** How many positions there are; 0 is the search that has not begun to match, and reads any character. */
  readonly positions: number
  /** Which atoms each position reads. */
  readonly reads: readonly ReadonlySet<number>[]
  /** Of each atom what the ways ask of the character before them: atoms of one kind leave the same ways open. */
  readonly kindOf: readonly number[]
  /** The ways on from each position; those of 0 begin a match. */
  readonly edges: readonly (readonly Edge[])[]
}

export type Edge = {
  readonly to: number
  /** Whether the way is open between two characters; `undefined` before the first of a text. */
  readonly open: (before: number | undefined, after: number) => boolean
  /** Whether the pattern could have ended on the way, whatever follows: a run that fails later falls back to there. */
  readonly mayEnd: boolean
}

/** What cannot be judged, or is refused whatever it is used for. */
export class Refused extends Error {}

/** Repetitions up to this many are written out; more count as without end. */
const WRITTEN_OUT = 128
const MOST_POSITIONS = 4000

type Condition = Edge['open']
type Arc = { readonly to: Node; readonly when?: Condition | undefined }
/** A decision: its arcs are tried in turn. One with a position reads a character and has one arc. */
type Node = { readonly arcs: Arc[]; position?: number; dead?: boolean }
type Piece = { readonly first: Node; readonly last: Node }

export function automatonOf(source: string, flags: string): Automaton {
  const pattern = new RegExpParser({ ecmaVersion: 2024 }).parsePattern(source, 0, source.length, {
    unicode: flags.includes('u'),
    unicodeSets: flags.includes('v'),
  })
  const atoms = atomsOf(pattern, flags)
  const multiline = flags.includes('m')
  const everything = new Set(atoms.samples.keys())
  const reads: ReadonlySet<number>[] = [everything]
  const nodes: Node[] = []
  const askedBefore: ReadonlySet<number>[] = []

  const node = (...arcs: Arc[]): Node => {
    const made: Node = { arcs }
    nodes.push(made)
    return made
  }
  const through = (when?: Condition): Piece => {
    const last = node()
    return { first: node({ to: last, when }), last }
  }
  const reading = (raw: string): Piece => {
    if (reads.length >= MOST_POSITIONS) throw new Refused('too large to be judged')
    const last = node()
    const first = node({ to: last })
    first.position = reads.length
    reads.push(atoms.readBy(raw))
    return { first, last }
  }
  const inTurn = (pieces: readonly Piece[]): Piece => {
    if (pieces.length === 0) return through()
    for (let i = 1; i < pieces.length; i++) pieces[i - 1].last.arcs.push({ to: pieces[i].first })
    return { first: pieces[0].first, last: pieces.at(-1)!.last }
  }
  const oneOf = (alternatives: readonly AST.Alternative[]): Piece => {
    const last = node()
    const first = node()
    for (const { elements } of alternatives) {
      const piece = inTurn(elements.map(pieceOf))
      first.arcs.push({ to: piece.first })
      piece.last.arcs.push({ to: last })
    }
    return { first, last }
  }

  const repeated = (quantifier: AST.Quantifier): Piece => {
    const { element, min, max } = quantifier
    if (max === 0) return through()
    const endless = max === Number.POSITIVE_INFINITY || max > WRITTEN_OUT
    if (endless && mayBeEmpty(element)) throw new Refused('repeats without end what may be empty')
    const pieces: Piece[] = []
    for (let i = 0; i < Math.min(min, WRITTEN_OUT); i++) pieces.push(pieceOf(element))
    if (endless) {
      const loop = pieces.at(-1) ?? pieceOf(element)
      loop.last.arcs.push({ to: loop.first })
      if (pieces.length > 0) return inTurn(pieces)
      const last = node()
      loop.last.arcs.push({ to: last })
      return { first: node({ to: loop.first }, { to: last }), last }
    }
    // x{0,3} is (?:x(?:x(?:x)?)?)?
    const last = node()
    for (let i = min; i < max; i++) {
      const piece = pieceOf(element)
      pieces.push({ first: node({ to: piece.first }, { to: last }), last: piece.last })
    }
    pieces.push({ first: last, last })
    return inTurn(pieces)
  }

  const lookaround = (assertion: AST.LookaroundAssertion): Piece => {
    const single = singleCharacter(assertion)
    if (single !== undefined) {
      const set = atoms.readBy(single)
      if (assertion.kind === 'lookbehind') askedBefore.push(set)
      return through((before, after) => {
        const seen = assertion.kind === 'lookahead' ? after : before
        return assertion.negate !== (seen !== undefined && set.has(seen))
      })
    }
    if (assertion.kind === 'lookbehind') {
      if (assertion.alternatives.some(({ elements }) => elements.some(isEndless)))
        throw new Refused('looks behind without bound')
      return through(always)
    }
    // What is ahead is read once each time that the place is reached, and never gone back into.
    const ahead = oneOf(assertion.alternatives)
    ahead.last.dead = true
    const last = node()
    return { first: node({ to: ahead.first, when: always }, { to: last, when: always }), last }
  }

  function pieceOf(element: AST.Element): Piece {
    switch (element.type) {
      case 'Character':
      case 'CharacterSet':
      case 'CharacterClass':
      case 'ExpressionCharacterClass':
        return reading(element.raw)
      case 'Group':
      case 'CapturingGroup':
        return oneOf(element.alternatives)
      case 'Quantifier':
        return repeated(element)
      case 'Assertion':
        if (element.kind === 'lookahead' || element.kind === 'lookbehind') return lookaround(element)
        if (element.kind === 'word') {
          askedBefore.push(atoms.word)
          const isWord = (atom: number | undefined) => atom !== undefined && atoms.word.has(atom)
          return through((before, after) => (isWord(before) !== isWord(after)) !== element.negate)
        }
        if (element.kind === 'end') return through((_, after) => multiline && atoms.lineEnd.has(after))
        if (multiline) askedBefore.push(atoms.lineEnd)
        return through((before) => before === undefined || (multiline && atoms.lineEnd.has(before)))
      default:
        throw new Refused('refers back to a group')
    }
  }

  const whole = oneOf(pattern.alternatives)
  const ending = endings(nodes, whole.last)
  const edges: Edge[][] = reads.map(() => [])
  edges[0] = waysFrom(whole.first, ending)
  for (const from of nodes) {
    if (from.position !== undefined) edges[from.position] = waysFrom(from.arcs[0].to, ending)
  }
  const kinds = new Map<string, number>()
  const kindOf = atoms.samples.map((_, atom) => {
    const kind = askedBefore.map((set) => (set.has(atom) ? '1' : '0')).join('')
    if (!kinds.has(kind)) kinds.set(kind, kinds.size)
    return kinds.get(kind)!
  })
  return { atoms, positions: reads.length, reads, kindOf, edges }
}

const always: Condition = () => true

/** The nodes from which the pattern may end without a condition. */
function endings(nodes: readonly Node[], end: Node): ReadonlySet<Node> {
  const found = new Set([end])
  for (let size = 0; size < found.size; ) {
    size = found.size
    for (const one of nodes) {
      if (one.position === undefined && one.arcs.some(({ to, when }) => !when && found.has(to)))
        found.add(one)
    }
  }
  return found
}

/** Every way from a node to the positions that may read next. There is no circle: what repeats is never empty. */
function waysFrom(start: Node, ending: ReadonlySet<Node>): Edge[] {
  const ways: Edge[] = []
  const walk = (node: Node, conditions: readonly Condition[], mayEnd: boolean): void => {
    if (node.position !== undefined) {
      const open: Condition = (before, after) => conditions.every((holds) => holds(before, after))
      ways.push({ to: node.position, open, mayEnd })
      return
    }
    if (node.dead) return
    const ends = mayEnd || ending.has(node)
    for (const { to, when } of node.arcs)
      walk(to, when === undefined ? conditions : [...conditions, when], ends)
  }
  walk(start, [], false)
  return ways
}

/** `(?=[a-z])` and the like: what is looked for, if it is one character. */
function singleCharacter({ alternatives }: AST.LookaroundAssertion): string | undefined {
  if (alternatives.length !== 1 || alternatives[0].elements.length !== 1) return undefined
  const [element] = alternatives[0].elements
  const isOne =
    element.type === 'Character' || element.type === 'CharacterSet' || element.type === 'CharacterClass'
  return isOne ? element.raw : undefined
}

function mayBeEmpty(element: AST.Element): boolean {
  if (element.type === 'Assertion') return true
  if (element.type === 'Quantifier') return element.min === 0 || mayBeEmpty(element.element)
  if (element.type === 'Group' || element.type === 'CapturingGroup')
    return element.alternatives.some(({ elements }) => elements.every(mayBeEmpty))
  return false
}

function isEndless(element: AST.Element): boolean {
  if (element.type === 'Quantifier') return element.max > WRITTEN_OUT || isEndless(element.element)
  if (element.type === 'Group' || element.type === 'CapturingGroup')
    return element.alternatives.some(({ elements }) => elements.some(isEndless))
  return element.type === 'Backreference'
}
