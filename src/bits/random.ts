/** Whole numbers below n, the same for the same seed: mulberry32. */
export type RandomNumbers = (n: number) => number

/** The numbers of a seed, 32 bits of which count: the same ones every time. */
export function randomNumbers(seed: number): RandomNumbers {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}
