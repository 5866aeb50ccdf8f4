import type { RandomNumbers } from '../../../src/bits/random.ts'
import { bytesOf, Draft, EDGE, hex, type Piece, SHORT } from './draft.ts'
import { CODE_PAGES, PAGE, type Program } from './program.ts'

/** Bytes of code before and behind each border of two pages; the rest of the pages is int3. */
const ZONE = 120
const STEPS = 800

/**
 * A random program that changes itself while it runs: in every way in which bytes that were decoded can become others. It is
 * as good as the numbers it is made from.
 */
export function makeProgram(random: RandomNumbers): Program {
  const d = new Draft(random)
  for (let border = 0; border <= CODE_PAGES; border++)
    fill(d, Math.max(0, border * PAGE - ZONE), Math.min(CODE_PAGES * PAGE, border * PAGE + ZONE))
  return d.finish({ steps: STEPS, pause: () => 1 + random(d.chance(2) ? 8 : 90) })
}

/** Instructions from one offset to another; what would reach beyond the last page is left out. */
function fill(d: Draft, from: number, to: number): void {
  let at = from
  while (at < to) {
    // Up to the end of a page nothing leads away, so that what lies across it is executed.
    const isAtEdge = at % PAGE >= PAGE - EDGE
    const make = d.pick(isAtEdge ? STRAIGHT : SNIPPETS)
    for (const piece of make(d)) at = d.put(at, piece)
  }
}

type Snippet = (d: Draft) => readonly Piece[]

/** Instructions that go on with the next one. */
const STRAIGHT: readonly Snippet[] = [
  // mov of 1, 2, 4 and 8 bytes
  (d) => [[0xc6, 0x04, 0x25, 'store', ...d.newCode(1)]],
  (d) => [[0x66, 0xc7, 0x04, 0x25, 'store', ...d.newCode(2)]],
  (d) => [[0xc7, 0x04, 0x25, 'store', ...d.newCode(4)]],
  (d) => [
    [0x48, 0xb8, ...d.newCode(8)],
    [0x48, 0x89, 0x04, 0x25, 'store'],
  ],
  // mov to what follows at once
  (d) => [[0xc6, 0x05, d.random(12), 0, 0, 0, ...d.newCode(1)]],
  // inc, xchg, cmpxchg, xadd
  (d) => [[...d.pick(['fe04', '488704', 'f00fb10c', '0fc104'].map(hex)), 0x25, 'store']],
  // bts, btr and btc, whose bit is anywhere
  (d) => [
    [0xb8, d.random(256), 0, 0, 0],
    [0x0f, d.pick([0xab, 0xb3, 0xbb]), 0x04, 0x25, 'store'],
  ],
  // movups, movq, movhps
  (d) => [[...d.pick(['0f1104', '660fd604', '0f1704'].map(hex)), 0x25, 'store']],
  // movdqa, fxsave, cmpxchg16b
  (d) => [[...d.pick(['660f7f04', '0fae04', '480fc70c'].map(hex)), 0x25, 'aligned']],
  // fnstenv, fnsave, fnstcw, fstp of 8 and of 10 bytes
  (d) => [[...d.pick(['d934', 'dd34', 'd93c', 'dd1c', 'db3c'].map(hex)), 0x25, 'store']],
  // inc of a register, and what two registers do
  (d) => [[0xff, 0xc0 + d.pick(REGISTERS)]],
  (d) => [[0x48, d.pick(hex('01293111210987')), 0xc0 + d.pick(REGISTERS) * 8 + d.random(4)]],
  (d) => [[d.pick(SHORT)]],
  (d) => [[d.pick(SHORT)]],
]

const SNIPPETS: readonly Snippet[] = [
  ...STRAIGHT,
  repeated,
  repeated,
  // The stack, in data or in code: what enter, call and push store.
  (d) => [
    [0x48, 0xc7, 0xc4, 'store'],
    d.pick<Piece>([[0xc8, d.random(32), 0, d.random(4)], [0xe8, 'jump'], [0x50 + d.pick(REGISTERS)]]),
  ],
  // jmp, call, jcc
  (d) => [[d.pick([0xe9, 0xe8]), 'jump']],
  (d) => [[0x0f, 0x80 + d.random(16), 'jump']],
  // cmp or test and a jump: they are one record.
  (d) => [d.pick(['39d8', '85c9', '4839ca'].map(hex)), [0x70 + d.random(16), d.random(40)]],
  // jmp and call through a register
  (d) => [
    [0xb8, 'target'],
    [0xff, d.pick([0xe0, 0xd0])],
  ],
  // ret, loop, jmp
  (d) => [d.pick([[0xc3], [0xe2, 0x100 - d.random(30)], [0xeb, d.random(30)]])],
  // A system call.
  (d) => [[0xb8, d.random(16), 0, 0, 0], hex('0f05')],
  // cpuid, rdtsc, pushf, popf, hlt, ud2, int3, leave
  (d) => [d.pick(['0fa2', '0f31', '9c', '9d', 'f4', '0f0b', 'cc', 'c9'].map(hex))],
  // Anything.
  (d) => [Array.from({ length: 1 + d.random(3) }, () => d.random(256))],
]

/** Registers that nothing depends on: eax, ecx, edx, ebx and ebp. */
const REGISTERS = [0, 1, 2, 3, 5]

/** String instructions over code, forward and backward, with few elements or many. */
function repeated(d: Draft): Piece[] {
  const count = d.chance(4) ? d.random(2) * 2 ** 31 : d.random(d.chance(3) ? 5000 : 20)
  const isBackward = d.chance(4)
  return [
    [0x48, 0xc7, 0xc7, 'store'],
    [0x48, 0xc7, 0xc6, 'store'],
    [0xb9, ...bytesOf(count, 4)],
    [0xb8, ...d.newCode(4)],
    ...(isBackward ? [[0xfd]] : []),
    [
      ...(d.chance(5) ? [] : [0xf3]),
      ...(d.chance(2) ? [0x48] : []),
      d.pick([0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xaf, 0xac]),
    ],
    ...(isBackward ? [[0xfc]] : []),
  ]
}
