import { type RandomNumbers, randomNumbers } from '../../bits/random.ts'

/** Random numbers of one of many streams that a seed has: the same for the same seed and stream. */
export function randomStream(seed: number, stream: number): RandomNumbers {
  return randomNumbers(scramble(scramble(seed >>> 0) ^ scramble((stream + 0x9e3779b9) >>> 0)))
}

/** splitmix32: neighbouring numbers come out far from each other. */
function scramble(n: number): number {
  let z = (n + 0x9e3779b9) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) >>> 0
}
