import * as v from 'valibot'
import { BadInput } from '../bits/bad-input.ts'

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
  // A check that is more than a type says in its own words what is wrong.
  const says = issue.expected === null ? issue.message : `expected ${issue.expected}, found ${issue.received}`
  throw new BadInput(`${what}${path === null ? '' : `, ${path}`}: ${says}`)
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
