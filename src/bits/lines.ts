/** A line without the carriage returns at its end, which mean nothing in a file. */
export function withoutReturns(line: string): string {
  let end = line.length
  while (end > 0 && line.charCodeAt(end - 1) === RETURN) end--
  return line.slice(0, end)
}

const RETURN = 13

/**
 * A line without the codes for colours in it: ECMA-48's "select graphic rendition", which say how words look, and none of
 * them.
 */
export function withoutColours(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what it takes off
  return line.replace(/\x1b\[[0-9;:]*m/g, '')
}
