/**
 * Random numbers by counting: the n-th number of a seed is a mix of both, so that a failure is repeated from its seed
 * alone, whatever ran before.
 */
export class Random {
  readonly seed: number
  private counter = 0
  private readonly stream: number

  /** A name makes other numbers of the same seed. */
  constructor(seed: number, name = '') {
    this.seed = seed
    this.stream = [...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), seed) >>> 0
  }

  /** 32 random bits. */
  bits(): number {
    this.counter++
    let x = (Math.imul(this.stream, 0x9e3779b1) + Math.imul(this.counter, 0x85ebca77)) >>> 0
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return (x ^ (x >>> 15)) >>> 0
  }

  /** A whole number of `[low, high)`. */
  between(low: number, high: number): number {
    return low + Math.floor((this.bits() / 0x1_0000_0000) * (high - low))
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.between(0, n) === 0
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('nothing to pick from')
    return items[this.between(0, items.length)]
  }
}
