import type { Report } from '../../src/explain/report/report.ts'

/** What words of a log mean: by their line, the word itself and its meaning. */
export type Meanings = ReadonlyMap<number, readonly { readonly word: string; readonly says: string }[]>

/** Everything that the explanation has decoded, by line. */
export function meaningsOf(decoded: Report['decoded']): Meanings {
  const meanings = new Map<number, { word: string; says: string }[]>()
  const add = (line: number, word: string, says: string): void => {
    const known = meanings.get(line)
    if (known === undefined) meanings.set(line, [{ word, says }])
    else if (!known.some((one) => one.word === word)) known.push({ word, says })
  }
  for (const { line, word, type, flags, count } of decoded.typeWords)
    add(line, word, `type ${type}, ${[...flags, `count ${count}`].join(', ')}`)
  for (const { line, word, mfn, flags } of decoded.entries)
    add(line, word, `an entry: frame ${mfn}, ${flags}`)
  for (const { line, word, flags } of decoded.flags) add(line, word, flags.join('; '))
  for (const { line, value, name, where } of decoded.errors) add(line, value, `${name}, in a ${where}`)
  // A small number is a domain's only in some places of a line; there it explains itself.
  for (const { line, id, says } of decoded.domains) if (!/^\d{1,4}$/.test(id)) add(line, id, `domain ${says}`)
  for (const { line, address, region, end, levels } of decoded.walks) {
    add(line, address, `in ${region}; the walk ${end}`)
    for (const { level, entry, flags } of levels) add(line, entry, `entry of L${level}: ${flags}`)
  }
  for (const { line, vector, says } of decoded.traps) add(line, `#${vector}`, says)
  for (const { line, value, name, says } of decoded.registers) add(line, value, `${name}: ${says}`)
  for (const { line, word, says } of decoded.poison) add(line, word, says)
  return meanings
}

/** A line in pieces, with the meaning of those that have one. */
export function wordsOf(
  text: string,
  line: number,
  meanings: Meanings,
): { text: string; meaning: string | null }[] {
  const known = [...(meanings.get(line) ?? [])].sort((a, b) => b.word.length - a.word.length)
  const pieces: { text: string; meaning: string | null }[] = []
  let rest = text
  while (rest !== '') {
    const found = known
      .map(({ word, says }) => ({ says, word, at: placeOf(rest, word) }))
      .filter(({ at }) => at !== -1)
      .sort((a, b) => a.at - b.at)[0]
    if (found === undefined) {
      pieces.push({ text: rest, meaning: null })
      break
    }
    if (found.at > 0) pieces.push({ text: rest.slice(0, found.at), meaning: null })
    pieces.push({ text: rest.slice(found.at, found.at + found.word.length), meaning: found.says })
    rest = rest.slice(found.at + found.word.length)
  }
  return pieces
}

/** Where a word stands for itself in a text, and not inside another. */
function placeOf(text: string, word: string): number {
  for (let at = text.toLowerCase().indexOf(word.toLowerCase()); at !== -1; ) {
    const before = text[at - 1] ?? ' '
    const after = text[at + word.length] ?? ' '
    if (!/[0-9a-z]/i.test(before === 'x' && text[at - 2] === '0' ? ' ' : before) && !/[0-9a-z]/i.test(after))
      return at
    at = text.toLowerCase().indexOf(word.toLowerCase(), at + 1)
  }
  return -1
}
