/** A payload that cannot be unpacked; the message says why, about "it". */
export class BadPayload extends Error {
  override name = 'BadPayload'
  /** It can, but there is more of it than was asked for. */
  readonly isTooLong: boolean

  constructor(message: string, isTooLong = false) {
    super(message)
    this.isTooLong = isTooLong
  }
}
