import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Explored, type ExplorePlan, explore, resume, scriptOf } from '../../src/explore/exports.ts'
import { brokenPropertiesOf } from '../../src/run/check/properties.ts'
import { runScript } from '../../src/run/script/script.ts'
import { versions } from '../../src/xen/versions/index.ts'
import { howMany, sampled } from '../tools/sample.ts'
import { root, xenolith } from '../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'explore-'))
after(() => rmSync(folder, { recursive: true }))

const never = new AbortController().signal

function plan(space: Partial<ExplorePlan['space']>, rest: Partial<ExplorePlan> = {}): ExplorePlan {
  return {
    space: { xen: '4.17', domain: 'dom0', pages: 1, holes: 'none', ...space },
    depth: 4,
    walks: 0,
    length: 40,
    seed: 1,
    all: false,
    ...rest,
  }
}

/** The properties that a finding's script breaks, run for itself with these holes open. */
function rerun({ plan: { space } }: Explored, sequence: readonly number[], holes: string): string[] {
  const found = new Set<string>()
  runScript(scriptOf(space, sequence).join('\n'), {
    xen: space.xen,
    domain: space.domain,
    holes,
    after: (xen) => {
      for (const { property } of brokenPropertiesOf(xen)) found.add(property)
    },
  })
  return [...found]
}

/** What breaks when one hole is open and nothing else is said, and how few moves it takes. */
const REDISCOVERED = {
  148: ['writable-table', 3],
  154: ['cached-device', 1],
  182: ['writable-table', 2],
  240: ['table-chain', 4],
  213: ['user-mode-call', 4],
  298: ['descriptor-limit', 4],
} as const

for (const [hole, [property, moves]] of sampled(Object.entries(REDISCOVERED), 2)) {
  test(`the search finds XSA-${hole} again`, async () => {
    const explored = await explore(plan({ holes: hole }), { threads: 2, signal: never })
    assert.equal(explored.ended, 'found')
    assert.equal(explored.findings.length, 1)
    const [finding] = explored.findings
    assert.deepEqual([finding.property, finding.holes, finding.sequence.length], [property, [hole], moves])
    assert.ok(rerun(explored, finding.sequence, hole).includes(property))
    assert.deepEqual(rerun(explored, finding.sequence, 'none'), [])
  })
}

test('nothing is found where all holes are closed, in a dom0 and in a domU', async () => {
  const [depth, walks] = [howMany({ all: 4, few: 3 }), howMany({ all: 2000, few: 500 })]
  for (const domain of ['dom0', 'domU'] as const) {
    const explored = await explore(plan({ domain }, { depth, walks }), {
      threads: 2,
      signal: never,
    })
    assert.equal(explored.ended, 'done')
    assert.deepEqual(explored.findings, [])
    assert.deepEqual([explored.depth, explored.walks], [depth, walks])
    assert.ok(explored.states > 200, `${explored.states} states`)
  }
})

const isCi = process.env.CI === 'true'

/** A search with the holes that a version has open by itself. */
function searched(xen: string, rest: Partial<ExplorePlan>): Promise<Explored> {
  const { holes: _, ...space } = plan({ xen }).space
  return explore({ ...plan({}), ...rest, space }, { threads: 2, signal: never })
}

for (const { name, holes: open } of versions) {
  // One version with holes and one without are searched everywhere, all of them where there is time.
  const skip = isCi || ['4.1', '4.20'].includes(name) ? false : 'CI=true searches every version'
  if (open.length > 0) {
    test(`${name} has several holes, and each finding names its own`, { skip }, async () => {
      const explored = await searched(name, { walks: 500 })
      const blamed = explored.findings.map(({ holes }) => holes.join())
      for (const hole of Object.keys(REDISCOVERED).filter((hole) => open.includes(hole)))
        assert.ok(blamed.includes(hole), `${blamed}`)
      for (const { property, holes, sequence } of explored.findings) {
        assert.ok(rerun(explored, sequence, holes.join() || 'none').includes(property))
        assert.ok(holes.every((hole) => open.includes(hole)))
      }
    })
  } else {
    test(`nothing is found in ${name}, which has every hole closed`, { skip }, async () => {
      const explored = await searched(name, isCi ? { depth: 4, walks: 2000 } : { depth: 3, walks: 200 })
      assert.equal(explored.ended, 'done')
      assert.deepEqual(explored.findings, [])
    })
  }
}

test('random walks find what lies deeper, and shrink it', async () => {
  // The moves that XSA-286 takes, among as many others.
  const moves = [
    'page A B C',
    ...['A', 'B', 'C'].flatMap((p) => [
      `ro ${p}`,
      `rw ${p}`,
      `pin1 ${p}`,
      `unpin ${p}`,
      `mmu KL2[500] = ${p}|P|RW|US`,
      `uvm V:511.510.500.0 = ${p}|P|RW|US`,
    ]),
    'mmu KL2[500] = KL1W|P|RW|US',
    'mmu KL2[500] = 0',
    'uvm V:511.510.500.0 = 0',
  ].join('\n')
  const explored = await explore(plan({ holes: '286', moves, pages: 3 }, { depth: 1, walks: 20_000 }), {
    threads: 2,
    signal: never,
  })
  const [finding] = explored.findings
  assert.deepEqual([finding?.property, finding?.holes], ['writable-table', ['286']])
  assert.ok(finding.sequence.length <= 7, scriptOf(explored.plan.space, finding.sequence).join('; '))
  // No move of it can be left out.
  finding.sequence.forEach((_, i) => {
    assert.deepEqual(rerun(explored, finding.sequence.toSpliced(i, 1), '286'), [])
  })
})

