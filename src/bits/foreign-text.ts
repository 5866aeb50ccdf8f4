/**
 * Text that somebody else wrote (a log, a guest, a file's name), made fit for a terminal: what could move the cursor,
 * change colours or turn the line round is shown as an escape instead (`\x1b`, `\u202e`). Everything foreign is
 * printed through here.
 * @returns one line; tabs stay
 */
export function foreignText(text: string): string {
  return text.replace(UNSAFE, shown)
}

/** As {@link foreignText}, for text of several lines: line feeds stay. */
export function foreignLines(text: string): string {
  return text.split('\n').map(foreignText).join('\n')
}

/** Controls but the tab, C1, marks and overrides of direction, line separators, lone surrogates. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what it looks for
  /[\0-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

function shown(character: string): string {
  const code = character.codePointAt(0)!
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}
