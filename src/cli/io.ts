import { isatty } from 'node:tty'
import { styleText } from 'node:util'
import { foreignJson, foreignLines, foreignText } from '../bits/foreign-text.ts'
import { writeError, writeOutput } from '../files/standard-streams.ts'

/**
 * Where a verb's words go. Verbs print through this and never touch the process, so that tests can listen. Everything is
 * printed as text that somebody else wrote: no word of a log, a guest or a file's name reaches a terminal as a command to it.
 */
export type Io = {
  /** One line, or several, without the last newline, to standard output. */
  out(text: string | Painted): void
  /** The same for JSON: the data stay as they are. */
  json(text: string): void
  /** One line to standard error, of bounded length. */
  err(text: string): void
  /** A guest's console as it comes, codes and all: for a terminal that is the guest's, or on request. */
  raw(bytes: Uint8Array): void
  /** Progress, on standard error: words of our own, and codes that let one line change. */
  progress(text: string): void
  /** Whether escape codes are welcome on standard output. */
  readonly colour: boolean
}

/** A line in a colour. */
export type Painted = { readonly style: Style; readonly text: string }
type Style = 'bold' | 'yellow' | 'dim'

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
  return ioOver(writeOutput, writeError, wantsColour(choice, process.env, isatty(1)))
}

/** Prints on whatever takes bytes and text. */
export function ioOver(
  output: (content: string | Uint8Array) => void,
  error: (content: string) => void,
  colour: boolean,
): Io {
  return {
    out: (line) => output(`${typeof line === 'string' ? foreignLines(line) : paint(line)}\n`),
    json: (text) => output(`${foreignJson(text)}\n`),
    err: (text) => error(`${foreignText(shortened(text))}\n`),
    raw: (bytes) => output(bytes),
    progress: (text) => error(text),
    colour,
  }
}

/** A message may quote a word of megabytes: its beginning and its end say enough. */
function shortened(text: string): string {
  return text.length <= MOST_SHOWN
    ? text
    : `${text.slice(0, MOST_SHOWN / 2)} ... ${text.slice(-MOST_SHOWN / 2)}`
}

const MOST_SHOWN = 4000

/** One line, in a colour when colour is welcome. A colour repeats what the words say, it never says more. */
export function painted(io: Io, style: Style, text: string): string | Painted {
  return io.colour ? { style, text } : foreignText(text)
}

function paint({ style, text }: Painted): string {
  return styleText(style, foreignText(text), { validateStream: false })
}
