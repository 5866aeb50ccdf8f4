import { foreignText } from '../../bits/foreign-text.ts'

/** Lines that are told one by one; of more, only their number. */
const MOST_LINES = 50
const MOST_CHARACTERS = 300

/**
 * Tells what peers do wrong, each thing once, in lines that are fit for a terminal and that no flood of messages makes
 * endless.
 */
export class Teller {
  private readonly write: (line: string) => void
  private readonly told = new Set<string>()
  private more = 0

  constructor(write: (line: string) => void) {
    this.write = write
  }

  tell(text: string): void {
    const line = foreignText(text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text)
    if (this.told.has(line)) return
    if (this.told.size >= MOST_LINES) {
      this.more++
      return
    }
    this.told.add(line)
    this.write(line)
  }

  /** Say how many lines were left out. */
  end(): void {
    if (this.more > 0) this.write(`${this.more} more such lines are not shown`)
    this.more = 0
  }
}
