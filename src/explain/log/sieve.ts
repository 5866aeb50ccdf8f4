/**
 * Finds whether any of many words stands in a text, fast. For each word the three letters in a row that are rarest in
 * logs go into a table; only where a text has three letters of the table are words compared. One look-up a letter, in a
 * table that fits the processor's first cache, and for most lines nothing else.
 */
export type Sieve = {
  /** For each hash of three letters: 0, or one more than the index into `words`. */
  readonly table: Uint8Array
  readonly words: readonly (readonly Entry[])[]
}

type Entry = {
  readonly word: string
  readonly codes: Uint8Array
  /** Where the three letters end in it. */
  readonly end: number
}

/** The hash of the last three letters: five bits of each, and what is left of their upper bits. */
export const HASH_MASK = 0x7fff

/** The hash with one more letter, a code of UTF-16. */
export const nextHash = (hash: number, code: number) => ((hash << 5) ^ code) & HASH_MASK

/** @param words at most 255 different threes of letters */
export function sieveOf(words: readonly string[]): Sieve {
  const table = new Uint8Array(HASH_MASK + 1)
  const buckets: Entry[][] = []
  for (const word of words) {
    const start = rarestAt(word)
    let hash = 0
    for (let i = 0; i < 3; i++) hash = nextHash(hash, word.charCodeAt(start + i))
    if (table[hash] === 0) {
      buckets.push([])
      if (buckets.length > 255) throw new Error('too many words for a sieve')
      table[hash] = buckets.length
    }
    const codes = Uint8Array.from(word, (letter) => letter.charCodeAt(0))
    buckets[table[hash] - 1].push({ word, codes, end: start + 2 })
  }
  return { table, words: buckets }
}

/** Whether a word of the sieve stands in the text. */
export function tells(sieve: Sieve, text: string): boolean {
  return wordIn(sieve, text) !== undefined
}

/** The first word of the sieve that stands in the text. */
export function wordIn({ table, words }: Sieve, text: string): string | undefined {
  let hash = 0
  for (let i = 0; i < text.length; i++) {
    hash = nextHash(hash, text.charCodeAt(i))
    const bucket = table[hash]
    if (bucket !== 0) {
      for (const { word, end } of words[bucket - 1]) if (text.startsWith(word, i - end)) return word
    }
  }
  return undefined
}

/** The word of a bucket that stands in the bytes, its three letters ending at `at`. */
export function wordAt({ words }: Sieve, bucket: number, bytes: Uint8Array, at: number): string | undefined {
  const entries = words[bucket - 1]
  for (let k = 0; k < entries.length; k++) {
    const { codes, end } = entries[k]
    const start = at - end
    let i = 0
    while (i < codes.length && bytes[start + i] === codes[i]) i++
    if (i === codes.length) return entries[k].word
  }
  return undefined
}

/** Three letters that many words of English have. */
const COMMON =
  /ing|ion|tio|ent|ter|ate|por|per|pro|con|com|ver|ers|res|est|ess|ser|set|all|for|map|not|pin|sta|art|int|tra|ect|tor|rro|err|use|ive|ble|age|and|ran|rea|ort|ult|oun|ing/

/** Where the three letters of a word begin that are rarest in logs. */
function rarestAt(word: string): number {
  let best = 0
  let rarity = -1
  for (let i = 0; i + 3 <= word.length; i++) {
    const three = word.slice(i, i + 3)
    const rare = COMMON.test(three) ? 0 : [...three].reduce((sum, letter) => sum + rareness(letter), 0)
    if (rare > rarity) [best, rarity] = [i, rare]
  }
  return best
}

/** Digits, blanks and the letters of hexadecimal are everywhere in a log; capitals and odd letters are rare. */
function rareness(letter: string): number {
  if (/[0-9a-f ]/.test(letter)) return 0
  if (/[XEN()[\]:]/.test(letter)) return 1
  if (/[etaoinsrhl]/.test(letter)) return 2
  return /[a-z]/.test(letter) ? 4 : 5
}
