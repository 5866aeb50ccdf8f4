import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { wantsColour } from '../../src/cli/io.ts'
import { main } from '../../src/cli/main.ts'
import { VERBS } from '../../src/cli/options.ts'
import type { Values, Verb } from '../../src/cli/verb.ts'
import { bootOptions, type RawBootOptions } from '../../src/run/boot/boot-options.ts'
import { listeningIo } from '../tools/listening-io.ts'
import { needs, root, xenolith } from '../tools/tools.ts'

const ESCAPE = String.fromCharCode(27)

for (const verb of VERBS) {
  test(`${verb.name} --help is one screen with three examples`, () => {
    const { status, stdout, stderr } = xenolith([verb.name, '--help'])
    assert.equal(status, 0)
    assert.equal(stderr, '')
    const lines = stdout.trimEnd().split('\n')
    assert.deepEqual(
      lines.filter((line) => line.length > 80),
      [],
    )
    assert.ok(lines.length <= (verb.options.length > 10 ? 40 : 27), `${lines.length} lines`)
    assert.ok(verb.examples.length >= 3)
    for (const { command } of verb.examples) assert.ok(stdout.includes(`  ${command}`), command)
    for (const option of verb.options) assert.ok(stdout.includes(` --${option.name}`), option.name)
    assert.equal(xenolith(['help', verb.name]).stdout, stdout)
  })
}

test('without arguments the verbs are shown, on 80 columns', () => {
  const { status, stdout } = xenolith([])
  assert.equal(status, 0)
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.length > 80),
    [],
  )
  for (const verb of VERBS) assert.match(stdout, new RegExp(`^  ${verb.name} +${verb.summary}$`, 'm'))
  assert.equal(xenolith(['--help']).stdout, stdout)
  assert.equal(xenolith(['help']).stdout, stdout)
})

test('--version is that of package.json, before a verb and after one', () => {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  assert.equal(xenolith(['--version']).stdout, `${version}\n`)
  assert.equal(xenolith(['boot', '--version']).stdout, `${version}\n`)
})

const bad: [words: string[], message: RegExp][] = [
  [['bot'], /unknown command 'bot' \(did you mean boot\?\)/],
  [['boot', '--memry', '3G'], /unknown option '--memry' \(did you mean --memory\?\)/],
  [['boot', '--memory'], /'--memory <SIZE>' argument missing/],
  [['boot', '--memory', '-1'], /--memory '-1' is not a size/],
  [['boot', '--memory', '5000B'], /--memory 5000B is not a whole number/],
  [['boot', '--v-end', '0x10500000'], /--v-end 0x10500000 is not a multiple of 4 MiB/],
  [['boot', '--xen', 'sed'], /--xen 'sed' is not known \(did you mean seed\?\)/],
  [['boot', '--expect', 'boted'], /did you mean booted\?/],
  [['boot', 'dom.cfg'], /cannot read dom.cfg: no such file/],
  [['boot', '--dom0', '--domu'], /--dom0 and --domu exclude each other/],
  [['boot', '--mfn', 'bacf7'], /--mfn 'bacf7' is not PFN=MFN/],
  [['boot', '--mfn', 'a\nb\u001b[31m=1'], /--mfn 'a\\x0ab\\x1b\[31m=1' is not PFN=MFN/],
  [['boot', '--append', 'ümlaut'], /--append has a character/],
  [['boot', '--map', ''], /--map is empty/],
  [['boot', '--map', '/no/such/map.json'], /cannot read \/no\/such\/map\.json: no such file or folder/],
  [['boot', '--map', '/dev'], /cannot read \/dev: it is a folder/],
  [['boot', '--map', 'no-such-map-at-all'], /no-such-map-at-all/],
  [['boot', '--trace', ''], /--trace is empty/],
  [['boot', '--trace', '/no/such/folder/t.jsonl'], /cannot write \/no\/such\/folder\/t\.jsonl: no such file/],
  [['boot', '--trace', '/tmp'], /cannot write \/tmp: it is a folder/],
  [['boot', '--color', 'red'], /--color 'red' is not known/],
  [['maps', '/no/such/map.json'], /cannot read/],
  [['maps', 'one', 'two'], /too many arguments for 'maps'/],
  [['completion'], /missing required argument 'SHELL'/],
  [['completion', 'tcsh'], /SHELL 'tcsh' is not known/],
  [['help', 'bot'], /did you mean boot\?/],
  [['--debug'], /a verb is missing: boot/],
  [['--colour', 'never', 'maps'], /unknown option '--colour'/],
]
for (const [words, message] of bad) {
  test(`bad input: ${JSON.stringify(words.join(' '))}`, () => {
    const { status, stdout, stderr } = xenolith(words, { FORCE_COLOR: '1' })
    assert.equal(status, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^xenolith: [^\n]+\n$/)
    assert.doesNotMatch(stderr, /^ +at /m)
    assert.ok(!stderr.includes(ESCAPE))
    assert.match(stderr, message)
  })
}

