/** Bytes that wait, first in, first out: as many as come, each moved a few times at most. */
export class ByteQueue {
  private bytes = new Uint8Array(256)
  private start = 0
  private end = 0

  get length(): number {
    return this.end - this.start
  }

  push(more: ArrayLike<number>): void {
    this.makeRoom(more.length)
    this.bytes.set(more, this.end)
    this.end += more.length
  }

  /** The first bytes, at most so many, without taking them. They are good until something is pushed. */
  peek(count: number): Uint8Array {
    return this.bytes.subarray(this.start, Math.min(this.end, this.start + count))
  }

  /** Take the first bytes away, at most so many. */
  drop(count: number): void {
    this.start = Math.min(this.end, this.start + count)
    if (this.start === this.end) this.clear()
  }

  clear(): void {
    this.start = 0
    this.end = 0
  }

  /** All of them, as plain data. */
  toArray(): number[] {
    return [...this.peek(this.length)]
  }

  private makeRoom(count: number): void {
    if (this.end + count <= this.bytes.length) return
    const { length } = this
    // What was taken leaves room for as much, or there will be twice of it: either way a byte moves rarely.
    const target = length + count <= this.bytes.length / 2 ? this.bytes : new Uint8Array(2 * (length + count))
    target.set(this.bytes.subarray(this.start, this.end))
    this.bytes = target
    this.start = 0
    this.end = length
  }
}
