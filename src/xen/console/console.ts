import type { Sink } from '../../trace/events.ts'

/** One line as it appeared: who said it, and what. Xen's lines carry their `(XEN) `. */
export type ConsoleLine = { readonly source: 'guest' | 'log' | 'xen'; readonly text: string }

/** The line behind the machine's console, with a terminal at its other end. dom0 reads and writes it as it is. */
export type SerialLine = {
  /** What dom0 writes. The bytes are good until this returns. */
  write(bytes: Uint8Array): void
  /** The first bytes of what was typed, at most so many, without taking them. */
  peek(most: number): Uint8Array
  /** Take so many of them away. */
  drop(count: number): void
}

/** The machine's console: the lines of Xen and of the guests in the order of their printing. */
export class Console {
  readonly lines: ConsoleLine[] = []
  /** Who takes the lines as they come; without anybody they are kept in `lines`. */
  taker: ((line: ConsoleLine) => void) | null = null
  /** Where dom0's bytes come from and go; null where its text is taken line by line, as a guest's is. */
  serial: SerialLine | null = null
  private readonly sink: () => Sink | null

  constructor(sink: () => Sink | null) {
    this.sink = sink
  }

  xen(text: string): void {
    this.add('xen', `(XEN) ${text}`)
  }

  guest(text: string): void {
    this.add('guest', text)
  }

  /** A line of a kernel's log buffer, which no console shows yet. */
  log(text: string): void {
    this.add('log', text)
  }

  private add(source: ConsoleLine['source'], text: string): void {
    if (this.taker === null) this.lines.push({ source, text })
    else this.taker({ source, text })
    const sink = this.sink()
    if (sink !== null) sink({ kind: 'console', source, text })
  }
}