test('no control codes go into a pipe, and colour comes when it is asked for', () => {
  assert.ok(!xenolith(['maps']).stdout.includes(ESCAPE))
  assert.ok(xenolith(['maps', '--color', 'always']).stdout.includes(ESCAPE))
  assert.ok(xenolith(['maps'], { FORCE_COLOR: '1' }).stdout.includes(ESCAPE))
  assert.ok(!xenolith(['maps', '--color=never'], { FORCE_COLOR: '1' }).stdout.includes(ESCAPE))
})

test('who decides on colour', () => {
  assert.equal(wantsColour('auto', {}, true), true)
  assert.equal(wantsColour('auto', {}, false), false)
  assert.equal(wantsColour('auto', { NO_COLOR: '1' }, true), false)
  assert.equal(wantsColour('auto', { NO_COLOR: '' }, true), true)
  assert.equal(wantsColour('auto', { FORCE_COLOR: '0' }, true), false)
  assert.equal(wantsColour('auto', { FORCE_COLOR: '1', NO_COLOR: '1' }, false), true)
  assert.equal(wantsColour('auto', { TERM: 'dumb' }, true), false)
  assert.equal(wantsColour('always', { NO_COLOR: '1' }, false), true)
  assert.equal(wantsColour('never', { FORCE_COLOR: '1' }, true), false)
})

/** Runs a command line in this process, with the verbs given. */
async function runHere(words: string[], verbs: readonly Verb[]) {
  const { io, out, err } = listeningIo()
  const status = await main(words, verbs, () => io)
  return { status, out: out.join('\n'), err: err.join('\n') }
}

test('every example is a command line that xenolith accepts', async () => {
  for (const verb of VERBS) {
    for (const { command } of verb.examples) {
      const words = /xenolith ([^|>)]*)/
        .exec(command)![1]
        .trim()
        .match(/"[^"]*"|[^ ]+/g)!
      let seen: Values | undefined
      const watched = VERBS.map((each) => ({
        ...each,
        load: async () => ({
          run(values: Values) {
            seen = values
            return 0
          },
        }),
      }))
      const { status, err } = await runHere(
        words.map((word) => word.replaceAll('"', '')),
        watched,
      )
      assert.equal(err, '', command)
      assert.equal(status, 0, command)
      if (verb.name === 'boot') bootOptions(seen as RawBootOptions)
    }
  }
})

test('lists add up, options keep what looks like another option', async () => {
  let seen: Values = {}
  const watched = VERBS.map((verb) => ({
    ...verb,
    load: async () => ({
      run(values: Values) {
        seen = values
        return 0
      },
    }),
  }))
  await runHere(
    ['boot', '--mfn', '1=2', '--mfn=3=4', '--append', '--debug', '--v-end', '4M', '--color=never'],
    watched,
  )
  assert.deepEqual(
    { ...seen },
    { guest: undefined, mfn: ['1=2', '3=4'], append: '--debug', vEnd: '4M', color: 'never' },
  )
})

test('an internal error is one line and 70; its stack comes with --debug', async () => {
  const broken = VERBS.map((verb) => ({
    ...verb,
    load: async () => ({
      run(): number {
        throw new Error('a\nmishap')
      },
    }),
  }))
  const quiet = await runHere(['boot'], broken)
  assert.equal(quiet.status, 70)
  assert.equal(quiet.err, 'xenolith: internal error: a\\x0amishap; run again with --debug and report it')
  const loud = await runHere(['boot', '--debug'], broken)
  assert.equal(loud.status, 70)
  assert.match(loud.err, /\n +at /)
})

test('a reader that stops early is no error', { skip: needs('bash') }, () => {
  const script = `"$0" "$1" help boot | head -c 1; echo "\${PIPESTATUS[0]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', script, process.execPath, `${root}bin/xenolith.js`], {
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  assert.equal(stdout, 'U0\n')
})

test('a flag that begins with no- has its effect', () => {
  const sweep = ['sweep', '--map', 'none', '--linux', 'B', '--v-end', '24M', '--memory', '0x40201p', '--json']
  const usual = JSON.parse(xenolith(sweep).stdout)
  assert.equal(usual.forecast.skipped, 1)
  assert.notEqual(usual.groups[0].smallest, null)
  const without = JSON.parse(xenolith([...sweep, '--no-forecast', '--no-shrink']).stdout)
  assert.equal(without.forecast.skipped, 0)
  assert.equal(without.groups[0].smallest, null)
  const boot = xenolith(['boot', '--linux', 'B', '--domu', '--memory', '0x40201p', '--v-end', '24M'])
  const explain = (...words: string[]) =>
    JSON.parse(xenolith(['explain', '--json', ...words], {}, boot.stdout).stdout)
  assert.notEqual(explain().confirmation, null)
  assert.equal(explain('--no-boot').confirmation, null)
})
