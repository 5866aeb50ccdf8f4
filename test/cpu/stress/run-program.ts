import { P, US } from '../../../src/bits/pte.ts'
import type { RandomNumbers } from '../../../src/bits/random.ts'
import type { CoreOptions, Cpu, Exit } from '../../../src/cpu/cpu.ts'
import { LEAST_CODE_BYTES } from '../../../src/cpu/interpreter/code-cache.ts'
import type { FaultingStore } from '../../../src/machine/host.ts'
import { SmallMachine } from '../small-machine.ts'
import { afterInvalidations, brokenInvariants } from './check-cache.ts'
import {
  CODE_PAGES,
  DATA_PAGES,
  type Deed,
  PAGE,
  PLACE,
  type Program,
  TABLE_CODE_ENTRIES,
  TABLE_CODE_SLOT,
} from './program.ts'

/**
 * Run a program in several manners, with everything looked at that makes a core forget decoded instructions: what is wrong, or
 * null. The machine that it is compared with interprets every instruction, and decodes it anew.
 *
 * @param core how the others execute it
 */
export function stressProgram(
  program: Program,
  random: RandomNumbers,
  core: CoreOptions = {},
): string | null {
  const expected = runProgram(program, REFERENCE)
  const most = [1, 2, 3, 8, 50, 100_000]
  const size = (): number => [LEAST_CODE_BYTES, 2 * LEAST_CODE_BYTES, 2 ** 18][random(3)]
  const slices = most[random(most.length)]
  const manners: readonly Manner[] = [
    { budget: () => 1 + random(slices), codeBytes: size() },
    { budget: () => 1 + random(random(4) === 0 ? 60 : 4), codeBytes: size(), isChecked: true },
    { budget: () => 100_000, codeBytes: size() },
  ]
  for (const [i, manner] of manners.entries()) {
    const wrong = difference(expected, runProgram(program, { ...manner, core }))
    if (wrong !== null) return `manner ${i} of ${slices}, ${manner.codeBytes} bytes: ${wrong}`
  }
  return null
}

/** A machine, and where it is to stop. */
type Machine = SmallMachine & { stops: number[] }

/** How a program is run. */
export type Manner = {
  /** Instructions of the next slice. */
  readonly budget: () => number
  /** Bytes for decoded instructions. */
  readonly codeBytes?: number
  /** How the core executes it. */
  readonly core?: CoreOptions
  /** Forget everything that is decoded before each slice. */
  readonly forgets?: boolean
  /** Forget every translation before each slice. */
  readonly flushes?: boolean
  /** Throw where what must always hold of decoded instructions does not; see check-cache.ts. */
  readonly isChecked?: boolean
}

/** What a run came to. Two runs of a program are equal in all of it, whatever their manner. */
export type Outcome = {
  /** Whatever ended a slice but its budget, a line each. */
  readonly exits: readonly string[]
  readonly instructions: number
  readonly registers: readonly number[]
  /** The bytes of the pages of code and of data, and of the page tables. */
  readonly memory: Uint8Array
}

/** Nothing that was decoded is ever used again. */
const REFERENCE: Manner = { budget: () => 1, core: { tier: 'interpreter' }, forgets: true }

const [RAX, RSP] = [0, 4]
const TF = 0x100
/** dr7: nothing; dr0 at instructions and dr1 at stores of four bytes. */
const [DR7_NONE, DR7_BOTH] = [0x400, 0x400 | 2 | 8 | (0xd << 20)]
/** The page table of all code, as a page of the small machine. */
const TABLE = -4
const FIRST_DATA_PAGE = 8
/** The pages that are looked at: the page table, code, data. */
const PAGES = [
  TABLE,
  ...Array.from({ length: CODE_PAGES }, (_, n) => n),
  ...Array.from({ length: DATA_PAGES }, (_, n) => FIRST_DATA_PAGE + n),
]

/** Run a program to its end. */
export function runProgram(program: Program, manner: Manner): Outcome {
  const run = new ProgramRun(program, manner)
  while (!run.isOver) run.slice(manner.budget())
  return outcomeOf(run)
}

/** A program while it runs. */
export class ProgramRun {
  readonly machine: Machine
  /** Whatever ended a slice but its budget, a line each. */
  readonly exits: string[] = []
  /** Where the pages lie that are looked at: to ask for one by its number is to touch it, and forgets what is decoded. */
  readonly pages: readonly number[]
  private readonly program: Program
  private readonly manner: Omit<Manner, 'budget'>
  /** Instructions and exceptions so far. */
  clock = 0
  private event = 0
  private due: number

