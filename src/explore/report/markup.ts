/** Text as XML and HTML take it; characters that XML has no way to hold become U+FFFD. */
export function escaped(text: string): string {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0)!
    if (code < 0x20 && character !== '\n' && character !== '\t') return '\ufffd'
    return ESCAPES[character] ?? character
  }).join('')
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
