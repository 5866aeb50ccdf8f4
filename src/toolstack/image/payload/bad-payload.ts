/** A payload that cannot be unpacked; the message says why, about "it". */
export class BadPayload extends Error {
  override name = 'BadPayload'
}