  constructor(program: Program, manner: Omit<Manner, 'budget'>) {
    const { codeBytes, core, isChecked } = manner
    const m = new SmallMachine({ ...core, ...(codeBytes === undefined ? {} : { codeBytes }) })
    this.machine = Object.assign(m, { stops: [] as number[] })
    this.program = program
    this.manner = manner
    this.due = program.events[0].after
    const { cpu } = m
    setUp(m, program)
    this.pages = PAGES.map((n) => m.byteOf(n))
    if (isChecked !== true) return
    afterInvalidations(cpu, () => {
      const [wrong] = brokenInvariants(cpu)
      if (wrong !== undefined) throw new Error(`after ${cpu.instructions} instructions: ${wrong}`)
    })
  }

  get isOver(): boolean {
    return this.clock >= this.program.steps
  }

  /** Execute so many instructions, or up to what somebody else does before; then whatever is not the core's own. */
  slice(budget: number): void {
    const { machine, program, manner } = this
    const { cpu } = machine
    const most = Math.max(1, Math.min(budget, this.due - this.clock, program.steps - this.clock))
    const before = cpu.instructions
    // What stops at other places has nothing decoded, and no translation.
    if (manner.forgets === true) cpu.setBreakpoints(machine.stops)
    if (manner.flushes === true) cpu.tlb.flush()
    const exit = cpu.run(most)
    const done = cpu.instructions - before
    this.clock += done
    if (exit.reason !== 'budget' && !isEarly(exit, done === most)) {
      this.clock++
      this.exits.push(`${this.clock} ${cpu.ripLow.toString(16)} ${inWords(exit)}`)
      carryOut(machine, program, exit, this.exits.length)
    }
    if (this.clock < this.due) return
    perform(machine, program.events[this.event].deed)
    this.event = (this.event + 1) % program.events.length
    this.due = this.clock + program.events[this.event].after
  }
}

/**
 * A jump at the end of a slice may have its target looked up, which faults, or not yet. The fault is that of the next
 * instruction, and comes again.
 */
function isEarly(exit: Exit, isWhole: boolean): boolean {
  return isWhole && exit.reason === 'exception' && exit.vector !== 1 && exit.vector !== 3
}

function inWords(exit: Exit): string {
  if (exit.reason === 'exception') return `exception ${exit.vector} ${exit.error} ${exit.va.toString(16)}`
  return exit.reason === 'privileged' || exit.reason === 'segment' ? exit.instruction.name : exit.reason
}

function setUp(m: SmallMachine, program: Program): void {
  const { cpu, memory } = m
  for (let n = 0; n < CODE_PAGES; n++)
    memory.u8.set(program.code.subarray(n * PAGE, (n + 1) * PAGE), m.byteOf(n))
  m.map(PLACE.code + CODE_PAGES * PAGE, 1)
  for (const [slot, page] of program.aliases.entries()) m.map(PLACE.alias + slot * PAGE, page)
  for (let n = 0; n < CODE_PAGES; n++) m.map(PLACE.readOnly + n * PAGE, n, P | US)
  m.map(PLACE.table, TABLE, P | US)
  // Entries that are not present hold code: it begins with a byte whose lowest bit is 0, and ends in the pages of code.
  for (let i = 0; i < TABLE_CODE_ENTRIES; i++) {
    const at = TABLE_CODE_SLOT * 8 + i * 8
    const isLast = i % 4 === 3
    const distance = program.entry - (PLACE.table + at + 6)
    const jump = [
      0xe9,
      distance & 0xff,
      (distance >> 8) & 0xff,
      (distance >> 16) & 0xff,
      (distance >> 24) & 0xff,
    ]
    memory.u8.set(
      isLast ? [0x90, ...jump, 0x90, 0x90] : [0x90, 0xff, 0xc0, 0x90, 0xf8, 0x48, 0xff, 0xc3],
      m.byteOf(TABLE, at),
    )
  }
  for (let n = 4; n < 8; n++) m.map(PLACE.code + (n + 1) * PAGE, 0, null)
  for (let n = DATA_PAGES; n < 8; n++) m.map(PLACE.data + n * PAGE, 0, null)
  for (let n = 0; n < DATA_PAGES; n++)
    memory.u8.set(program.data.subarray(n * PAGE, (n + 1) * PAGE), m.byteOf(FIRST_DATA_PAGE + n))
  cpu.port.onPageFault = (va, _error, store) => pageFault(m, va, store)
  for (let n = 0; n < 16; n++) cpu.setRegister(n, n * 3, 0)
  cpu.setRegister(RSP, PLACE.data + 0x800, 0)
  cpu.setRip(program.entry, 0)
}

