const WIDTH = 80

/** Text in lines of at most 80 columns, the first with `lead`, the others indented by `indent` blanks. */
export function wrapped(text: string, lead = '  ', indent = lead.length): string[] {
  const lines: string[] = []
  let line = lead
  let empty = true
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ' '.repeat(indent)
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  lines.push(line)
  return lines
}
