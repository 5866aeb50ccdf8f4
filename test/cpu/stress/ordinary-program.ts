import type { RandomNumbers } from '../../../src/bits/random.ts'
import { bytesOf, Draft, lengthOf, type Piece } from './draft.ts'
import { instructions, withoutFlags } from './instructions.ts'
import { COUNTERS, dataOffset, FREE, SET_POINTER } from './operands.ts'
import { CODE_PAGES, DATA_PAGES, type Deed, PAGE, PLACE, type Program } from './program.ts'

/**
 * Random programs as compilers write them: functions with loops and conditions, one in another, that call each other, over
 * data that lies across pages, and now and then what no compiler writes: faults, stores to their own code, jumps into the
 * middle of something.
 */

const STEPS = 6000
/** Bytes that a function may have, and what it has room for behind. */
const LEAST_GAP = 16

/** A program as good as the numbers it is made from. */
export function makeOrdinaryProgram(random: RandomNumbers): Program {
  const d = new Draft(random)
  // Half of them run undisturbed for long enough to be hot.
  const most = d.pick([60, 400, 3000, 3000])
  layOut(d)
  const data = Uint8Array.from({ length: DATA_PAGES * PAGE }, () => (d.chance(3) ? random(256) : 0))
  return d.finish({
    steps: STEPS,
    data,
    entry: d.functions[0],
    pause: () => 1 + random(most),
    deed: () => (d.chance(3) ? deedOfOwner(d) : d.deed()),
  })
}

/** Functions one behind the other, often such that one lies across two pages. */
function layOut(d: Draft): void {
  let at = d.chance(2) ? d.random(64) : PAGE - d.random(400)
  for (let n = 0; at < CODE_PAGES * PAGE - LEAST_GAP && n < 12; n++) {
    d.functions.push(at)
    for (const piece of n === 0 ? main(d) : ordinaryFunction(d)) at = d.put(at, piece)
    at += d.chance(2) ? d.random(40) : Math.max(0, PAGE - (at % PAGE) - d.random(200))
  }
}

/** It goes on for ever. */
function main(d: Draft): Piece[] {
  const body = [SET_POINTER, ...statements(d, 6 + d.random(10), 0)]
  return [...body, [0xe9, ...bytesOf(-lengthOfAll(body) - 5, 4)]]
}

function ordinaryFunction(d: Draft): Piece[] {
  const saved = d.chance(10) ? [] : COUNTERS
  return [
    ...saved.map((n): Piece => [0x41, 0x50 + (n & 7)]),
    SET_POINTER,
    ...statements(d, 2 + d.random(5), 0),
    ...saved.toReversed().map((n): Piece => [0x41, 0x58 + (n & 7)]),
    d.chance(10) ? [0xc2, 8, 0] : [0xc3],
  ]
}

function lengthOfAll(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + lengthOf(piece), 0)
}

type Statement = (d: Draft, depth: number) => Piece[]

/** @param depth of the loops and conditions around it */
function statements(d: Draft, count: number, depth: number): Piece[] {
  const kinds = depth < COUNTERS.length ? STATEMENTS : FLAT
  return Array.from({ length: count }, () => d.pick(kinds)(d, depth)).flat()
}

function straight(d: Draft): Piece[] {
  return instructions(d, 1 + d.random(8))
}

