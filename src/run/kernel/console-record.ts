import { BadInput } from '../../bits/bad-input.ts'
import { LineSplitter } from '../../bits/line-splitter.ts'

const MIB = 2 ** 20
/** What a guest's console may come to when nothing else is said, in bytes: hundreds of boots have less. */
export const CONSOLE_LIMIT = 16 * MIB
/** And the most that is kept. */
const MOST_KEPT = 64 * MIB

/**
 * What stands on a guest's console, the guest's lines and Xen's as they come, up to a limit. A guest can write without end:
 * what is beyond the limit is not even looked at.
 */
export class ConsoleRecord {
  /** Something did not fit. */
  isFull = false
  private left: number
  private readonly keeps: boolean
  private readonly lines: string[] = []
  private readonly splitter = new LineSplitter((line) => this.lines.push(line))

  /**
   * @param limit bytes of everything together
   * @param keeps whether the lines are wanted afterwards; else only their bytes are counted
   * @throws BadInput for a limit that is too large to keep
   */
  constructor(limit: number, keeps: boolean) {
    if (keeps && limit > MOST_KEPT) {
      throw new BadInput(
        `a console that is kept has at most ${MOST_KEPT / MIB}M; give a --console-limit up to that, or no --json and --junit`,
      )
    }
    this.left = limit
    this.keeps = keeps
  }

  /** The guest has written bytes. Returns those that fit. */
  guest(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, this.left)
    this.left -= part.length
    if (part.length < bytes.length) this.isFull = true
    if (this.keeps) this.splitter.push(part)
    return part
  }

  /** Xen has printed a line. False when it does not fit: then nothing does any more. */
  xen(line: string): boolean {
    if (line.length + 1 > this.left) {
      this.isFull = true
      this.left = 0
      return false
    }
    this.left -= line.length + 1
    if (this.keeps) this.lines.push(line)
    return true
  }

  /** The lines that were kept, with the one that is not over. */
  result(): readonly string[] {
    const { rest } = this.splitter
    return rest === '' ? this.lines : [...this.lines, rest]
  }
}
