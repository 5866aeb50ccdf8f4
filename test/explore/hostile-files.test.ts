import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { jsonText, mutateBytes, mutateJson } from '../../fuzz/mutate.ts'
import { BadInput } from '../../src/bits/bad-input.ts'
import { explore, planOf } from '../../src/explore/exports.ts'
import { readSearch } from '../../src/explore/search/saved-search.ts'
import { Visited } from '../../src/explore/search/visited.ts'
import { run as runPiece, type SweepSpec } from '../../src/explore/sweep/piece.ts'
import { headerLine, mergeResults, readResults, rowLine } from '../../src/explore/sweep/results.ts'
import { loadSweep, saveSweep } from '../../src/explore/sweep/saved-sweep.ts'
import { summarize } from '../../src/explore/sweep/summary.ts'
import { Random } from '../tools/random.ts'
import { xenolith } from '../tools/tools.ts'

/** Checkpoints and results that somebody has written, with checksums that are right: one line each, and nothing that hangs. */

const folder = mkdtempSync(join(tmpdir(), 'hostile-'))
after(() => rmSync(folder, { recursive: true }))
const inFolder = (name: string): string => join(folder, name)

const SPEC: SweepSpec = {
  space: {
    maps: [null],
    memory: [0x4000, { from: 0x8000, to: 0x8004, step: 2 }],
    memoryCap: null,
    vEnd: [0x200_0000],
    kernelSize: [null],
    initrdSize: [null],
    append: [null],
    xen: ['seed'],
    linux: ['B', 'C'],
    common: {},
  },
  seed: 1,
  forecast: true,
}
const WHOLE = { index: 1, of: 1 }
const ROWS = runPiece(SPEC, 0)
const SWEEP = inFolder('sweep')
saveSweep(SWEEP, { spec: SPEC, shard: WHOLE, done: 1, rows: ROWS })

const SEARCH = inFolder('search')
const PLAN = {
  space: { xen: '4.17', domain: 'dom0', pages: 1, holes: '182' },
  depth: 3,
  walks: 640,
  length: 10,
  seed: 1,
  all: true,
} as const
const controller = new AbortController()
await explore(PLAN, {
  threads: 1,
  signal: controller.signal,
  checkpoint: SEARCH,
  progress({ stage }) {
    if (stage === 'walks') controller.abort()
  },
})

// biome-ignore lint/suspicious/noExplicitAny: an attacker's head has anything in it
type Taken = { head: any; parts: Record<string, Uint8Array>; kind: string }

/** A checkpoint's head and parts. */
function takeApart(file: string): Taken {
  const bytes = readFileSync(file)
  const end = bytes.indexOf(10)
  const first = JSON.parse(bytes.subarray(0, end).toString())
  const parts: Record<string, Uint8Array> = {}
  let at = end + 1
  for (const { name, bytes: length } of first.parts) {
    parts[name] = Uint8Array.from(bytes.subarray(at, at + length))
    at += length
  }
  return { head: first.head, parts, kind: first.xenolith }
}

/** A checkpoint of these, with the checksum that belongs to them. */
function forge({ head, parts, kind }: Taken): string {
  const file = inFolder('forged')
  const hash = createHash('sha256').update(jsonText(head))
  for (const [name, bytes] of Object.entries(parts)) hash.update(name).update(bytes)
  const list = Object.entries(parts).map(([name, { length: bytes }]) => ({ name, bytes }))
  const first = { xenolith: kind, schema: 1, head, parts: list, sha256: hash.digest('hex') }
  writeFileSync(file, Buffer.concat([Buffer.from(`${jsonText(first)}\n`), ...Object.values(parts)]))
  return file
}

/** What is said of a file; undefined when it is taken. */
function said(read: (file: string) => unknown, file: string): string | undefined {
  try {
    read(file)
    return undefined
  } catch (error) {
    assert.ok(error instanceof BadInput, (error as Error).stack)
    return error.message
  }
}

test('what was forged without a change is taken', () => {
  assert.deepEqual(loadSweep(forge(takeApart(SWEEP))).rows, ROWS)
  assert.deepEqual(planOf(forge(takeApart(SEARCH))), PLAN)
})

