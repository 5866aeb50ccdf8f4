/**
 * A set of 64-bit keys that threads share: open addressing over two words a key. One thread adds; others may look at the
 * same time, and at worst do not see yet what was added just now.
 *
 *     slot = [ low half, 0: empty | high half ]
 */
export class Visited {
  private words: Int32Array
  size = 0

  constructor(buffer: SharedArrayBuffer | ArrayBuffer = new SharedArrayBuffer(FIRST_BYTES)) {
    this.words = new Int32Array(buffer)
  }

  /** What another thread makes its view of: of the set as large as it is now. */
  get shared(): SharedArrayBuffer | ArrayBuffer {
    return this.words.buffer as SharedArrayBuffer | ArrayBuffer
  }

  has(lo: number, hi: number): boolean {
    return this.find(lo === 0 ? 1 : lo, hi) < 0
  }

  /** Add a key. False when it was there. */
  add(lo: number, hi: number): boolean {
    const low = lo === 0 ? 1 : lo | 0
    const at = this.find(low, hi)
    if (at < 0) return false
    this.words[at + 1] = hi
    // The low half says that the slot is taken, so it comes last.
    Atomics.store(this.words, at, low)
    this.size++
    if (this.size * 4 > this.words.length) this.grow()
    return true
  }

  /** Word index of the free slot for a key; negative when it is there. */
  private find(lo: number, hi: number): number {
    const { words } = this
    const mask = words.length - 2
    for (let at = (lo << 1) & mask; ; at = (at + 2) & mask) {
      const there = Atomics.load(words, at)
      if (there === 0) return at
      if (there === (lo | 0) && words[at + 1] === (hi | 0)) return -1
    }
  }

  private grow(): void {
    const old = this.words
    this.words = new Int32Array(new SharedArrayBuffer(old.byteLength * 2))
    this.size = 0
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) this.add(old[at], old[at + 1])
  }

  /** Forget all keys. */
  clear(): void {
    this.words.fill(0)
    this.size = 0
  }

  /** All keys, for a checkpoint. */
  keys(): Int32Array {
    const keys = new Int32Array(this.size * 2)
    let n = 0
    for (let at = 0; at < this.words.length; at += 2) {
      if (this.words[at] === 0) continue
      keys[n++] = this.words[at]
      keys[n++] = this.words[at + 1]
    }
    return keys
  }

  /**
   * A set with these keys, which `keys` gave; null for keys that no search has. They lie in the set as chance has it: where
   * many of them want the same slot, somebody has chosen them, and to look for one would take for ever.
   */
  static of(keys: Int32Array): Visited | null {
    const visited = new Visited()
    let looks = MOST_LOOKS * (keys.length / 2 + 1024)
    for (let n = 0; n < keys.length; n += 2) {
      looks -= visited.looksFor(keys[n])
      if (looks < 0) return null
      visited.add(keys[n], keys[n + 1])
    }
    return visited
  }

  /** How many slots are in use from the one on that a key with this low half wants. */
  private looksFor(lo: number): number {
    const { words } = this
    const mask = words.length - 2
    const first = (lo << 1) & mask
    let at = first
    while (words[at] !== 0) at = (at + 2) & mask
    return ((at - first) & mask) >> 1
  }
}

const FIRST_BYTES = 2 ** 20
/** A set that is at most half full takes one or two looks for a key on the average. */
const MOST_LOOKS = 16
