/**
 * Text that somebody else wrote (a log, a guest, a file's name), made fit for a terminal: what could move the cursor,
 * change colours, turn the line round or hide in it is shown as an escape instead (`\x1b`, `\u202e`). Everything foreign is
 * printed through here. What is fit already stays as it is.
 * @returns one line; tabs stay
 */
export function foreignText(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNSAFE, shown)
}

/** As {@link foreignText}, for text of several lines: line feeds stay. */
export function foreignLines(text: string): string {
  return PLAIN_LINES.test(text)
    ? text
    : text.replace(UNSAFE, (unsafe) => (unsafe === '\n' ? unsafe : shown(unsafe)))
}

/** As {@link foreignLines}, for JSON: the escapes are JSON's own, so that whoever reads it has the data as they were. */
export function foreignJson(json: string): string {
  if (PLAIN_LINES.test(json)) return json
  return json.replace(UNSAFE, (unsafe) =>
    unsafe === '\n' ? unsafe : Array.from(units(unsafe), escape16).join(''),
  )
}

/** As {@link foreignLines}, as the text between two tags or in an attribute of XML and HTML. */
export function foreignMarkup(text: string): string {
  return foreignLines(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign])
}

/** Most text: nothing in it has to be looked at. */
const PLAIN = /^[\t\x20-\x7e]*$/
const PLAIN_LINES = /^[\t\n\x20-\x7e]*$/

/**
 * Controls but the tab, C1; what is not to be seen: soft hyphens, joiners, marks and overrides of direction, line separators,
 * fillers, the characters of tags and of variants; what is no character: lone surrogates, U+FFFE and U+FFFF of each plane; and
 * of a heap of accents on one letter those beyond the eighth.
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what it looks for
  /[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb]|\p{Default_Ignorable_Code_Point}|\p{Surrogate}|\p{Noncharacter_Code_Point}|(?<=\p{M}{8})\p{M}/gu

function shown(character: string): string {
  const code = character.codePointAt(0)!
  const hex = code.toString(16)
  if (code > 0xffff) return `\\u{${hex}}`
  return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`
}

/** The units of UTF-16 of a character. */
function units(character: string): number[] {
  return Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
}

function escape16(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