/** A loop that counts down, or up to a limit, or by `loop`. */
function counted(d: Draft, depth: number): Piece[] {
  const n = COUNTERS[depth] & 7
  const times = 1 + d.random(d.chance(6) ? 60 : depth === 0 ? 12 : 4)
  const body = statements(d, 1 + d.random(3), depth + 1)
  const start: Piece = [0x41, 0xb8 + n, ...bytesOf(d.chance(2) ? times : 0, 4)]
  const isUp = start[2] === 0 && start[3] === 0
  // sub or dec, or add and cmp, sometimes with something between that leaves the flags alone
  const step: Piece[] = isUp
    ? [
        [0x49, 0x83, 0xc0 + n, 1],
        [0x49, 0x81, 0xf8 + n, ...bytesOf(times, 4)],
      ]
    : [d.chance(2) ? [0x41, 0xff, 0xc8 + n] : [0x49, 0x83, 0xe8 + n, 1]]
  const between = d.chance(6) ? withoutFlags(d, 1) : []
  const whole = [...body, ...step, ...between]
  return [start, ...whole, [0x0f, isUp ? 0x82 : 0x85, ...bytesOf(-lengthOfAll(whole) - 6, 4)]]
}

/** A loop of at most so many rounds that ends by what it finds. */
function searching(d: Draft, depth: number): Piece[] {
  const body = [...statements(d, 1 + d.random(2), depth + 1), ...comparison(d)]
  const out: Piece = [0x0f, 0x80 + d.random(16), ...bytesOf(0, 4)]
  const n = COUNTERS[depth] & 7
  const step: Piece = [0x41, 0xff, 0xc8 + n]
  const back = -lengthOfAll(body) - lengthOf(out) - lengthOf(step) - 6
  const jump: Piece = [0x0f, 0x85, ...bytesOf(back, 4)]
  const leave: Piece = [...out.slice(0, 2), ...bytesOf(lengthOf(step) + lengthOf(jump), 4)]
  return [[0x41, 0xb8 + n, ...bytesOf(1 + d.random(d.chance(4) ? 40 : 5), 4)], ...body, leave, step, jump]
}

/** What sets flags, and often something behind it that does not. */
function comparison(d: Draft): Piece[] {
  const [a, b] = [d.pick(FREE), d.pick(FREE)]
  const rex = 0x40 | (d.chance(2) ? 8 : 0) | ((b >> 3) << 2) | (a >> 3)
  const setter = d.pick<() => Piece[]>([
    () => [[rex, 0x39, 0xc0 + (b & 7) * 8 + (a & 7)]],
    () => [[rex, 0x85, 0xc0 + (a & 7) * 9]],
    () => [[rex & ~4, 0x83, 0xf8 + (a & 7), d.random(256)]],
    () => [[0x66, 0x39, 0xc0 + (b & 7) * 8 + (a & 7)]],
    () => [[0x38, 0xc0 + (b & 7) * 8 + (a & 7)]],
    () => instructions(d, 1),
  ])()
  return [...setter, ...(d.chance(2) ? withoutFlags(d, 1 + d.random(3)) : [])]
}

/** A condition, with or without another branch. */
function conditional(d: Draft, depth: number): Piece[] {
  const then = statements(d, 1 + d.random(2), depth + 1)
  const otherwise = d.chance(2) ? statements(d, 1, depth + 1) : []
  const over: Piece[] = otherwise.length === 0 ? [] : [[0xe9, ...bytesOf(lengthOfAll(otherwise), 4)]]
  const skipped = lengthOfAll(then) + lengthOfAll(over)
  const condition = d.random(16)
  const isShort = skipped < 128 && d.chance(2)
  const jump: Piece = isShort ? [0x70 + condition, skipped] : [0x0f, 0x80 + condition, ...bytesOf(skipped, 4)]
  return [...comparison(d), jump, ...then, ...over, ...otherwise]
}

/** A call, of a function or of what is written just behind it. */
function calling(d: Draft): Piece[] {
  if (!d.chance(8)) return [[0xe8, 'call']]
  const body = [...instructions(d, 1 + d.random(4)), [0xc3]]
  return [[0xe8, ...bytesOf(5, 4)], [0xe9, ...bytesOf(lengthOfAll(body), 4)], ...body]
}

