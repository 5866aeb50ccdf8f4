import * as v from 'valibot'
import { BadInput } from '../bits/bad-input.ts'
import { foreignText } from '../bits/foreign-text.ts'

/**
 * A value that came from outside, checked against its schema. Everything that is read back (checkpoints, snapshots,
 * traces, messages of a queue) passes here, at the border; behind it types are believed.
 * @param what names the value in the message, such as `checkpoint a.ckpt`
 * @throws BadInput with the first field that is wrong, where it is, and what was expected
 */
export function checked<Schema extends v.GenericSchema>({
  value,
  schema,
  what,
}: {
  value: unknown
  schema: Schema
  what: string
}): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const path = v.getDotPath(issue)
  const where = path === null ? '' : `, ${short(path)}`
  throw new BadInput(`${what}${where}: ${wrong(issue)}`)
}

/** JSON text from outside, parsed and checked; see {@link checked}. */
export function checkedJson<Schema extends v.GenericSchema>({
  text,
  schema,
  what,
}: {
  text: string
  schema: Schema
  what: string
}): v.InferOutput<Schema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BadInput(`${what}: not JSON`)
  }
  return checked({ value, schema, what })
}

function wrong({ type, expected, received, message }: v.BaseIssue<unknown>): string {
  // A rule of ours says what is wrong in words of its own; the library's begin all alike.
  if (!message.startsWith('Invalid ') || expected === null) return message
  if (expected === 'never') return 'there is no such field'
  if (type.endsWith('object') && received === 'undefined') return 'it is missing'
  return `expected ${expected}, found ${short(received)}`
}

const MOST_SHOWN = 60

/** What somebody else wrote, as much of it as a message has room for. */
function short(text: string): string {
  const shown = foreignText(text.slice(0, MOST_SHOWN))
  return text.length > MOST_SHOWN ? `${shown}…` : shown
}

/** A whole number from `least` to `most`. */
export function whole(least: number, most: number) {
  return v.pipe(v.number(), v.safeInteger('a whole number is needed'), v.minValue(least), v.maxValue(most))
}

/** A string of at most `most` characters. */
export function text(most: number) {
  return v.pipe(v.string(), v.maxLength(most))
}

/** A list of at most `most` items. */
export function listOf<const Item extends v.GenericSchema>(item: Item, most: number) {
  return v.pipe(v.array(item), v.maxLength(most), v.readonly())
}
