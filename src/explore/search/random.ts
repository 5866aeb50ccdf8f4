/** Whole numbers below n: the same for the same seed and stream. splitmix32 chooses the start, mulberry32 goes on. */
export function randomNumbers(seed: number, stream: number): (n: number) => number {
  let state = scramble(scramble(seed >>> 0) ^ scramble((stream + 0x9e3779b9) >>> 0))
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}

function scramble(n: number): number {
  let z = (n + 0x9e3779b9) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) >>> 0
}
