import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { manPage } from '../../src/cli/man.ts'
import { VERBS } from '../../src/cli/options.ts'
import { packageVersion } from '../../src/cli/version.ts'
import { needs, root } from '../tools/tools.ts'

test("the manual page is up to date; 'npm run man' makes it so", () => {
  assert.ok(readFileSync(`${root}man/xenolith.1`, 'utf8') === manPage(VERBS, packageVersion()))
})

test('groff sets the manual page without a warning', { skip: needs('groff') }, () => {
  const { status, stdout, stderr } = spawnSync(
    'groff',
    ['-man', '-Tascii', '-P-cbou', '-ww', `${root}man/xenolith.1`],
    {
      encoding: 'utf8',
    },
  )
  assert.equal(stderr, '')
  assert.equal(status, 0)
  for (const verb of VERBS) {
    assert.match(stdout, new RegExp(`^${verb.name.toUpperCase()}$`, 'm'))
    for (const option of verb.options) assert.match(stdout, new RegExp(`^ +--${option.name}\\b`, 'm'))
  }
})