/** A jump or a call by a register, or by a word of a table; a jump into the middle of something. */
function elsewhere(d: Draft): Piece[] {
  return d.pick<() => Piece[]>([
    () => [
      [0xb8, 'target'],
      [0xff, d.pick([0xe0, 0xd0])],
    ],
    () => [[0xb9, 'target'], [0x51], [0xc3]],
    () => [
      [0x48, 0xc7, 0x04, 0x25, ...bytesOf(PLACE.data + 0x1800, 4), 'target'],
      [0xff, d.pick([0x14, 0x24]), 0x25, ...bytesOf(PLACE.data + 0x1800, 4)],
    ],
    () => [[0x0f, 0x80 + d.random(16), 'jump']],
    () => [[d.pick([0xe3, 0xe2, 0xe1, 0xe0]), d.random(12)], ...instructions(d, 2)],
  ])()
}

/** A string instruction over the data, of any count that stays there, mostly; some over code. */
function string(d: Draft): Piece[] {
  const wide = d.random(4)
  const count = d.chance(3) ? d.random(5) : d.random(0x600 >> wide)
  const isBackward = d.chance(5)
  const at = (): Piece => (d.chance(12) ? ['store'] : bytesOf(PLACE.data + dataOffset(d), 4))
  const opcode = d.pick([0xa4, 0xa4, 0xaa, 0xaa, 0xa6, 0xae, 0xac])
  return [
    [0xbf, ...at()],
    [0xbe, ...at()],
    [0xb9, ...bytesOf(count, 4)],
    ...(isBackward ? [[0xfd]] : []),
    [
      ...(wide === 1 ? [0x66] : []),
      ...(d.chance(6) ? [] : [d.pick([0xf3, 0xf3, 0xf2])]),
      ...(wide === 3 ? [0x48] : []),
      opcode + (wide === 0 ? 0 : 1),
    ],
    ...(isBackward ? [[0xfc]] : []),
  ]
}

/** A store to code: of bytes that are code again, or of those that are there already. */
function patch(d: Draft): Piece[] {
  return d.pick<() => Piece[]>([
    () => [[0xc6, 0x04, 0x25, 'store', ...d.newCode(1)]],
    () => [[0xc7, 0x04, 0x25, 'store', ...d.newCode(4)]],
    () => [
      [0xb8, 'store'],
      [0x8a, 0x08],
      [0x88, 0x08],
    ],
    () => [
      [0xb8, 'store'],
      [0x48, 0x8b, 0x08],
      [0x48, 0x89, 0x08],
    ],
  ])()
}

/** What Xen, or an assist, has to do. */
function rare(d: Draft): Piece[] {
  return d.pick<() => Piece[]>([
    () => [
      [0xb8, ...bytesOf(d.random(16), 4)],
      [0x0f, 0x05],
    ],
    () => [[0x0f, 0xa2]],
    () => [[0x0f, 0x31]],
    () => [[d.pick([0xf4, 0xcc, 0xfa])]],
    () => [[0x0f, 0x0b]],
    () => [
      [0xb8, ...bytesOf(d.random(2 ** 32), 4)],
      [0x8b, 0x00],
    ],
    () => [[0xc8, d.random(32), 0, d.random(3)], [0xc9]],
  ])()
}

const FLAT: readonly Statement[] = [
  ...[straight, straight, straight, straight, straight, straight],
  ...[calling, string, elsewhere],
  (d) => (d.chance(3) ? patch(d) : rare(d)),
]
const STATEMENTS: readonly Statement[] = [
  ...FLAT,
  ...[counted, counted, counted, searching, conditional, conditional, conditional],
]

/** What only those who look at a guest do. */
function deedOfOwner(d: Draft): Deed {
  if (d.chance(3)) return { kind: 'step' }
  if (d.chance(4)) {
    const data = PLACE.data + dataOffset(d, 4)
    return { kind: 'debug', at: d.chance(2) ? null : [PLACE.code + d.place(), data] }
  }
  const addresses = d.chance(2) ? [] : [PLACE.data + dataOffset(d), PLACE.code + d.place()]
  return { kind: 'watchpoints', addresses }
}
