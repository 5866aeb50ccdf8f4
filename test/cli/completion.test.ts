import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { VERBS } from '../../src/cli/options.ts'
import type { Verb } from '../../src/cli/verb.ts'
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/cli/verbs/completion/completion.ts'
import { needs, root, xenolith } from '../tools/tools.ts'

/** The table with a map of our own, so that the test does not depend on which maps ship. */
const verbs: readonly Verb[] = VERBS.map((verb) => ({
  ...verb,
  arguments: (verb.arguments ?? []).map((spec) =>
    spec.files ? { ...spec, values: () => ['msi', 'msi-2'] } : spec,
  ),
  options: verb.options.map((spec) =>
    spec.name === 'map' ? { ...spec, values: () => ['msi', 'msi-2'] } : spec,
  ),
}))

function shell(program: string, flags: string[], script: string): string[] {
  const { status, stdout, stderr } = spawnSync(program, [...flags, '-c', script], {
    encoding: 'utf8',
    cwd: root,
  })
  assert.equal(stderr, '')
  assert.equal(status, 0)
  return stdout.split('\n').filter((line) => line !== '')
}

/** What bash offers for the last of the words, which Readline has already taken apart. */
function bashOffers(...words: string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ')
  return shell(
    'bash',
    ['--norc'],
    `${bashCompletion(verbs)}
     COMP_WORDS=(xenolith ${line}); COMP_CWORD=${words.length}; _xenolith
     printf '%s\\n' "\${COMPREPLY[@]}"`,
  )
}

test('bash completes verbs, options, values and files', { skip: needs('bash') }, () => {
  assert.deepEqual(bashOffers('ma'), ['maps'])
  assert.deepEqual(bashOffers('b'), ['boot'])
  assert.deepEqual(bashOffers('--v'), ['--version'])
  assert.deepEqual(bashOffers('boot', '--me'), ['--memory'])
  assert.deepEqual(bashOffers('boot', '--memory', ''), [])
  assert.deepEqual(bashOffers('boot', '--linux', 'B'), ['B0', 'B', 'B+seed'])
  assert.deepEqual(bashOffers('boot', '--expect', '=', 're'), ['refused'])
  assert.deepEqual(bashOffers('boot', '--expect', '='), ['booted', 'refused', 'fault'])
  assert.deepEqual(bashOffers('boot', '--map', 'msi'), ['msi', 'msi-2'])
  assert.deepEqual(bashOffers('boot', '--map', 'package.'), ['package.json'])
  assert.deepEqual(bashOffers('maps', 'msi-'), ['msi-2'])
  assert.deepEqual(bashOffers('completion', ''), [
    ...['--color', '--debug', '--help', '--version'],
    ...['bash', 'zsh', 'fish'],
  ])
  assert.deepEqual(bashOffers('help', 'comp'), ['completion'])
})

test('fish completes verbs, options, values and files', { skip: needs('fish') }, () => {
  const offers = (line: string) =>
    shell('fish', ['--no-config'], `${fishCompletion(verbs)}\ncomplete -C ${JSON.stringify(line)}`).map(
      (offer) => offer.split('\t')[0],
    )
  assert.deepEqual(offers('xenolith ma'), ['maps'])
  assert.deepEqual(offers('xenolith boot --mem'), ['--memory'])
  assert.deepEqual(offers('xenolith boot --expect re'), ['refused'])
  assert.deepEqual(offers('xenolith boot --linux B').sort(), ['B', 'B+seed', 'B0'])
  assert.deepEqual(offers('xenolith boot --map ms').sort(), ['msi', 'msi-2'])
  assert.deepEqual(offers('xenolith boot --map package.'), ['package.json'])
  assert.deepEqual(offers('xenolith completion z'), ['zsh'])
})

test('zsh completes verbs, options, values and files', { skip: needs('zsh') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-'))
  after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, '_xenolith'), zshCompletion(verbs))
  const setUp = `PS1=; stty cols 200 -echo; fpath=(${folder} $fpath); autoload -Uz compinit; compinit -D -u
    setopt no_beep; bindkey '^I' list-choices; print REA''DY`
  const checks: [line: string, offered: string][] = [
    ['xenolith ma', '*maps*--*List the memory maps*'],
    ['xenolith boot --mem', '*--memory*--*3072M*'],
    ['xenolith boot --expect re', '*refused*'],
    ['xenolith boot --linux=B', '*B *B+seed *B0*'],
    ['xenolith boot --map ms', '*msi *msi-2*'],
    ['xenolith boot --map package.js', '*package.json*'],
    ['xenolith maps ms', '*msi *msi-2*'],
    ['xenolith completion z', '*zsh*'],
  ]
  // A pseudo-terminal of zsh's own types each line and a tab, and waits until zsh has drawn the offer.
  const script = `zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell ${singleQuoted(setUp)}
    zpty -r shell seen '*READY*'
    for line offered in ${checks.flat().map(singleQuoted).join(' ')}; do
      zpty -w -n shell $line$'\\t'
      zpty -r shell seen $offered
      print -r -- $line
      zpty -w -n shell $'\\x15'
    done
    zpty -d shell`
  const run = spawnSync('zsh', ['-f', '-c', script], { encoding: 'utf8', cwd: root, timeout: 20_000 })
  assert.deepEqual(
    run.stdout.trimEnd().split('\n'),
    checks.map(([line]) => line),
  )
})

function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

for (const name of ['bash', 'zsh', 'fish']) {
  test(`the script for ${name} is what the verb prints`, () => {
    const make = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[name]!
    assert.equal(xenolith(['completion', name]).stdout, `${make(VERBS)}\n`)
  })
}
