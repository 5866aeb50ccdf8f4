import { vaOf } from '../../src/bits/address.ts'
import { A, D, HI_NX, P, RW, US } from '../../src/bits/pte.ts'
import { Cpu, type CpuOptions, type Exit } from '../../src/cpu/cpu.ts'
import { MACHINE_BYTES, Memory } from '../../src/machine/memory.ts'

/** The addresses of a small machine: pages of code, of data, and holes behind both. */
export const CODE = 0x1000_0000
export const DATA = 0x1020_0000
const PAGE = 4096
const [L4, L3, L2, CODE_L1, DATA_L1, FIRST] = [1, 2, 3, 4, 5, 8]
const PAGES = 8

export const [RAX, RCX, RDX, RBX, RSP, RSI, RDI] = [0, 1, 2, 3, 4, 6, 7]

/** A core with eight pages of code and eight of data behind which nothing is mapped. */
export class SmallMachine {
  readonly memory: Memory
  readonly cpu: Cpu
  /** Whether what is about to be run is compiled first. */
  compiles = false

  /** @param taken pages of the machine's memory that have been given out before, to somebody else */
  constructor(options: CpuOptions = {}, taken = 0) {
    this.memory = new Memory(taken === 0 ? 2 ** 24 : MACHINE_BYTES)
    this.memory.reset([{ start: 0, end: 64 }], () => {})
    if (taken > 0) this.memory.takePages(taken)
    this.entry(L4, 0, L3, P | RW | US)
    this.entry(L3, 0, L2, P | RW | US)
    this.entry(L2, CODE >>> 21, CODE_L1, P | RW | US)
    this.entry(L2, DATA >>> 21, DATA_L1, P | RW | US)
    for (let i = 0; i < PAGES; i++) {
      this.map(CODE + i * PAGE, i)
      this.map(DATA + i * PAGE, PAGES + i)
    }
    this.cpu = new Cpu(this.memory, options)
    this.cpu.root = L4
  }

  private entry(table: number, slot: number, frame: number, flags: number, high = 0): void {
    const at = this.memory.frameWords(table) + slot * 2
    this.memory.u32[at] = frame * PAGE + flags
    this.memory.u32[at + 1] = high
  }

  /** Word index of the L1 entry of an address. */
  entryAt(va: number): number {
    return this.memory.frameWords(va < DATA ? CODE_L1 : DATA_L1) + ((va >>> 12) & 511) * 2
  }

  /** Map page `n` of the sixteen at an address; null flags unmap it. */
  map(va: number, n: number, flags: number | null = P | RW | US | A | D, noExecute = false): void {
    const at = this.entryAt(va)
    this.memory.u32[at] = flags === null ? 0 : (FIRST + n) * PAGE + flags
    this.memory.u32[at + 1] = noExecute ? HI_NX : 0
  }

  /** The frame of page `n`. */
  frameOf(n: number): number {
    return FIRST + n
  }

  /** Address, in the machine's memory, of the byte that page `n` has at an offset. */
  byteOf(n: number, offset = 0): number {
    return this.memory.frameWords(FIRST + n) * 4 + offset
  }

  /** Number of page `n` in the machine's memory. */
  pageOf(n: number): number {
    return this.byteOf(n) / PAGE
  }

  /** Put code, as hex digits, at an offset of the code; what lies behind it is zero. */
  code(hex: string, offset = 0): void {
    const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex')
    for (const [i, byte] of bytes.entries()) {
      this.memory.u8[this.byteOf((offset + i) >> 12, (offset + i) & 4095)] = byte
    }
    this.cpu.setRip(CODE + offset, 0)
  }

  set(registers: Readonly<Record<number, number>>): void {
    for (const [n, value] of Object.entries(registers)) this.cpu.setRegister(Number(n), value >>> 0, 0)
  }

  run(budget = 1000): Exit {
    const va = vaOf(this.cpu.ripLow, this.cpu.ripHigh)
    if (this.compiles && va !== -1) this.cpu.compileAt([{ va }])
    return this.cpu.run(budget)
  }

  /** rip, from the start of the code. */
  get at(): number {
    return this.cpu.ripLow - CODE
  }
}