test('a checkpoint of a sweep whose parts do not fit together is refused, with the part', () => {
  const lies: [(taken: Taken) => void, RegExp][] = [
    [
      ({ head }) => {
        delete head.spec.space
      },
      /spec\.space: it is missing/,
    ],
    [
      ({ head }) => {
        head.spec.space = '__proto__'
      },
      /spec\.space: expected Object/,
    ],
    [
      ({ head }) => {
        head.spec.space.linux = [null]
      },
      /linux\.0: expected string/,
    ],
    [
      ({ head }) => {
        head.spec.space.linux = ['Z']
      },
      /Z/,
    ],
    [
      ({ head }) => {
        head.spec.space.xen = ['toString']
      },
      /toString/,
    ],
    [
      ({ head }) => {
        head.spec.space.maps = ['nowhere']
      },
      /no map is named/,
    ],
    [
      ({ head }) => {
        head.spec.space.memory = [{ from: 1, to: 2, step: 0 }]
      },
      /memory\.0/,
    ],
    [
      ({ head }) => {
        head.spec.space.memory = [
          { from: 1, to: 2 ** 40, step: 1 },
          { from: 1, to: 2 ** 40, step: 1 },
        ]
      },
      /nobody can boot/,
    ],
    [
      ({ head }) => {
        head.spec.space.memory = [{ from: 9, to: 1, step: 1 }]
      },
      /memory\.0/,
    ],
    [
      ({ head }) => {
        head.spec.space.vEnd = []
      },
      /vEnd/,
    ],
    [
      ({ head }) => {
        head.shard = { index: 1, of: null }
      },
      /shard\.of: expected number/,
    ],
    [
      ({ head }) => {
        head.shard = { index: 3, of: 2 }
      },
      /a part that is not among so many/,
    ],
    [
      ({ head }) => {
        head.done = 2
      },
      /more than there is|other machines/,
    ],
    [
      ({ head }) => {
        head.done = 0
      },
      /more than there is/,
    ],
    [
      ({ head }) => {
        head.extra = 1
      },
      /extra: there is no such field/,
    ],
    [
      (taken) => {
        taken.parts.rows = taken.parts.rows.subarray(0, -40)
      },
      /row \d+ is none/,
    ],
    [
      (taken) => {
        taken.parts = { rows: taken.parts.rows, more: new Uint8Array(8) }
      },
      /is damaged/,
    ],
    [
      ({ parts }) => {
        parts.rows = Buffer.from(Buffer.from(parts.rows).toString().replace('"n":0', '"n":5'))
      },
      /other machines/,
    ],
    [
      (taken) => {
        taken.kind = 'explore'
      },
      /is no checkpoint of xenolith sweep/,
    ],
  ]
  for (const [i, [lie, message]] of lies.entries()) {
    const taken = takeApart(SWEEP)
    lie(taken)
    assert.match(said(loadSweep, forge(taken)) ?? 'taken', message, `lie ${i}`)
  }
})

test('a checkpoint of a search whose parts do not fit together is refused, with the part', () => {
  const lies: [(taken: Taken) => void, RegExp][] = [
    [
      ({ head }) => {
        head.steps = 'x'
      },
      /steps: expected number/,
    ],
    [
      ({ head }) => {
        head.plan.depth = 2 ** 31
      },
      /plan\.depth: expected <=64/,
    ],
    [
      ({ head }) => {
        head.plan.walks = 'A'.repeat(5000)
      },
      /plan\.walks: expected number, found "A{1,60}…/,
    ],
    [
      ({ head }) => {
        head.plan.space.pages = 9
      },
      /pages/,
    ],
    [
      ({ head }) => {
        head.plan.space.xen = '5.0'
      },
      /5\.0/,
    ],
    [
      ({ head }) => {
        head.plan.space.moves = 'page A\nnothing'
      },
      /nothing/,
    ],
    [
      ({ head }) => {
        head.depth = 9
      },
      /it has searched more|none of its moves/,
    ],
    [
      ({ head }) => {
        head.expanded = 2 ** 20
      },
      /searched more than there is/,
    ],
    [
      ({ head }) => {
        head.walks = 33
      },
      /other walks than there are/,
    ],
    [
      ({ head }) => {
        head.walks = 10_000
      },
      /other walks than there are/,
    ],
    [
      ({ head }) => {
        head.findings.push({ property: 'writable-table', says: 'x', holes: [], sequence: [0] })
      },
      /breaks nothing in this version/,
    ],
    [
      ({ head }) => {
        head.findings.push({ property: 'writable-table', says: 'x', holes: ['__proto__'], sequence: [] })
      },
      /breaks nothing/,
    ],
    [
      ({ head }) => {
        head.findings.push({ property: 'writable-table', says: 'x', holes: [], sequence: [65_535] })
      },
      /breaks nothing/,
    ],
    [
      ({ parts }) => {
        parts.level = parts.level.subarray(2)
      },
      /none of its moves/,
    ],
    [
      ({ parts }) => {
        parts.next = Uint8Array.from({ length: 80 }, () => 0xff)
      },
      /none of its moves/,
    ],
    [
      ({ parts }) => {
        parts.visited = parts.visited.subarray(4)
      },
      /its states are none/,
    ],
  ]
  for (const [i, [lie, message]] of lies.entries()) {
    const taken = takeApart(SEARCH)
    lie(taken)
    assert.match(said(readSearch, forge(taken)) ?? 'taken', message, `lie ${i}`)
  }
})

