import type { Io } from './io.ts'

/** Text that goes out at a time, at least: a call for each line would take long, and all at once may be no string at all. */
const PIECE = 2 ** 16

/** Print an object as `JSON.stringify(value, null, 2)` has it, whatever the size of the lists in it. */
export function printJson(io: Io, value: object): void {
  let text = ''
  for (const line of jsonLines(value)) {
    text += text === '' ? line : `\n${line}`
    if (text.length < PIECE) continue
    io.json(text)
    text = ''
  }
  if (text !== '') io.json(text)
}

/** The same as lines, or pieces of several: every member of the lists that are the object's own comes by itself. */
function* jsonLines(value: object): Generator<string> {
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  if (members.length === 0) return yield '{}'
  yield '{'
  for (const [i, [name, member]] of members.entries()) {
    const head = `  ${JSON.stringify(name)}: `
    const comma = i === members.length - 1 ? '' : ','
    if (!Array.isArray(member) || member.length === 0) {
      yield `${head}${indented(member, '  ')}${comma}`
      continue
    }
    yield `${head}[`
    for (const [n, item] of member.entries()) {
      yield `    ${indented(item, '    ')}${n === member.length - 1 ? '' : ','}`
    }
    yield `  ]${comma}`
  }
  yield '}'
}

function indented(value: unknown, by: string): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return (JSON.stringify(value, null, 2) ?? 'null').replaceAll('\n', `\n${by}`)
}
