import type { Topic } from './topics.ts'
import {
  type ArgumentSpec,
  type Example,
  GLOBAL_OPTIONS,
  type OptionSpec,
  STATUSES,
  type Verb,
} from './verb.ts'

const WIDTH = 80

/** The help of the program: its verbs, one screen. */
export function overviewText(verbs: readonly Verb[]): string {
  return [
    'Usage: xenolith VERB [OPTION]...',
    '',
    "A Xen PV machine: boots guests under Xen's page-table rules and says which",
    'mapping is to blame when a page is refused.',
    '',
    'Verbs:',
    ...columns(verbs.map((verb) => [verb.name, verb.summary])),
    '',
    'Options of every verb:',
    ...columns([
      ...GLOBAL_OPTIONS.map(optionRow),
      ['--help', "the verb's own help"],
      ['--version', 'the version'],
    ]),
    '',
    'Exit status:',
    ...columns(STATUSES.map(([status, meaning]) => [String(status), meaning])),
    '',
    "Start with 'xenolith boot', or 'xenolith < crash.log' to have a log explained;",
    "'xenolith VERB --help' has three examples of each.",
  ].join('\n')
}

/** The help of a verb, one screen of 80 columns. */
export function helpText(verb: Verb): string {
  const own = verb.arguments ?? []
  const shared = GLOBAL_OPTIONS.map((option) => `--${optionUsage(option)}`).join(', ')
  const ownStatuses = verb.statuses ?? [STATUSES[0]]
  const statuses = [...ownStatuses, ...STATUSES.filter(([status]) => status > 1)].sort(([a], [b]) => a - b)
  return [
    `Usage: ${usage(verb)}`,
    '',
    `${verb.summary}.`,
    '',
    ...(own.length > 0 ? [...columns(own.map((argument) => [argument.argument, argument.help])), ''] : []),
    ...(verb.options.length > 0 ? [...optionLines(verb.options), ''] : []),
    `Of every verb: ${shared}, --help, --version`,
    ...(verb.note === undefined ? [] : ['', verb.note]),
    '',
    'Examples:',
    ...exampleLines(verb.examples),
    '',
    'Exit status:',
    ...columns(statuses.map(([status, meaning]) => [String(status), meaning])),
  ].join('\n')
}

/** The help of a topic. */
export function topicText(topic: Topic): string {
  return [`${topic.summary}.`, '', ...columns(topic.options.map(optionRow)), '', ...topic.lines].join('\n')
}

/** A verb's options: its own a line each, those that are explained elsewhere by their names. */
function optionLines(options: readonly OptionSpec[]): string[] {
  const own = options.filter((option) => option.explainedIn === undefined)
  const lines = columns(own.map(optionRow))
  for (const place of new Set(options.map((option) => option.explainedIn))) {
    if (place === undefined) continue
    let line = `See 'xenolith help ${place}' for`
    for (const option of options.filter((candidate) => candidate.explainedIn === place)) {
      if (line.length + option.name.length + 3 > WIDTH) {
        lines.push(line)
        line = ' '
      }
      line += ` --${option.name}`
    }
    lines.push(line)
  }
  return lines
}

/** `xenolith maps [NAME|FILE] [OPTION]...` */
export function usage(verb: Verb): string {
  const words = (verb.arguments ?? []).map(argumentUsage)
  return ['xenolith', verb.name, ...words, ...(verb.options.length > 0 ? ['[OPTION]...'] : [])].join(' ')
}

/** `memory SIZE`, or the name alone of a flag. */
export function optionUsage(option: OptionSpec): string {
  return option.argument === undefined ? option.name : `${option.name} ${option.argument}`
}

function argumentUsage(argument: ArgumentSpec): string {
  const word = argument.many ? `${argument.argument}...` : argument.argument
  return argument.required ? word : `[${word}]`
}

function optionRow(option: OptionSpec): [string, string] {
  const preset = option.default === undefined ? '' : ` (default ${option.default})`
  return [`--${optionUsage(option)}`, option.help + preset]
}

/** Commands with their purpose beside them where 80 columns hold all of them so, above them where not. */
function exampleLines(examples: readonly Example[]): string[] {
  const left = Math.max(...examples.map(({ command }) => command.length))
  const beside = examples.map(({ command, does }) => `  ${command.padEnd(left)}  # ${does}`)
  if (beside.every((line) => line.length <= WIDTH)) return beside
  return examples.flatMap(({ command, does }) => [`  # ${does}`, `  ${command}`])
}

/** Two columns; the right one is wrapped at 80. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4
  return rows.flatMap(([name, text]) =>
    wrap(text, WIDTH - left).map((line, i) => `${(i === 0 ? `  ${name}` : '').padEnd(left)}${line}`),
  )
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1]
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