test('states that all want one place in the set are none of a search', () => {
  // As many as would take minutes to put into it.
  const keys = new Int32Array(2 ** 19)
  for (let n = 0; n < keys.length; n += 2) keys.set([1, n], n)
  assert.equal(Visited.of(keys), null)
  const random = new Random(1)
  for (let n = 0; n < keys.length; n++) keys[n] = random.bits()
  assert.equal(Visited.of(keys)?.size, keys.length / 2)
})

test('a head that is nested without end is no checkpoint', () => {
  const file = inFolder('deep')
  const head = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const sha256 = '0'.repeat(64)
  writeFileSync(file, `{"xenolith":"sweep","schema":1,"head":${head},"parts":[],"sha256":"${sha256}"}\n`)
  assert.match(said(loadSweep, file) ?? '', /is damaged/)
})

const LINES = [headerLine(SPEC, WHOLE, '0'), ...ROWS.map(rowLine)]

test('results whose header lies are refused; rows of a machine that is none are named by their line', () => {
  const header = (change: (value: Taken['head']) => void): string[] => {
    const value = JSON.parse(LINES[0])
    change(value)
    return [JSON.stringify(value), ...LINES.slice(1)]
  }
  const read = (lines: string[]) => said(() => readResults(lines, 'f'), '') ?? 'taken'
  assert.equal(read(LINES), 'taken')
  assert.match(
    read(
      header((v) => {
        v.machines = 3
      }),
    ),
    /says 3 machines, but its axes have others/,
  )
  assert.match(
    read(
      header((v) => {
        v.spec.space = '__proto__'
      }),
    ),
    /^f: line 1, spec\.space/,
  )
  assert.match(
    read(
      header((v) => {
        v.spec.space.vEnd = 2 ** 32
      }),
    ),
    /^f: line 1, spec\.space\.vEnd: expected Array/,
  )
  assert.match(
    read(
      header((v) => {
        v.schema = 2
      }),
    ),
    /schema/,
  )
  assert.match(read([LINES[0], '{"n":0,"outcome":"toString","signature":""}']), /^f: line 2 is no result/)
  assert.match(read([LINES[0], '{"n":99,"outcome":"booted","signature":""}']), /^f: line 2 is no result/)
  const many = Array.from(
    { length: 1001 },
    (_, i) => `{"n":1,"outcome":"refused","signature":"refused: ${i}"}`,
  )
  assert.match(read([LINES[0], ...many]), /1001 ways of failing/)
})

test('a failure that a machine does not show is not shrunk for ever', () => {
  const file = inFolder('invented')
  const rows = ROWS.map(({ n }) => JSON.stringify({ n, outcome: 'fault', signature: `fault: invented ${n}` }))
  writeFileSync(file, [LINES[0], ...rows].join('\n'))
  const { status, stdout } = xenolith(['sweep', 'merge', file, '--threads', '1'])
  assert.equal(status, 0)
  assert.match(stdout, /invented 0/)
  assert.doesNotMatch(stdout, /smallest/)
})

test('whatever is in a file of ours, it is read, or refused in one line', () => {
  const random = new Random(3, 'files')
  let taken = 0
  for (let i = 0; i < 400; i++) {
    const original = takeApart(random.once(2) ? SWEEP : SEARCH)
    const read = original.kind === 'sweep' ? loadSweep : readSearch
    if (random.once(3)) {
      const file = inFolder('changed')
      writeFileSync(file, mutateBytes(readFileSync(original.kind === 'sweep' ? SWEEP : SEARCH), random))
      said(read, file)
      continue
    }
    const parts = Object.fromEntries(
      Object.entries(original.parts).map(([name, bytes]) => [
        name,
        random.once(3) ? mutateBytes(bytes, random) : bytes,
      ]),
    )
    const head = random.once(4) ? original.head : mutateJson(original.head, random)
    if (said(read, forge({ ...original, head, parts })) === undefined) taken++
  }
  assert.ok(taken > 5, `${taken} were taken`)
  for (let i = 0; i < 400; i++) {
    const lines = [...LINES]
    const at = random.between(0, lines.length)
    lines[at] = jsonText(mutateJson(JSON.parse(lines[at]), random))
    said(() => {
      const results = readResults(lines, 'f')
      summarize(mergeResults([{ file: 'f', results }]))
    }, '')
  }
})
