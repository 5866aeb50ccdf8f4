import { createHash } from 'node:crypto'
import { PAGE } from '../../src/bits/address.ts'
import { A, D, HI_NX, P, RW, US } from '../../src/bits/pte.ts'
import { Cpu } from '../../src/cpu/cpu.ts'
import { FIELD } from '../../src/cpu/state.ts'
import { Memory } from '../../src/machine/memory.ts'
import { Random } from '../../test/tools/random.ts'

/**
 * Code that nobody wrote: pages of random bytes, run until they fault, again and again from other places. The core must come
 * back from everything, and no byte may change that the tables do not map writable.
 */

/** Where the pages lie; in the first megabyte of addresses, so that 16-bit displacements meet them, too. */
const BASE = 0x40_0000
/** Frames: the tables, pages of the kinds below, and pages that nothing maps. */
const L4 = 1
const L3 = 2
const L2 = 3
const L1 = 4
const FIRST = 16
const KINDS = [
  { name: 'code', pages: 32, flags: P | RW | US | A | D, high: 0 },
  { name: 'data', pages: 16, flags: P | RW | US, high: HI_NX },
  { name: 'constants', pages: 8, flags: P | US, high: 0 },
  { name: 'system', pages: 8, flags: P | RW, high: 0 },
  { name: 'unmapped', pages: 32, flags: 0, high: 0 },
] as const
const PAGES = KINDS.reduce((sum, { pages }) => sum + pages, 0)
/** Frames behind those: never mapped, never given bytes. */
const END = FIRST + PAGES + 64
/** Instructions of one run; random code seldom comes so far. */
const BUDGET = 20_000
/** Runs between two looks at the memory that must not change. */
const LOOK_EVERY = 100_000

export type RandomBytesResult = {
  readonly instructions: number
  readonly exceptions: number
  readonly seconds: number
}

/**
 * Execute random bytes. Throws when the core does, when memory changes that no entry maps writable, or when a run comes back
 * without having got anywhere.
 *
 * @param instructions how many to execute in all
 */
export function runRandomBytes(
  seed: number,
  instructions: number,
  report: (line: string) => void = () => {},
): RandomBytesResult {
  const random = new Random(seed, 'random bytes')
  const { memory, cpu } = buildMachine(random)
  const before = protectedState(memory)
  const start = performance.now()
  let exceptions = 0
  let runs = 0
  while (cpu.instructions < instructions) {
    runs++
    shuffle(cpu, random)
    const exit = cpu.run(BUDGET)
    if (exit.reason !== 'budget') exceptions++
    // New bytes now and then: what executes also stores, and would wear the randomness out.
    if (runs % 256 === 0) scramble(cpu, memory, random)
    if (runs % LOOK_EVERY === 0) {
      look(memory, before)
      report(`${Math.round(cpu.instructions / 1e6)} million random instructions in ${runs} runs`)
    }
  }
  look(memory, before)
  return { instructions: cpu.instructions, exceptions, seconds: (performance.now() - start) / 1000 }
}

function buildMachine(random: Random): { memory: Memory; cpu: Cpu } {
  const memory = new Memory(2 ** 25)
  memory.reset([{ start: 0, end: END }], () => {})
  const entry = (table: number, slot: number, low: number, high = 0) => {
    const at = memory.frameWords(table) + 2 * slot
    memory.u32[at] = low
    memory.u32[at + 1] = high
  }
  entry(L4, 0, L3 * PAGE + (P | RW | US | A))
  entry(L3, 0, L2 * PAGE + (P | RW | US | A))
  entry(L2, BASE >>> 21, L1 * PAGE + (P | RW | US | A))
  let frame = FIRST
  for (const { pages, flags, high } of KINDS) {
    for (let i = 0; i < pages; i++, frame++) {
      if (flags !== 0) entry(L1, frame - FIRST, frame * PAGE + flags, high)
      fill(memory, frame, random)
    }
  }
  const cpu = new Cpu(memory)
  cpu.root = L4
  return { memory, cpu }
}

function fill(memory: Memory, frame: number, random: Random): void {
  const words = memory.frameWords(frame)
  for (let i = 0; i < PAGE / 4; i++) memory.u32[words + i] = random.bits()
}

/** Fresh bytes in one page of code. */
function scramble(cpu: Cpu, memory: Memory, random: Random): void {
  const frame = FIRST + random.between(0, KINDS[0].pages)
  fill(memory, frame, random)
  cpu.codeWritten(memory.frameWords(frame) / (PAGE / 4))
}

/** Start somewhere in the code, with registers of which most point to one of the pages. */
function shuffle(cpu: Cpu, random: Random): void {
  for (let n = 0; n < 16; n++) {
    if (random.once(3)) cpu.setRegister(n, random.bits(), random.once(2) ? 0 : random.bits())
    else cpu.setRegister(n, BASE + random.between(0, PAGES * PAGE), 0)
  }
  cpu.setFlags(random.bits() & 0x8d5)
  cpu.setBase(FIELD.fsBase, BASE, 0)
  cpu.setBase(FIELD.gsBase, random.bits(), random.bits())
  cpu.setRip(BASE + random.between(0, KINDS[0].pages * PAGE), 0)
}

/** All that guest code may not change: tables but for accessed and dirty bits, pages that it may not write, and the rest. */
function protectedState(memory: Memory): string {
  const hash = createHash('sha256')
  for (const table of [L4, L3, L2, L1]) {
    const words = memory.frameWords(table)
    const entries = memory.u32.slice(words, words + 1024)
    for (let i = 0; i < 1024; i += 2) entries[i] &= ~(A | D)
    hash.update(entries)
  }
  let frame = FIRST
  for (const { name, pages } of KINDS) {
    for (let i = 0; i < pages; i++, frame++) {
      if (name === 'code' || name === 'data') continue
      const words = memory.frameWords(frame)
      hash.update(memory.u32.slice(words, words + 1024))
    }
  }
  for (; frame < END; frame++) if (memory.isTouched(frame)) hash.update(`frame ${frame}`)
  return hash.digest('hex')
}

function look(memory: Memory, before: string): void {
  if (protectedState(memory) !== before) throw new Error('random code changed memory that it may not write')
}
