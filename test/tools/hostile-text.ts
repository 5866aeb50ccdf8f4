/** Characters that a terminal, a reader or a format takes for more than a letter, some of each kind. */
export const HOSTILE_CHARACTERS: readonly string[] = [
  // C0: bell, backspace, line feed, return, escape; DEL.
  ...'\0\x01\x07\x08\x0b\x0c\r\x0e\x1b\x1f\x7f',
  // C1: next line, CSI, OSC.
  ...'\x80\x85\x9b\x9d\x9f',
  // Directions, joiners, what is not seen.
  ...'\xad\u034f\u061c\u115f\u180e\u200b\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\u3164\ufe0f\ufeff\ufff9',
  // Ends of lines that are none.
  ...'\u2028\u2029',
  // Tags, variants, what is no character.
  ...'\u{e0001}\u{e0041}\u{e0100}\ufffe\uffff\u{1fffe}',
]

/** Whole attacks: titles, colours, cleared screens, reports that come back as input, links, heaps of accents. */
export const HOSTILE_SEQUENCES: readonly string[] = [
  '\x1b[2J\x1b[H',
  '\x1b]0;title\x07',
  '\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\',
  '\x1b[6n',
  '\x1bP$q"p\x1b\\',
  '\x9b31mred',
  '\rforged line',
  'admin\x08\x08\x08\x08\x08guest',
  '\u202etxt.exe',
  `a${'\u0301'.repeat(40)}`,
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  ']]>',
]

/** All of them in a row; `\n` is not in it, as it ends lines of most formats. */
export const HOSTILE = `${HOSTILE_CHARACTERS.join('-')} ${HOSTILE_SEQUENCES.join(' ')}`

/** What no output may hold beside its own line feeds: written anew here, so that it does not err with the printer. */
export function unsafeIn(output: string): string[] {
  const found: string[] = []
  let marks = 0
  for (const character of output) {
    const code = character.codePointAt(0)!
    marks = /\p{M}/u.test(character) ? marks + 1 : 0
    const isControl =
      (code < 0x20 && character !== '\n' && character !== '\t') || (code >= 0x7f && code < 0xa0)
    const isNoCharacter = (code >= 0xd800 && code < 0xe000) || (code & 0xfffe) === 0xfffe
    const isUnseen = /[\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(character)
    if (isControl || isNoCharacter || isUnseen || marks > 8)
      found.push(`U+${code.toString(16).padStart(4, '0')}`)
  }
  return [...new Set(found)]
}
