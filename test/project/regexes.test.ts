import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FoundRegex, regexesIn, regexesMadeBy } from '../tools/regex/collect.ts'
import { growthOf } from '../tools/regex/growth.ts'
import { root } from '../tools/tools.ts'

/**
 * No regular expression of ours takes longer than in proportion to its text, whoever wrote the text: a log, a map, a
 * script, a guest. What is refused here is rewritten; there is no list of exceptions.
 */

/** Where expressions are made from data; they are judged as made. */
const MAKES_ITS_OWN = 'src/explain/log/message-table.ts'

test('no regular expression in the sources is superlinear', () => {
  const found = regexesIn(root, ['src', 'web/src', 'bin'])
  assert.ok(found.length > 300, `${found.length} expressions were found`)
  assert.deepEqual(found.flatMap(complaint), [])
})

test("nor one that is made from the table of Xen's messages", async () => {
  const made = await regexesMadeBy(() => import('../../src/explain/log/message-table.ts'))
  assert.ok(made.length > 100, `${made.length} expressions were made`)
  const judged = made.flatMap(({ source, flags }) => complaint({ at: MAKES_ITS_OWN, source, flags }))
  assert.deepEqual(judged, [])
})

function complaint(regex: FoundRegex): string[] {
  if ('made' in regex) {
    return regex.at.startsWith(MAKES_ITS_OWN)
      ? []
      : [`${regex.at}: ${regex.made} is made at run time, where nothing judges it`]
  }
  const growth = growthOf(regex.source, regex.flags)
  return growth === undefined
    ? []
    : [`${regex.at}: /${regex.source}/${regex.flags} is ${growth.kind}: ${growth.why}`]
}

// What the judge has to know, by hand. Each of the first is superlinear in today's engine.
const SUPERLINEAR: readonly (readonly [regex: RegExp, kind: string])[] = [
  [/\s+$/, 'polynomial'],
  [/\d+x/, 'polynomial'],
  [/a.*b/, 'polynomial'],
  [/a.*$/, 'polynomial'],
  [/^\s*\W{2,}\s*$/, 'polynomial'],
  [/^\[\s*(?:T?\d+[.\d]*)?\d+\.\d{3,}\]/, 'polynomial'],
  [/<p(?:\s[^<>]*)?\s*\/?>/g, 'polynomial'],
  [/\bcall\s+\d+:\s+op=\d+(?!.*\bargs?=.)/, 'polynomial'],
  [/(?=.*x)y/, 'polynomial'],
  [/\b[\w.+-]+@[\w-]+/, 'polynomial'],
  [/(?:^|,)\s*(.*?)\s*=/, 'polynomial'],
  [/\s+x/i, 'polynomial'],
  [/^[ \t]*#.*$|\s+!/m, 'polynomial'],
  [/^(?:a|a)*$/, 'exponential'],
  [/^(?:a.*z|a)*$/, 'exponential'],
  [/^(?:\w+\s?)*$/, 'exponential'],
  [/^(?:[^"]+|"[^"]*")*;/, 'exponential'],
  [/(?:a*)*b/, 'refused'],
  [/(\w+) \1/, 'refused'],
  [/(?<=\s\w+)x/, 'refused'],
]
for (const [regex, kind] of SUPERLINEAR) {
  test(`the judge finds ${regex} ${kind}`, () => {
    assert.equal(growthOf(regex.source, regex.flags)?.kind, kind)
  })
}

const LINEAR: readonly RegExp[] = [
  /x/,
  /^\s+/,
  /^\s+$/,
  /(?<!\s)\s+$/,
  /(?<!\d)\d+x/,
  /\b\d+x/,
  /a[^a]*b/,
  /a.*/,
  /a.{0,80}b/,
  /^a.*b/,
  /^a.*b$/m,
  /^[ \t]*#/m,
  /\s+/g,
  /\w+|\s+/g,
  /<[^<>]*>/g,
  /^(?:\w+\s)*$/,
  /^(?:"[^"]*"|[^"])*$/,
  /^.*?(?:ab|cd)/,
  /\d{1,3}(?:\.\d{1,3}){3}/,
  /(?:[^\S\n]|#[^\n]*|\\\n)+/y,
  /\p{L}+/u,
]
for (const regex of LINEAR) {
  test(`the judge finds nothing in ${regex}`, () => {
    assert.equal(growthOf(regex.source, regex.flags), undefined)
  })
}
