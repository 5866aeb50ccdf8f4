import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { boot } from '../../src/run/boot/boot.ts'
import type { TraceEvent } from '../../src/trace/events.ts'
import { traceLine } from '../../src/trace/export.ts'
import { root } from '../tools/tools.ts'

/** The words in back quotes in the first columns of the tables, `to` counted from 1. */
function tableWords(text: string, to: number): Set<string> {
  const rows = text.split('\n').filter((line) => line.startsWith('|'))
  const cells = rows.flatMap((row) => row.split('|').slice(1, to + 1))
  return new Set(cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1])))
}

/** Every field of a value, as `a.b` and `list[].c`. */
function fieldsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(item, `${path}[]`))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, field]) => {
    const name = path === '' ? key : `${path}.${key}`
    return [name, ...fieldsOf(field, name)]
  })
}

const seedLines = new Set<string>()
/** One line of each sort of event, with the fields of all of that sort. */
function sortsOf(linux: string): Map<string, { kind: string; what: string; fields: Set<string> }> {
  const sorts = new Map<string, { kind: string; what: string; fields: Set<string> }>()
  let fills = 0
  boot({ linux }, (event: TraceEvent) => {
    // There are more than a million of these, all alike.
    if (event.kind === 'fill' && fills++ > 100) return
    const line = traceLine(event)
    if (linux === 'B') seedLines.add(line)
    const { kind, what = '', name = '', ...fields } = JSON.parse(line)
    const key = `${kind} ${what}${name}`
    if (!sorts.has(key)) sorts.set(key, { kind, what, fields: new Set(name === '' ? [] : ['name']) })
    for (const field of fieldsOf(fields)) sorts.get(key)!.fields.add(field)
  })
  return sorts
}

test('docs/trace.md has every kind and every field that boots write', () => {
  const text = readFileSync(`${root}docs/trace.md`, 'utf8')
  const sections = new Map(
    text.split(/^### /m).map((section) => [/^`(\w+)`/.exec(section)?.[1] ?? '', section]),
  )
  for (const linux of ['B', 'B0', 'B+seed', 'D']) {
    for (const { kind, what, fields } of sortsOf(linux).values()) {
      const section = sections.get(kind)
      assert.ok(section, `docs/trace.md has no section about ${kind}`)
      const row = what === '' ? section : section.split('\n').find((line) => line.startsWith(`| \`${what}\``))
      assert.ok(row, `docs/trace.md has no row about ${what}`)
      const words = new Set([...row.matchAll(/`([^`]+)`/g)].map((match) => match[1]))
      for (const field of fields) {
        // What a buffer and a state of the workaround have is said once, above and in the row.
        if (what !== '' && (field === 'args' || /\.buffer\./.test(field))) continue
        const name = what === '' ? field : field.split('.').at(-1)!
        assert.ok(words.has(name), `docs/trace.md does not say what ${field} of ${kind} ${what} is`)
      }
    }
  }
})

test('the lines in docs/trace.md are lines of real boots', () => {
  const text = readFileSync(`${root}docs/trace.md`, 'utf8')
  const examples = text.split('\n').filter((line) => line.startsWith('{'))
  assert.ok(examples.length > 10)
  // The fault is of a generation that the seed's boot does not reach.
  const own = examples.filter((line) => !line.includes('"kind":"fault"'))
  assert.deepEqual(
    own.filter((line) => !seedLines.has(line)),
    [],
  )
})

test('docs/boot-json.md has every field of a result, and no other', () => {
  const text = readFileSync(`${root}docs/boot-json.md`, 'utf8')
  const documented = tableWords(text, 1)
  const results = ['B', 'B+seed', 'D'].map((linux) => boot({ linux }))
  const fields = new Set(results.flatMap((result) => fieldsOf(result)))
  assert.deepEqual([...documented].sort(), [...fields].sort())
})

test('the example in docs/boot-json.md is what the seed gives', () => {
  const text = readFileSync(`${root}docs/boot-json.md`, 'utf8')
  const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(text)![1])
  const result = boot()
  assert.deepEqual(
    { ...example, console: null, sources: null },
    JSON.parse(JSON.stringify({ ...result, console: null, sources: null })),
  )
  for (const line of example.console) assert.ok(line === '…' || result.console.includes(line), line)
})
