import { foreignText } from './foreign-text.ts'

/**
 * An error of whoever called us, not of the program: a map that cannot be read, an option out of range.
 * The message is one line: what is wrong, where, and what to do. The command line prints it and exits with 2;
 * a program that imports the package catches it by its class.
 */
export class BadInput extends Error {
  override name = 'BadInput'

  constructor(message: string) {
    // It quotes what somebody else wrote, and is one line all the same.
    super(foreignText(message))
  }
}

/**
 * The candidate nearest to a mistyped word, for "did you mean". Distance is Levenshtein's; nothing is offered when
 * more than a third of the word would have to change.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    if (Math.abs(word.length - candidate.length) >= bestDistance) continue
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, substitution))
    }
    row = next
  }
  return row[b.length]
}
