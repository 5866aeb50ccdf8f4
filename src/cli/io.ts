import { styleText } from 'node:util'

/** Where a verb's words go. Verbs print through this and never touch the process, so that tests can listen. */
export type Io = {
  /** One line, or several, without the last newline, to standard output. */
  out(text: string): void
  /** The same to standard error. */
  err(text: string): void
  /** Whether escape codes are welcome on standard output. */
  readonly colour: boolean
}

/**
 * Whether to colour: `--color` decides; else FORCE_COLOR (0 means no), else NO_COLOR when it is not empty, else
 * whether a terminal is reading.
 */
export function wantsColour(
  choice: string,
  env: Readonly<Record<string, string | undefined>>,
  terminal: boolean,
): boolean {
  if (choice !== 'auto') return choice === 'always'
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  if (env.NO_COLOR) return false
  return terminal && env.TERM !== 'dumb'
}

/** The process's own streams. */
export function processIo(choice: string): Io {
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    colour: wantsColour(choice, process.env, process.stdout.isTTY === true),
  }
}

/** The text in a colour when colour is welcome. A colour repeats what the words say, it never says more. */
export function painted(io: Io, colour: 'bold' | 'yellow' | 'dim', text: string): string {
  return io.colour ? styleText(colour, text, { validateStream: false }) : text
}
