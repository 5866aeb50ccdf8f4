import { vaOf } from '../../bits/address.ts'
import type { Watchpoint } from '../memory/memory-port.ts'

const SINGLE_STEP = 1 << 14

/**
 * The debug registers: four addresses, what is wanted at each in dr7, and in dr6 what has happened.
 *
 *     dr7   31..30 LEN3 | 29..28 R/W3 | ... | 17..16 R/W0 | 7..0 L and G of each
 */
export class DebugRegisters {
  /** dr0 to dr7, two words each. */
  readonly words = new Uint32Array(16)

  constructor() {
    this.words[12] = 0xffff_0ff0
    this.words[14] = 0x400
  }

  set(n: number, lo: number, hi: number): void {
    this.words[n * 2] = lo
    this.words[n * 2 + 1] = hi
  }

  private isEnabled(n: number): boolean {
    return ((this.words[14] >>> (n * 2)) & 3) !== 0
  }

  /** 0 execute, 1 store, 3 load or store. */
  private kind(n: number): number {
    return (this.words[14] >>> (16 + n * 4)) & 3
  }

  private va(n: number): number {
    return vaOf(this.words[n * 2], this.words[n * 2 + 1])
  }

  /** Addresses of enabled breakpoints. */
  breakpoints(): number[] {
    return [0, 1, 2, 3].filter((n) => this.isEnabled(n) && this.kind(n) === 0).map((n) => this.va(n))
  }

  isBreakpoint(va: number): boolean {
    return this.breakpoints().includes(va)
  }

  watchpoints(): Watchpoint[] {
    return [0, 1, 2, 3]
      .filter((n) => this.isEnabled(n) && (this.kind(n) & 1) !== 0)
      .map((n) => this.watchpoint(n))
  }

  private watchpoint(n: number): Watchpoint {
    const bytes = [1, 2, 8, 4][(this.words[14] >>> (18 + n * 4)) & 3]
    const va = this.va(n)
    return { va: va - (va % bytes), bytes, read: this.kind(n) === 3, write: true }
  }

  hitBreakpoint(va: number): void {
    for (const n of [0, 1, 2, 3]) if (this.isEnabled(n) && this.va(n) === va) this.words[12] |= 1 << n
  }

  /** Whether a watchpoint is one of these; dr6 then says so. */
  hitWatchpoint(point: Watchpoint): boolean {
    let isOwn = false
    for (const n of [0, 1, 2, 3]) {
      const own = this.isEnabled(n) && (this.kind(n) & 1) !== 0 ? this.watchpoint(n) : null
      if (own?.va !== point.va || own.bytes !== point.bytes || own.read !== point.read) continue
      this.words[12] |= 1 << n
      isOwn = true
    }
    return isOwn
  }

  hitSingleStep(): void {
    this.words[12] |= SINGLE_STEP
  }
}