/** How deep searches go that are compared with others. */
const SHALLOW = howMany({ all: 3, few: 2 })

test('the number of threads changes nothing of what is found', async () => {
  const what = plan({ xen: 'seed', holes: '148,240', pages: 2 }, { depth: SHALLOW, walks: 640, all: true })
  const one = await explore(what, { threads: 1, signal: never })
  const two = await explore(what, { threads: 2, signal: never })
  assert.deepEqual(two, one)
  assert.ok(one.findings.length > 0)
})

test('a search that was interrupted goes on from its checkpoint as if it had not been', async () => {
  const what = plan({ xen: 'seed', holes: '148,298', pages: 2 }, { depth: SHALLOW, walks: 320, all: true })
  const whole = await explore(what, { threads: 2, signal: never })
  for (const stopAt of sampled([2, 8, 15], 3)) {
    const file = join(folder, `stop-${stopAt}`)
    const controller = new AbortController()
    let told = 0
    const part = await explore(what, {
      threads: 2,
      signal: controller.signal,
      checkpoint: file,
      progress: () => {
        if (++told === stopAt) controller.abort()
      },
    })
    assert.equal(part.ended, 'interrupted', `${told} pieces`)
    assert.ok(part.steps < whole.steps)
    assert.deepEqual(await resume(file, { threads: 2, signal: never }), whole)
  }
})

test('--json is one document, and its replay command shows the broken property', () => {
  const { status, stdout, stderr } = xenolith(['explore', '--holes', '182', '--json'])
  assert.equal(status, 0, stderr)
  const document = JSON.parse(stdout)
  assert.equal(document.found, true)
  assert.equal(document.property, 'writable-table')
  assert.deepEqual(document.sequence.slice(1), ['mmu KL4[300] = KL4|P|US', 'mmu KL4[300] = KL4|P|RW|US'])
  assert.ok(document.states > 0 && document.seconds > 0 && document.steps >= document.states)
  assert.deepEqual(document.findings[0].holes, ['182'])
  const replayed = spawnSync(
    'bash',
    ['-c', document.findings[0].replay.replace('xenolith', 'node bin/xenolith.js')],
    {
      cwd: root,
      encoding: 'utf8',
    },
  )
  assert.equal(replayed.status, 1, replayed.stderr)
  assert.match(replayed.stdout, /!! writable-table: frame [0-9a-f]+ is a table in use/)
})

test('--expect sets the exit status', () => {
  const quick = ['explore', '--pages', '1', '--depth', '1', '--walks', '0']
  assert.equal(xenolith([...quick, '--expect', 'nothing']).status, 0)
  const wrong = xenolith([...quick, '--expect', 'found'])
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /expected found, but the outcome was nothing/)
})

test('^C once saves and ends, and --resume goes on', async () => {
  const file = join(folder, 'interrupted')
  const child = spawn(
    process.execPath,
    [
      'bin/xenolith.js',
      'explore',
      '--pages',
      '2',
      '--depth',
      '3',
      '--walks',
      '1000000',
      '--checkpoint',
      file,
    ],
    { cwd: root },
  )
  let [out, err] = ['', '']
  child.stdout.on('data', (text) => {
    out += text
  })
  child.stderr.on('data', (text) => {
    err += text
  })
  // It heeds signals from before its first word on.
  while (!out.includes('all sequences of')) await new Promise((resolve) => setTimeout(resolve, 50))
  await new Promise((resolve) => setTimeout(resolve, 500))
  child.kill('SIGINT')
  const status = await new Promise((resolve) => child.on('exit', resolve))
  assert.equal(status, 130, err)
  assert.match(err, /interrupted; go on with: xenolith explore --resume /)
  assert.match(out, /nothing found when interrupted/)
  assert.ok(existsSync(file))
  const { head } = JSON.parse(readFileSync(file, 'latin1').split('\n')[0])
  assert.ok(head.steps > 0)
  const changed = { ...head.plan, walks: head.walks }
  assert.equal(changed.depth, 3)
  const refused = xenolith(['explore', '--resume', file, '--seed', '2'])
  assert.equal(refused.status, 2)
  assert.match(refused.stderr, /--resume and --seed/)
})

test('bad input is one line and status 2', () => {
  const noCheckpoint = join(folder, 'none')
  writeFileSync(noCheckpoint, 'page A\nro A\n')
  for (const [words, why] of [
    [['--depth', 'x'], /--depth x: give a whole number from 0 to 64/],
    [['--pages', '9'], /--pages 9/],
    [['--walks', '-1'], /--walks -1/],
    [['--holes', '149'], /'149' is no hole/],
    [['--xen', '4.2'], /4\.2/],
    [['--moves', join(folder, 'missing')], /cannot read/],
    [['--moves', noCheckpoint, '--pages', '2'], /leave --pages out/],
    [['--resume', noCheckpoint], /is no checkpoint/],
    [['--resume', join(folder, 'missing')], /cannot read .*missing: no such file/],
    [['--threads', '0'], /--threads 0/],
    [
      ['--checkpoint', join(folder, 'no', 'such'), '--depth', '0', '--walks', '0'],
      /cannot write .*such: no such file/,
    ],
  ] as const) {
    const { status, stderr, stdout } = xenolith(['explore', ...words])
    assert.equal(status, 2, words.join(' '))
    assert.match(stderr, why)
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
    assert.equal(stdout, '')
  }
})
