import { PAGE } from '../../src/bits/address.ts'
import { A, D, P, RW, US } from '../../src/bits/pte.ts'
import { type CoreOptions, Cpu } from '../../src/cpu/cpu.ts'
import { Memory } from '../../src/machine/memory.ts'
import type { Image } from './loops.ts'

const RDI = 7
const RSI = 6
const RSP = 4
const RAX = 0
const STACK_BYTES = 16 * PAGE
/** Frames of the tables; those of the image follow in the order of its pages. */
const L4 = 1
const L3 = 2
const L2 = 3
const FIRST_L1 = 4

/** The core with an image in memory, mapped with pages of 4 KiB at the address that it wants. */
export class CoreMachine {
  readonly cpu: Cpu
  private readonly image: Image
  private readonly stackTop: number

  constructor(image: Image, core: CoreOptions = {}) {
    const pages = Math.ceil((image.memoryBytes + STACK_BYTES) / PAGE)
    const tables = Math.ceil(pages / 512)
    const first = FIRST_L1 + tables
    const memory = new Memory(2 ** 27)
    memory.reset([{ start: 0, end: first + pages }], () => {})
    const entry = (table: number, slot: number, frame: number) => {
      memory.u32[memory.frameWords(table) + 2 * slot] = frame * PAGE + (P | RW | US | A | D)
    }
    entry(L4, 0, L3)
    entry(L3, 0, L2)
    // The image begins at a multiple of what one L1 table maps.
    for (let i = 0; i < tables; i++) entry(L2, image.address / (512 * PAGE) + i, FIRST_L1 + i)
    for (let i = 0; i < pages; i++) {
      entry(FIRST_L1 + Math.floor(i / 512), i % 512, first + i)
      const at = memory.frameWords(first + i) * 4
      memory.u8.set(image.bytes.subarray(i * PAGE, (i + 1) * PAGE), at)
    }
    this.image = image
    this.stackTop = image.address + pages * PAGE
    this.cpu = new Cpu(memory, core)
    this.cpu.root = L4
  }

  /** Run a loop to its end. @returns its checksum in 16 hex digits, and the instructions that it took */
  run(loop: number, rounds: number): { checksum: string; instructions: number } {
    const { cpu } = this
    const before = cpu.instructions
    cpu.setRip(this.image.address, 0)
    cpu.setRegister(RDI, loop, 0)
    cpu.setRegister(RSI, rounds, 0)
    cpu.setRegister(RSP, this.stackTop, 0)
    const exit = cpu.run(Number.MAX_SAFE_INTEGER)
    if (exit.reason !== 'privileged') throw new Error(`loop ${loop} ended with ${JSON.stringify(exit)}`)
    const half = (value: number) => value.toString(16).padStart(8, '0')
    const checksum = half(cpu.registerHigh(RAX)) + half(cpu.register(RAX))
    return { checksum, instructions: cpu.instructions - before }
  }
}
