/** A line without the carriage returns at its end, which mean nothing in a file. */
export function withoutReturns(line: string): string {
  let end = line.length
  while (end > 0 && line.charCodeAt(end - 1) === RETURN) end--
  return line.slice(0, end)
}

const RETURN = 13
