import type { Random } from '../../tools/random.ts'
import type { CpuCase } from '../case.ts'
import { Draft, RAX, RCX } from './draft.ts'
import { forms } from './notation.ts'

/**
 * Code that stores to itself: an instruction behind the store, or the one at the head of a loop that has run before. What it
 * stored is what runs next, whatever was decoded, and whichever page it is on.
 */
const [FORM] = forms('90 : self-modifying')

/** One byte each, and without memory: cmc, clc, stc, cbw, cwd, lahf, sahf, nop, and exchanges with eax. */
const SHORT = [0xf5, 0xf8, 0xf9, 0x98, 0x99, 0x9f, 0x9e, 0x90, 0x92, 0x93, 0x95, 0x96]
/** Those that change neither rax nor rcx: cmc, clc, stc, nop, cld. */
const HARMLESS = [0xf5, 0xf8, 0xf9, 0x90, 0xfc]
/** Of the store below. */
const STORE_BYTES = 7

export function selfModifyingCase(random: Random): CpuCase {
  const draft = new Draft(FORM, random, false)
  const code = random.once(2) ? storeAhead(draft) : storeBehind(draft)
  return draft.finish(Uint8Array.from(code))
}

/** mov [rip + distance], rax or a part of it: seven bytes. */
function store(bytes: number, distance: number): number[] {
  const opcode = { 1: [0x40, 0x88], 2: [0x66, 0x89], 4: [0x40, 0x89], 8: [0x48, 0x89] }[bytes] as number[]
  return [...opcode, 0x05, ...[0, 8, 16, 24].map((shift) => (distance >> shift) & 0xff)]
}

function shortCode(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.pick(SHORT))
}

/** rax holds code to store. */
function pinCode(draft: Draft, bytes: readonly number[]): void {
  const word = (at: number) => [0, 1, 2, 3].reduce((sum, i) => sum | ((bytes[at + i] ?? 0x90) << (8 * i)), 0)
  draft.pin(RAX, word(0) >>> 0, word(4) >>> 0)
}

/** The store's very next instructions are what it stores to; some of them are its immediate operands. */
function storeAhead(draft: Draft): number[] {
  const { random } = draft
  const bytes = random.pick([1, 2, 4, 8])
  // What stands before the store must leave rax alone.
  const before = Array.from({ length: random.between(0, 4) }, () => random.pick(HARMLESS))
  const behind = random.once(2)
    ? shortCode(random, 12)
    : [0xb9, ...shortCode(random, 4), 0x48, 0xba, ...shortCode(random, 8)]
  pinCode(draft, shortCode(random, 8))
  return [...before, ...store(bytes, random.between(0, 13 - bytes)), ...behind]
}

/** A loop of two or three rounds: what it begins with is another instruction the second time. */
function storeBehind(draft: Draft): number[] {
  const { random } = draft
  const bytes = random.pick([1, 2, 4])
  const head = Array.from({ length: 4 }, () => random.pick(HARMLESS))
  pinCode(
    draft,
    Array.from({ length: 8 }, () => random.pick(HARMLESS)),
  )
  draft.pin(RCX, random.between(1, 4), 0)
  const at = random.between(0, 5 - bytes)
  const body = [...head, ...store(bytes, at - head.length - STORE_BYTES)]
  return [...body, 0xe2, (-body.length - 2) & 0xff]
}
