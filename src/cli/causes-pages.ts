import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Cause, Fix } from '../explain/causes/cause.ts'
import { CAUSES } from '../explain/causes/index.ts'
import { writeWhole } from '../files/write.ts'

const WIDTH = 110

/**
 * The pages of docs/causes/ by file name: one a cause and the index. They carry no date, so that the same causes give
 * the same pages.
 */
export function causesPages(causes: readonly Cause[]): Map<string, string> {
  const pages = new Map([['README.md', indexPage(causes)]])
  for (const cause of causes) pages.set(`${cause.class}.md`, causePage(cause))
  return pages
}

function indexPage(causes: readonly Cause[]): string {
  const benign = causes.filter((cause) => cause.benign === true).map((cause) => `\`${cause.class}\``)
  return page([
    '# Causes',
    ...paragraph(
      'What can be behind a log of Xen or of a PV guest. Each class has a page that says what happened, how a log shows it, and what to look at next.',
    ),
    '',
    '| class | name |',
    '|---|---|',
    ...causes.map((cause) => `| [${cause.class}](${cause.class}.md) | ${cause.name} |`),
    ...paragraph(`No page-type problem: ${benign.join(', ')}.`),
    ...paragraph(
      'These pages are made by `npm run causes` from the files in src/explain/causes/; edit those.',
    ),
  ])
}

function causePage(cause: Cause): string {
  const lines = [`# ${cause.class}: ${cause.name}`]
  if (cause.benign === true) lines.push(...paragraph('This is no page-type problem.'))
  lines.push('', '## What happened', ...cause.explanation.flatMap(paragraph))
  lines.push(...list('How a log shows it', cause.signature))
  lines.push(...list('What to check', cause.check))
  lines.push(...list('Fixed by', cause.fixes.map(fixText)))
  lines.push(...list('What avoids it', cause.avoid))
  return page(lines)
}

/** A section with a list; an empty list says so, as nothing is known then. */
function list(title: string, items: readonly string[]): string[] {
  const lines = ['', `## ${title}`, '']
  if (items.length === 0) return [...lines, 'Nothing on record.']
  return [...lines, ...items.flatMap((item) => filled(item, '- ', '  '))]
}

function fixText({ project, commit, release, what }: Fix): string {
  const where = [project, ...(release === undefined ? [] : [release])].join(' ')
  return `${where}${commit === undefined ? '' : `, commit \`${commit}\``}: ${what}`
}

function paragraph(text: string): string[] {
  return ['', ...filled(text, '', '')]
}

/** Text in lines of at most 110 columns. What stands in back quotes stays in one line, so that it can be searched. */
function filled(text: string, lead: string, indent: string): string[] {
  const lines: string[] = []
  let line = lead
  let empty = true
  for (const [word] of text.matchAll(/(?:`[^`]*`|[^\s`])+/g)) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = indent
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  return [...lines, line]
}

function page(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}

if (import.meta.main) {
  const folder = new URL('../../docs/causes/', import.meta.url)
  const pages = causesPages(CAUSES)
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(new URL(name, folder))
  for (const [name, text] of pages) writeWhole(fileURLToPath(new URL(name, folder)), text)
}
