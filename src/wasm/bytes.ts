import type { Code } from './wasm-values.ts'

/** Bytes that are written one behind the other. */
export class Bytes {
  private data = new Uint8Array(256)
  length = 0

  private reserve(more: number): void {
    if (this.length + more <= this.data.length) return
    const larger = new Uint8Array(Math.max(2 * this.data.length, this.length + more))
    larger.set(this.data.subarray(0, this.length))
    this.data = larger
  }

  byte(value: number): void {
    if (this.length === this.data.length) this.reserve(1)
    this.data[this.length++] = value
  }

  /** Nested code, in its order. */
  code(code: Code): void {
    for (const part of code) {
      if (typeof part === 'number') this.byte(part)
      else this.code(part)
    }
  }

  /** An unsigned number of at most 32 bits in LEB128. */
  unsigned(n: number): void {
    let rest = n >>> 0
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.byte(rest)
  }

  append(other: Bytes): void {
    this.reserve(other.length)
    this.data.set(other.data.subarray(0, other.length), this.length)
    this.length += other.length
  }

  /** What has been written: a copy. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.data.slice(0, this.length)
  }
}
