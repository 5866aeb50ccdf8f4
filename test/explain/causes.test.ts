import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { causesPages } from '../../src/cli/causes-pages.ts'
import { CAUSES } from '../../src/explain/causes/index.ts'
import { root } from '../tools/tools.ts'

const pages = causesPages(CAUSES)

test("the pages of docs/causes are up to date; 'npm run causes' makes them so", () => {
  assert.deepEqual(readdirSync(`${root}docs/causes`).sort(), [...pages.keys()].sort())
  for (const [name, text] of pages) {
    assert.ok(readFileSync(`${root}docs/causes/${name}`, 'utf8') === text, `docs/causes/${name} is stale`)
  }
})

test('every class is kebab-case, stands once, and has the one file named after it', async () => {
  const classes = CAUSES.map((cause) => cause.class)
  for (const name of classes) assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/)
  const files = readdirSync(`${root}src/explain/causes`).filter(
    (file) => !['cause.ts', 'index.ts', 'shared.ts'].includes(file),
  )
  assert.deepEqual(classes.map((name) => `${name}.ts`).sort(), files.sort())
  for (const cause of CAUSES) {
    const exported = Object.entries(await import(`../../src/explain/causes/${cause.class}.ts`))
    const name = cause.class.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
    assert.deepEqual(exported, [[name, cause]])
  }
})

test('every cause says what happened, how a log shows it and what to check, in sentences', () => {
  for (const cause of CAUSES) {
    assert.ok(cause.name !== '', cause.class)
    for (const [part, texts] of Object.entries({
      signature: cause.signature,
      explanation: cause.explanation,
      check: cause.check,
      fixes: cause.fixes.map((fix) => fix.what),
      avoid: cause.avoid,
    })) {
      if (part !== 'fixes' && part !== 'avoid') assert.ok(texts.length > 0, `${cause.class} has no ${part}`)
      for (const text of texts) {
        assert.match(text, /^\S.*[.?]$/, `${cause.class}, ${part}: ${text}`)
        assert.equal(text.split('`').length % 2, 1, `${cause.class}, ${part}: odd back quotes in ${text}`)
      }
    }
    for (const fix of cause.fixes) {
      if (fix.commit !== undefined) assert.match(fix.commit, /^[0-9a-f]{10,40}$/, cause.class)
    }
  }
})

test('the classes that a text refers to exist', () => {
  const classes = new Set(CAUSES.map((cause) => cause.class))
  for (const [name, text] of pages) {
    for (const [, said] of text
      .replace(/\s+/g, ' ')
      .matchAll(/\b(?:see|class|that of) ([a-z0-9]+(?:-[a-z0-9]+)+)/g)) {
      assert.ok(classes.has(said), `${name} refers to ${said}`)
    }
  }
})

test('the pages have no line above 110 columns', () => {
  for (const [name, text] of pages) {
    for (const line of text.split('\n')) assert.ok(line.length <= 110, `${name}: ${line}`)
  }
})
