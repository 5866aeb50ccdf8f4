const NEWLINE = 10
const RETURN = 13
/** A line of more bytes is broken here: somebody may write one without end. */
export const MOST_LINE = 2 ** 20

/**
 * Takes bytes as they come and gives the lines in them, as text of UTF-8, without line feeds and the carriage returns before
 * them. Every byte is looked at once, however long a line is and in however small pieces it comes.
 */
export class LineSplitter {
  private open = new Uint8Array(256)
  private length = 0
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  private readonly onLine: (line: string) => void

  constructor(onLine: (line: string) => void) {
    this.onLine = onLine
  }

  push(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, from)
      const end = Math.min(newline === -1 ? bytes.length : newline, from + MOST_LINE - this.length)
      const isOver = end === newline || this.length + end - from === MOST_LINE
      const piece = bytes.subarray(from, end)
      from = end === newline ? end + 1 : end
      if (!isOver) this.keep(piece)
      else if (this.length === 0) this.onLine(this.text(piece))
      else {
        this.keep(piece)
        const line = this.rest
        this.length = 0
        this.onLine(line)
      }
    }
  }

  /** What has come of a line that is not over. */
  get rest(): string {
    return this.text(this.open.subarray(0, this.length))
  }

  private keep(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.open.length) {
      const larger = new Uint8Array(2 * (this.length + bytes.length))
      larger.set(this.open.subarray(0, this.length))
      this.open = larger
    }
    this.open.set(bytes, this.length)
    this.length += bytes.length
  }

  private text(bytes: Uint8Array): string {
    let { length } = bytes
    while (length > 0 && bytes[length - 1] === RETURN) length--
    return this.decoder.decode(bytes.subarray(0, length))
  }
}
