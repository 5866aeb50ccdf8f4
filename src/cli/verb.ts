import type { Io } from './io.ts'

/** What a verb of the command line is, and what all of them share. */

/** What an option's argument is; a `flag` has none, a `list` may be repeated and split by commas. */
export type OptionKind = 'string' | 'size' | 'address' | 'list' | 'choice' | 'flag' | 'file'

export type OptionSpec = {
  readonly name: string
  readonly kind: OptionKind
  /** What the help calls the argument. */
  readonly argument?: string
  /** One sentence without the full stop. */
  readonly help: string
  /** What completion offers; of a `choice`, all that is allowed. */
  readonly values?: () => readonly string[]
  /** Shown as the default; the code that uses the option applies it. */
  readonly default?: string
  /** The verb, or the topic, in whose help the option is explained, when it is not the verb's own. */
  readonly explainedIn?: string
  /** Whether completion also offers file names. */
  readonly files?: boolean
}

/** A word after the verb that is not an option; it reaches `run` under its name. */
export type ArgumentSpec = {
  readonly name: string
  readonly argument: string
  readonly required: boolean
  /** Whether any number of them may be given; `run` then gets a list. */
  readonly many?: boolean
  readonly help: string
  readonly values?: () => readonly string[]
  readonly files?: boolean
}

export type Example = { readonly command: string; readonly does: string }

/** What was typed: options by their camel-cased names, and arguments by theirs. */
export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

/** What a verb's file exports; `verbs` are all that there are. */
export type VerbModule = {
  run(options: Values, io: Io, verbs: readonly Verb[]): number | Promise<number>
}

export type Verb = {
  readonly name: string
  readonly summary: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options: readonly OptionSpec[]
  readonly examples: readonly [Example, Example, Example, ...Example[]]
  /** A line that the help ends its options with. */
  readonly note?: string
  /** Exit statuses of its own, beside those that all verbs share. */
  readonly statuses?: readonly (readonly [status: number, meaning: string])[]
  readonly load: () => Promise<VerbModule>
}

/** Options that every verb takes; `--help` and `--version` are the parser's own. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'color',
    kind: 'choice',
    argument: 'WHEN',
    help: 'auto, always or never; NO_COLOR and FORCE_COLOR count too',
    values: () => ['auto', 'always', 'never'],
    default: 'auto',
  },
  { name: 'debug', kind: 'flag', help: 'print the stack of an internal error' },
]

/** What the exit status means, for every verb. */
export const STATUSES: readonly (readonly [status: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'done, but the answer is not the one asked for'],
  [2, 'bad input, or a full disk: one line on standard error says what and where'],
  [70, 'internal error: a bug of xenolith'],
]
