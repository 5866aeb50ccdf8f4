import { BadInput } from '../../bits/bad-input.ts'

/**
 * The savings of a long run. A place that cannot be written is found before the work; what fails later is told once, and
 * the run goes on, as its work is worth more than the file.
 */
export class Saves {
  private readonly save: () => void
  private readonly tell: (why: string) => void
  private readonly every: number
  private last = performance.now()
  private told = ''

  /** @param every milliseconds between two savings @param tell gets one line, of what went wrong */
  constructor(save: () => void, every: number, tell: (why: string) => void) {
    this.save = save
    this.every = every
    this.tell = tell
  }

  /** Before the work. Throws BadInput. */
  first(): void {
    this.save()
  }

  nowAndThen(): void {
    if (performance.now() - this.last > this.every) this.now()
  }

  /** Whether it is saved. */
  now(): boolean {
    this.last = performance.now()
    try {
      this.save()
      this.told = ''
      return true
    } catch (error) {
      if (!(error instanceof BadInput)) throw error
      if (error.message !== this.told) this.tell(error.message)
      this.told = error.message
      return false
    }
  }
}
