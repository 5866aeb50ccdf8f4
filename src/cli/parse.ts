import { Command, CommanderError, Option } from 'commander'
import { BadInput, nearest } from '../run/boot/boot-options.ts'
import { helpText, overviewText } from './help.ts'
import { type ArgumentSpec, GLOBAL_OPTIONS, type OptionSpec, type Values, type Verb } from './verb.ts'

/** A command line, read: the verb to run with its values, or text to print and be done. */
export type Parsed =
  | { readonly verb: Verb; readonly values: Values; readonly color: string; readonly debug: boolean }
  | { readonly text: string }

/** Reads a command line by the table of verbs. Whatever is wrong with it is BadInput. */
export function parse(argv: readonly string[], verbs: readonly Verb[], version: string): Parsed {
  let printed = ''
  let found: { verb: Verb; values: Values } | undefined

  const program = new Command('xenolith')
    .exitOverride()
    .configureOutput({ writeOut: (text) => (printed += text), writeErr: () => {}, outputError: () => {} })
    .configureHelp({ formatHelp: (command) => `${helpOf(command.name(), verbs)}\n` })
    .enablePositionalOptions()
    .helpCommand(false)
    .version(version)
  addOptions(program, GLOBAL_OPTIONS)

  for (const verb of verbs) {
    const command = program.command(verb.name).version(version)
    for (const argument of verb.arguments ?? []) {
      const word = argument.many ? `${argument.argument}...` : argument.argument
      command.argument(argument.required ? `<${word}>` : `[${word}]`, argument.help)
    }
    addOptions(command, [...verb.options, ...GLOBAL_OPTIONS])
    command.action(() => {
      const words = (verb.arguments ?? []).map((argument, i) => [
        argument.name,
        argument.many ? command.args.slice(i) : chosen(argument.argument, argument, command.args[i]),
      ])
      found = { verb, values: { ...program.opts(), ...command.opts(), ...Object.fromEntries(words) } }
    })
  }

  if (argv.length === 0) return { text: overviewText(verbs) }
  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { text: printed.trimEnd() }
    // Nothing but global options: the verb is missing, which commander answers with a help on standard error.
    if (error.code === 'commander.help') throw new BadInput(`a verb is missing: ${verbNames(verbs)}`)
    throw new BadInput(`${oneSentence(error.message)}; see xenolith ${verbIn(argv, verbs)}--help`)
  }
  if (found === undefined) throw new BadInput(`a verb is missing: ${verbNames(verbs)}`)
  const { color, debug } = found.values
  return { ...found, color: typeof color === 'string' ? color : 'auto', debug: debug === true }
}

function helpOf(name: string, verbs: readonly Verb[]): string {
  const verb = verbs.find((candidate) => candidate.name === name)
  return verb === undefined ? overviewText(verbs) : helpText(verb)
}

function addOptions(command: Command, specs: readonly OptionSpec[]): void {
  for (const spec of specs) {
    const flags = spec.kind === 'flag' ? `--${spec.name}` : `--${spec.name} <${spec.argument}>`
    const option = new Option(flags, spec.help)
    // A flag that begins with `no-` is one like others, and not the opposite of an option that is on.
    option.negate = false
    if (spec.kind === 'list') {
      option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value])
    } else if (spec.kind === 'choice') {
      option.argParser((value: string) => chosen(`--${spec.name}`, spec, value))
    }
    command.addOption(option)
  }
}

/** The value, when it is one of those allowed; only a closed list (no files beside it) forbids others. */
function chosen(
  what: string,
  spec: OptionSpec | ArgumentSpec,
  value: string | undefined,
): string | undefined {
  if (value === undefined || spec.files || spec.values === undefined) return value
  const allowed = spec.values()
  if (allowed.includes(value)) return value
  const near = nearest(value, allowed)
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`
  throw new BadInput(`${what} '${value}' is not known${hint}; choose from ${allowed.join(', ')}`)
}

/** Commander says `error: …`, and its guess on a second line. */
function oneSentence(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/, ' (did you mean $1?)')
    .replace('. Expected', ': expected')
    .replace(/\.$/, '')
}

function verbNames(verbs: readonly Verb[]): string {
  return `${verbs.map((verb) => verb.name).join(', ')}; see xenolith --help`
}

function verbIn(argv: readonly string[], verbs: readonly Verb[]): string {
  const name = argv.find((word) => !word.startsWith('-'))
  return verbs.some((verb) => verb.name === name) ? `${name} ` : ''
}
