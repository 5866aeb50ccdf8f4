/**
 * Looks for a text in what appears on a console, in however small pieces it comes. Nothing but the last bytes is kept, so that a
 * console without end costs nothing.
 */
export class UntilText {
  private readonly wanted: Buffer
  /** The last bytes of the guest's, fewer than are wanted. */
  private last = Buffer.alloc(0)
  /** Whether it has appeared. */
  isSeen = false

  /** @param text what is looked for, at least a character and no line's end; null is never found */
  constructor(text: string | null) {
    this.wanted = Buffer.from(text ?? '')
  }

  /** The guest has written bytes. */
  guest(bytes: Uint8Array): void {
    if (this.isSeen || this.wanted.length === 0) return
    const both = Buffer.concat([this.last, bytes])
    this.isSeen = both.includes(this.wanted)
    this.last = both.subarray(Math.max(0, both.length - this.wanted.length + 1))
  }

  /** A line stands there that is not the guest's own, or came whole: what is wanted stands within it. */
  line(text: string): void {
    if (!this.isSeen && this.wanted.length > 0) this.isSeen = Buffer.from(text).includes(this.wanted)
  }
}
