import { fileURLToPath } from 'node:url'
import { writeWhole } from '../files/write.ts'
import { optionUsage, usage } from './help.ts'
import { VERBS } from './options.ts'
import { GLOBAL_OPTIONS, type OptionSpec, STATUSES, type Verb } from './verb.ts'
import { packageVersion } from './version.ts'

/**
 * The manual page in roff, made from the table of verbs. It carries no date, so that the same table gives the same
 * page.
 */
export function manPage(verbs: readonly Verb[], version: string): string {
  return [
    '.\\" Made by npm run man from src/cli/options.ts; edit that.',
    `.TH XENOLITH 1 "" "xenolith ${version}" "User Commands"`,
    '.SH NAME',
    roff('xenolith - a Xen PV machine that says which mapping is to blame'),
    '.SH SYNOPSIS',
    ...verbs.flatMap((verb, i) => [...(i > 0 ? ['.br'] : []), `.B ${roff(usage(verb))}`]),
    '.SH DESCRIPTION',
    roff(
      "Boots guests under Xen's page-table rules. When a page is refused, it says which mapping is to blame,",
    ),
    roff('when it was made, and what would have prevented it.'),
    '.SH OPTIONS OF EVERY VERB',
    ...GLOBAL_OPTIONS.flatMap(optionItem),
    ...item('--help', "print the verb's own help"),
    ...item('--version', 'print the version'),
    ...verbs.flatMap(verbSection),
    '.SH EXIT STATUS',
    ...STATUSES.flatMap(([status, meaning]) => item(String(status), meaning)),
    '.SH ENVIRONMENT',
    ...item('NO_COLOR', 'no colour, when it is not empty'),
    ...item('FORCE_COLOR', 'colour, unless it is 0; stronger than NO_COLOR, weaker than --color'),
    '',
  ].join('\n')
}

function verbSection(verb: Verb): string[] {
  return [
    `.SH ${roff(verb.name.toUpperCase())}`,
    roff(`${verb.summary}.`),
    ...(verb.arguments ?? []).flatMap((argument) => item(argument.argument, argument.help)),
    ...verb.options.flatMap(optionItem),
    ...(verb.statuses === undefined
      ? []
      : ['.SS Exit status', ...verb.statuses.flatMap(([status, meaning]) => item(String(status), meaning))]),
    '.SS Examples',
    ...verb.examples.flatMap(({ command, does }) => ['.TP', roff(`${does}:`), `.B ${roff(command)}`]),
  ]
}

function optionItem(option: OptionSpec): string[] {
  const preset = option.default === undefined ? '' : ` (default ${option.default})`
  return item(`--${optionUsage(option)}`, option.help + preset)
}

function item(term: string, text: string): string[] {
  return ['.TP', `.B ${roff(term)}`, roff(`${text}.`)]
}

/** Text as roff takes it literally: escapes, hyphens that stay hyphens when copied, no request at a line's start. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('"', '\\(dq')
    .replaceAll('~', '\\(ti')
    .replace(/^\./, '\\&.')
}

if (import.meta.main) {
  writeWhole(
    fileURLToPath(new URL('../../man/xenolith.1', import.meta.url)),
    manPage(VERBS, packageVersion()),
  )
}
