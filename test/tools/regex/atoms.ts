import { type AST, visitRegExpAST } from '@eslint-community/regexpp'

/**
 * The characters of a pattern in classes: two of a class are read by the same places of it. The engine itself says what a
 * place reads, asked about a sample that has a character on either side of every border.
 */
export type Atoms = {
  /** A character of each class. */
  readonly samples: readonly string[]
  /** The classes that a piece of the pattern reads. */
  readBy(raw: string): ReadonlySet<number>
  readonly word: ReadonlySet<number>
  readonly lineEnd: ReadonlySet<number>
}

const WORD = '\\w'
const LINE_END = '[\\n\\r\\u2028\\u2029]'

/** What `\s`, `.`, `\w` and case have their borders at, beside Latin-1. */
const EVERYWHERE = [
  ...Array(0x100).keys(),
  ...[0x17e, 0x17f, 0x180, 0x1680, 0x1fff, 0x2000, 0x200a, 0x200b, 0x2027, 0x2028, 0x2029, 0x202f, 0x205f],
  ...[0x212a, 0x212b, 0x3000, 0x3042, 0xd7ff, 0xd800, 0xdc00, 0xe000, 0xfeff, 0xffff],
]

export function atomsOf(pattern: AST.Pattern, flags: string): Atoms {
  const places = new Set([WORD, LINE_END])
  const codes = new Set(EVERYWHERE)
  visitRegExpAST(pattern, {
    onCharacterEnter: ({ value, raw, parent }) => {
      for (const code of [value - 1, value, value + 1]) if (code >= 0 && code <= 0x10ffff) codes.add(code)
      if (parent.type === 'Alternative' || parent.type === 'Quantifier') places.add(raw)
    },
    onCharacterSetEnter: ({ raw, parent }) => {
      if (parent.type === 'Alternative' || parent.type === 'Quantifier') places.add(raw)
    },
    onCharacterClassEnter: ({ raw }) => void places.add(raw),
    onExpressionCharacterClassEnter: ({ raw }) => void places.add(raw),
  })
  // The other case of each.
  for (const code of [...codes]) {
    const character = String.fromCodePoint(code)
    for (const other of [character.toLowerCase(), character.toUpperCase()]) codes.add(other.codePointAt(0)!)
  }

  const kept = [...flags].filter((flag) => 'isuv'.includes(flag)).join('')
  const tests = [...places].map((raw) => new RegExp(`^(?:${raw})$`, kept))
  const samples: string[] = []
  const byReaders = new Map<string, number>()
  const read = new Map([...places].map((raw) => [raw, new Set<number>()]))
  for (const code of codes) {
    const character = String.fromCodePoint(code)
    const readers = tests.map((test) => (test.test(character) ? '1' : '0')).join('')
    if (byReaders.has(readers)) continue
    byReaders.set(readers, samples.length)
    for (const [i, raw] of [...places].entries()) if (readers[i] === '1') read.get(raw)!.add(samples.length)
    samples.push(character)
  }
  return {
    samples,
    readBy: (raw) => read.get(raw)!,
    word: read.get(WORD)!,
    lineEnd: read.get(LINE_END)!,
  }
}