/** Lazy pages come when they are touched; stores to read-only ones are carried out, as Xen does for page tables. */
function pageFault(
  m: SmallMachine,
  va: number,
  store: FaultingStore | undefined,
): 'retry' | 'emulated' | 'deliver' {
  const page = Math.floor((va - PLACE.lazy) / PAGE)
  if (page >= 0 && page < CODE_PAGES && m.memory.u32[m.entryAt(va)] === 0) {
    m.map(va - (va % PAGE), page)
    return 'retry'
  }
  const offset = va - PLACE.readOnly
  if (store === undefined || offset < 0 || offset >= CODE_PAGES * PAGE || store.bytes > 8) return 'deliver'
  if ((offset % PAGE) + store.bytes > PAGE) return 'deliver'
  const at = m.byteOf(offset >> 12, offset % PAGE)
  const value = [store.lo, store.hi]
  const expected = store.expected === undefined ? null : [store.expected.lo, store.expected.hi]
  const byte = (words: readonly number[], i: number): number => (words[i >> 2] >>> (8 * (i & 3))) & 0xff
  for (let i = 0; i < store.bytes; i++) {
    if (expected !== null && m.memory.u8[at + i] !== byte(expected, i)) return 'emulated'
  }
  for (let i = 0; i < store.bytes; i++) m.memory.u8[at + i] = byte(value, i)
  return 'emulated'
}

/** What the core has not done itself. */
function carryOut(m: Machine, program: Program, exit: Exit, count: number): void {
  const { cpu } = m
  if (exit.reason === 'breakpoint' || exit.reason === 'watchpoint') return
  if (exit.reason === 'syscall') {
    perform(m, program.calls[cpu.register(RAX) % program.calls.length])
    return
  }
  // Without the single steps that some of what is popped asks for.
  if (exit.reason === 'exception' && exit.vector === 1) {
    cpu.setFlags(cpu.getFlags() & ~TF)
    return
  }
  const to = program.handlers[count % program.handlers.length]
  cpu.setRip(to, 0)
  cpu.setRegister(RSP, PLACE.data + 0x800, 0)
}

function perform(m: Machine, deed: Deed): void {
  const { cpu, memory } = m
  switch (deed.kind) {
    case 'store':
      for (const [i, byte] of deed.bytes.entries()) {
        const at = deed.page * PAGE + deed.offset + i
        memory.u8[m.byteOf((at >> 12) % CODE_PAGES, at & (PAGE - 1))] = byte
      }
      return
    case 'look':
      m.byteOf(deed.page)
      return
    case 'map':
      m.map(PLACE.alias + deed.slot * PAGE, deed.page)
      cpu.tlb.flushPage(PLACE.alias + deed.slot * PAGE, 0)
      return
    case 'unmap lazy':
      for (let n = 0; n < CODE_PAGES; n++) m.map(PLACE.lazy + n * PAGE, 0, null)
      cpu.tlb.flush()
      return
    case 'flush':
      cpu.tlb.flush()
      return
    case 'clear':
      memory.clearFrame(m.frameOf(deed.page))
      return
    case 'breakpoints':
      m.stops = deed.offsets.map((offset) => PLACE.code + offset)
      cpu.setBreakpoints(m.stops)
      return
    case 'watchpoints':
      cpu.setWatchpoints(deed.addresses.map((va, i) => ({ va, bytes: 4, read: i % 2 === 0, write: true })))
      return
    case 'debug':
      for (const [n, va] of (deed.at ?? []).entries()) cpu.setDebugRegister(n, va, 0)
      cpu.setDebugRegister(7, deed.at === null ? DR7_NONE : DR7_BOTH, 0)
      return
    case 'step':
      cpu.setFlags(cpu.getFlags() | TF)
  }
}

/** What a run has come to so far. */
export function outcomeOf({ machine, exits, pages }: ProgramRun): Outcome {
  const { cpu, memory } = machine
  const bytes = new Uint8Array(pages.length * PAGE)
  for (const [i, at] of pages.entries()) bytes.set(memory.u8.subarray(at, at + PAGE), i * PAGE)
  return { exits, instructions: cpu.instructions, registers: registersOf(cpu), memory: bytes }
}

function registersOf(cpu: Cpu): number[] {
  const general = cpu.words.subarray(cpu.state >> 2, (cpu.state >> 2) + 32)
  const vectors = Array.from({ length: 16 }, (_, n) => [...cpu.xmm(n)]).flat()
  return [...general, ...vectors, cpu.ripLow, cpu.ripHigh, cpu.getFlags()]
}

/** The first thing in which two outcomes differ, or null. */
export function difference(expected: Outcome, found: Outcome): string | null {
  for (const [i, exit] of expected.exits.entries()) {
    if (found.exits[i] !== exit) return `exit ${i} is ${found.exits[i] ?? 'none'} instead of ${exit}`
  }
  if (found.exits.length > expected.exits.length) return `exit ${found.exits[expected.exits.length]} more`
  if (found.instructions !== expected.instructions)
    return `${found.instructions} instructions instead of ${expected.instructions}`
  const register = expected.registers.findIndex((value, i) => found.registers[i] !== value)
  if (register !== -1)
    return `register word ${register} is ${found.registers[register]} instead of ${expected.registers[register]}`
  const byte = expected.memory.findIndex((value, i) => found.memory[i] !== value)
  return byte === -1 ? null : `byte ${(byte % PAGE).toString(16)} of page ${byte >> 12} differs`
}
