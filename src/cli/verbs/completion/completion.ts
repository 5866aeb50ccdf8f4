import type { Io } from '../../io.ts'
import { type ArgumentSpec, GLOBAL_OPTIONS, type OptionSpec, type Values, type Verb } from '../../verb.ts'

/** Prints the completion script of one shell; the parser has already refused any other. */
export function run(options: Values, io: Io, verbs: readonly Verb[]): number {
  const script = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[options.shell as 'bash']
  io.out(script(verbs))
  return 0
}

const ALWAYS: readonly OptionSpec[] = [
  ...GLOBAL_OPTIONS,
  { name: 'help', kind: 'flag', help: 'print the help' },
  { name: 'version', kind: 'flag', help: 'print the version' },
]

const optionsOf = (verb: Verb) => [...verb.options, ...ALWAYS]
const valuesOf = (spec: OptionSpec | ArgumentSpec) => spec.values?.() ?? []

/** A word in single quotes, as every shell here reads it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** A function for `complete -F`; it needs nothing but bash itself, of 3.2 or later. */
export function bashCompletion(verbs: readonly Verb[]): string {
  const after = (pattern: string, spec: OptionSpec | ArgumentSpec) =>
    `    ${quoted(pattern)}) words=${quoted(valuesOf(spec).join(' '))}; files=${spec.files ? 1 : ''} ;;`
  const names = (options: readonly OptionSpec[]) => options.map((option) => `--${option.name}`)
  return `# bash completion of xenolith: source <(xenolith completion bash)
_xenolith() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb= words= files= word
  # Readline takes --option=value apart at the sign.
  if [[ $cur == = ]]; then cur=
  elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in ${verbs.map((verb) => verb.name).join('|')}) verb=$word; break ;; esac
  done
  case "$verb $prev" in
${verbs
  .flatMap((verb) =>
    optionsOf(verb)
      .filter((option) => option.kind !== 'flag')
      .map((option) => after(`${verb.name} --${option.name}`, option)),
  )
  .join('\n')}
    *) case $verb in
${verbs
  .map((verb) => {
    const [argument] = verb.arguments ?? []
    const words = [...names(optionsOf(verb)), ...(argument === undefined ? [] : valuesOf(argument))]
    return `      ${verb.name}) words=${quoted(words.join(' '))}; files=${argument?.files ? 1 : ''} ;;`
  })
  .join('\n')}
      *) words=${quoted([...verbs.map((verb) => verb.name), ...names(ALWAYS)].join(' '))} ;;
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $files ]]; then
    local IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$cur"))
    compopt -o filenames 2>/dev/null
  fi
}
complete -F _xenolith xenolith`
}

/** A function for zsh's completion system, to be autoloaded or sourced. */
export function zshCompletion(verbs: readonly Verb[]): string {
  const plain = (text: string) => text.replace(/[[\]:\\]/g, '\\$&')
  const action = (spec: OptionSpec | ArgumentSpec) => {
    const words = valuesOf(spec).map((value) => value.replace(/[():\\ ]/g, '\\$&'))
    if (words.length === 0) return spec.files ? '_files' : ' '
    return spec.files ? ` _xenolith_or_files ${words.join(' ')}` : `(${words.join(' ')})`
  }
  const option = (spec: OptionSpec) => {
    const many = spec.kind === 'list' ? '*' : ''
    const name = `${many}--${spec.name}${spec.kind === 'flag' ? '' : '='}[${plain(spec.help)}]`
    return quoted(spec.kind === 'flag' ? name : `${name}:${plain(spec.argument ?? '')}:${action(spec)}`)
  }
  const argument = (spec: ArgumentSpec, i: number) =>
    quoted(
      `${spec.many ? '*' : i + 1}:${spec.required || spec.many ? '' : ':'}${plain(spec.argument)}:${action(spec)}`,
    )
  const list = (words: readonly string[]) => words.map((word) => ` \\\n        ${word}`).join('')
  return `#compdef xenolith
# zsh completion of xenolith: put it as _xenolith into a folder of $fpath
_xenolith_or_files() {
  compadd -- "$@"
  _files
}
_xenolith() {
  local curcontext=$curcontext state line
  local -a verbs
  _arguments -C ${ALWAYS.map(option).join(' ')} '1:verb:->verb' '*::argument:->rest'
  case $state in
    verb)
      verbs=(${verbs.map((verb) => `\n        ${quoted(`${verb.name}:${plain(verb.summary)}`)}`).join('')}
      )
      _describe verb verbs ;;
    rest)
      case $line[1] in
${verbs
  .map((verb) => {
    const specs = [...optionsOf(verb).map(option), ...(verb.arguments ?? []).map(argument)]
    return `      ${verb.name}) _arguments${list(specs)} ;;`
  })
  .join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _xenolith ]]; then _xenolith "$@"; else compdef _xenolith xenolith; fi`
}

/** `complete` lines for fish. */
export function fishCompletion(verbs: readonly Verb[]): string {
  const text = (words: string) => `'${words.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const values = (spec: OptionSpec | ArgumentSpec) => {
    const words = valuesOf(spec)
    return words.length === 0 ? '' : ` -a ${text(words.join(' '))}`
  }
  const option = (where: string, spec: OptionSpec) => {
    // -r wants an argument and leaves fish its file names, -x wants one and takes them away.
    const argument = spec.kind === 'flag' ? '' : `${spec.files ? ' -r -F' : ' -x'}${values(spec)}`
    return `complete -c xenolith${where} -l ${spec.name} -d ${text(spec.help)}${argument}`
  }
  return [
    '# fish completion of xenolith: xenolith completion fish > ~/.config/fish/completions/xenolith.fish',
    'complete -c xenolith -f',
    ...ALWAYS.map((spec) => option('', spec)),
    ...verbs.flatMap((verb) => {
      const where = ` -n '__fish_seen_subcommand_from ${verb.name}'`
      const named = (verb.arguments ?? []).map(
        (spec) =>
          `complete -c xenolith${where}${spec.files ? ' -F' : ''}${values(spec)} -d ${text(spec.argument)}`,
      )
      return [
        `complete -c xenolith -n __fish_use_subcommand -a ${verb.name} -d ${text(verb.summary)}`,
        ...named,
        ...verb.options.map((spec) => option(where, spec)),
      ]
    }),
  ].join('\n')
}
