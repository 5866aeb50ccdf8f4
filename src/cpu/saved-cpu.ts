import { fpuImage, loadFpuImage } from './assist/fxsave.ts'
import type { Cpu } from './cpu.ts'
import { FIELD, GENERAL } from './state.ts'

/**
 * What a guest could see of a core between two instructions, as plain data. What the core keeps for itself, such as decoded
 * instructions and translations, it makes again.
 */
export type SavedCpu = {
  readonly instructions: number
  /** Two words each: the general registers, then rip, and the bases of fs and gs. */
  readonly registers: readonly number[]
  readonly flags: number
  /** es, cs, ss, ds, fs, gs. */
  readonly selectors: readonly number[]
  /** x87, MMX and SSE as fxsave stores them: 416 bytes. */
  readonly fpu: Uint8Array
  readonly fpuTraps: boolean
  /** dr0 to dr7, two words each. */
  readonly debug: readonly number[]
}

/** Words of `SavedCpu.registers`. */
export const SAVED_REGISTERS = 38
const FIELDS = [FIELD.rip, FIELD.fsBase, FIELD.gsBase]
const PLACES = [...Array.from({ length: 16 }, (_, n) => GENERAL + n * 8), ...FIELDS].flatMap((at) => [
  at,
  at + 4,
])

/** A core's registers and flags as plain data, for a snapshot; nothing of its tables, which are made anew. */
export function saveCpu(cpu: Cpu): SavedCpu {
  return {
    instructions: cpu.instructions,
    registers: PLACES.map((at) => cpu.word(at)),
    flags: cpu.getFlags(),
    selectors: Array.from({ length: 6 }, (_, n) => cpu.selector(n)),
    fpu: fpuImage(cpu),
    fpuTraps: cpu.fpuTraps,
    debug: [...cpu.debug.words],
  }
}

/**
 * Be as when it was saved. A register takes only what it can hold: the flags of ring 3, control words as loads take them.
 *
 * @param now the machine's clock, which the time stamp counter follows
 */
export function restoreCpu(cpu: Cpu, saved: SavedCpu, now: number): void {
  cpu.instructions = saved.instructions
  cpu.tscOffset = now - saved.instructions
  for (const [n, at] of PLACES.entries()) cpu.setWord(at, saved.registers[n])
  cpu.setFlags(saved.flags)
  for (const [n, selector] of saved.selectors.entries()) cpu.setSelector(n, selector)
  loadFpuImage(cpu, saved.fpu)
  cpu.fpuTraps = saved.fpuTraps
  for (let n = 0; n < 8; n++) cpu.setDebugRegister(n, saved.debug[n * 2], saved.debug[n * 2 + 1])
}
