import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { main } from '../../src/cli/main.ts'
import { explore } from '../../src/explore/explore.ts'
import { Saves } from '../../src/explore/jobs/saves.ts'
import { checkWritable, lineWriter, writeWhole } from '../../src/files/write.ts'
import { failingCalls } from '../tools/failing-files.ts'
import { root, xenolith } from '../tools/tools.ts'

const base = mkdtempSync(join(tmpdir(), 'write-'))
after(() => rmSync(base, { recursive: true }))
let folders = 0
/** A new folder with a file `old` in it. */
function folder(): string {
  const path = join(base, String(folders++))
  mkdirSync(path)
  writeFileSync(join(path, 'old'), 'old content')
  return path
}

/** Carries a command out in this process: its status, and what it says on standard error. */
async function run(words: readonly string[]): Promise<{ status: number; errors: string[] }> {
  const errors: string[] = []
  const io = { out() {}, err: (line: string) => void errors.push(line), colour: false }
  const status = await main(words, undefined, () => io)
  return { status, errors }
}

// ---- what is written, and where ----

test('a file is written whole, in parts or line by line, and nothing is left beside it', () => {
  const at = folder()
  writeWhole(join(at, 'old'), 'new')
  writeWhole(join(at, 'parts'), [Buffer.from('a'), Buffer.from('b')])
  const lines = lineWriter(join(at, 'lines'))
  for (let i = 0; i < 30_000; i++) lines.line(`line ${i}`)
  assert.equal(existsSync(join(at, 'lines')), false)
  lines.finish()
  lines.abandon()
  checkWritable('--out', join(at, 'none'))
  assert.deepEqual(readdirSync(at).sort(), ['lines', 'old', 'parts'])
  assert.equal(readFileSync(join(at, 'old'), 'utf8'), 'new')
  assert.equal(readFileSync(join(at, 'parts'), 'utf8'), 'ab')
  assert.equal(readFileSync(join(at, 'lines'), 'utf8').split('\n').length, 30_001)
})

test("a file keeps its mode, its links, and a user's own file of a like name", () => {
  const at = folder()
  const old = join(at, 'old')
  writeFileSync(`${old}.partial`, 'mine')
  chmodSync(old, 0o640)
  symlinkSync('old', join(at, 'link'))
  symlinkSync('not/yet', join(at, 'far'))
  mkdirSync(join(at, 'not'))
  writeWhole(join(at, 'link'), 'through the link')
  writeWhole(join(at, 'far'), 'first')
  assert.equal(statSync(old).mode & 0o777, 0o640)
  assert.ok(lstatSync(join(at, 'link')).isSymbolicLink() && lstatSync(join(at, 'far')).isSymbolicLink())
  assert.equal(readFileSync(old, 'utf8'), 'through the link')
  assert.equal(readFileSync(join(at, 'not', 'yet'), 'utf8'), 'first')
  assert.equal(readFileSync(`${old}.partial`, 'utf8'), 'mine')
  symlinkSync('round', join(at, 'round'))
  assert.throws(() => writeWhole(join(at, 'round'), ''), /its links go round in a circle/)
  assert.throws(() => writeWhole(at, ''), /it is a folder/)
  assert.throws(() => writeWhole(join(at, 'no', 'such'), ''), /no such file or folder/)
  assert.throws(() => checkWritable('--out', ''), /--out is empty/)
})

test('devices and pipes are written to and stay what they are', () => {
  const at = folder()
  writeWhole('/dev/null', 'gone')
  checkWritable('--out', '/dev/null')
  assert.ok(lstatSync('/dev/null').isCharacterDevice())
  assert.throws(() => writeWhole('/dev/full', 'x'), /\/dev\/full: the disk is full \(ENOSPC\)/)
  const fifo = join(at, 'fifo')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  const write = `import { checkWritable, writeWhole } from '${root}src/files/write.ts'
    checkWritable('--out', '${fifo}'); writeWhole('${fifo}', 'through the pipe')`
  const both = `"$1" --input-type=module -e "$2" & cat "$3"; wait`
  const { stdout } = spawnSync('sh', ['-c', both, 'sh', process.execPath, write, fifo], { encoding: 'utf8' })
  assert.equal(stdout, 'through the pipe')
  assert.ok(lstatSync(fifo).isFIFO())
  assert.deepEqual(readdirSync(at).sort(), ['fifo', 'old'])
})

test('standard output is written to where it stands, also when it is a file', () => {
  const out = join(folder(), 'old')
  const write = `import { writeWhole } from '${root}src/files/write.ts'
    import { writeSync } from 'node:fs'
    writeSync(1, 'one '); writeWhole('/dev/stdout', 'two '); writeWhole('/proc/self/fd/1', 'three'); writeSync(1, ' four')`
  const shell = '"$1" --input-type=module -e "$2" > "$3"'
  assert.equal(spawnSync('sh', ['-c', shell, 'sh', process.execPath, write, out]).status, 0)
  assert.equal(readFileSync(out, 'utf8'), 'one two three four')
})

test('a process that ends in the middle leaves nothing behind', () => {
  const at = folder()
  const write = `import { lineWriter } from '${root}src/files/write.ts'
    lineWriter('${join(at, 'old')}').line('x')
    process.exit(3)`
  assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', write]).status, 3)
  assert.deepEqual(readdirSync(at), ['old'])
})

// ---- every call fails once ----

/** What is done with a file, by the names of the calls that it makes. */
const USES: Readonly<Record<string, { readonly content: string; readonly use: (file: string) => void }>> = {
  'write whole': { content: 'new content', use: (file) => writeWhole(file, 'new content') },
  'in parts': {
    content: 'new content',
    use: (file) => writeWhole(file, [Buffer.from('new '), Buffer.from('content')]),
  },
  'line by line': {
    content: 'new\ncontent\n',
    use(file) {
      const lines = lineWriter(file)
      try {
        lines.line('new')
        lines.line('content')
        lines.finish()
      } finally {
        lines.abandon()
      }
    },
  },
  'check only': { content: 'old content', use: (file) => checkWritable('--out', file) },
}

for (const [name, { content, use }] of Object.entries(USES)) {
  test(`${name}: whichever call fails, the file is whole, old or new, and alone`, () => {
    let failed = 0
    for (const failure of failingCalls()) {
      const at = folder()
      const file = join(at, 'old')
      // With another mode than a new file has, it is changed, too.
      chmodSync(file, 0o606)
      let message = ''
      try {
        failure.during(() => use(file))
      } catch (error) {
        assert.ok(error instanceof BadInput, `${failure.call}: ${error}`)
        message = error.message
      }
      const is = readFileSync(file, 'utf8')
      assert.ok(is === 'old content' || is === content, `${failure.call}: ${is}`)
      // What cannot be removed now is removed when the process ends.
      if (!failure.call.startsWith('remove')) {
        assert.deepEqual(readdirSync(at), ['old'], `${failure.call} leaves something behind`)
      }
      assert.equal(statSync(file).mode & 0o777, 0o606)
      if (!failure.happened) {
        assert.equal(is, content)
        break
      }
      failed++
      assert.match(message, /^cannot write .*old: the disk reports an error \(EIO\)$/, failure.call)
    }
    assert.ok(failed >= (name === 'check only' ? 1 : 7), `${failed} calls failed`)
  })
}

/** Commands that write, by the option that names the file. */
const header =
  '{"xenolith":"sweep","schema":1,"version":"0","machines":1,"shard":{"index":1,"of":1},"spec":{"space":{"maps":[null],"memory":[65536],"memoryCap":null,"vEnd":[null],"kernelSize":[null],"initrdSize":[null],"append":[null],"xen":["seed"],"linux":["B"],"common":{}},"seed":1,"forecast":true}}'
const results = join(base, 'results')
writeFileSync(results, `${header}\n{"n":0,"outcome":"booted","signature":""}\n`)
const COMMANDS: readonly (readonly string[])[] = [
  ['boot', '--linux', 'B', '--domu', '--memory', '64M', '--trace'],
  ['sweep', 'merge', results, '--out'],
]

for (const words of COMMANDS) {
  test(`xenolith ${words.slice(0, 2).join(' ')} … ${words.at(-1)}: whichever call fails, one line and status 2`, async () => {
    for (const failure of failingCalls()) {
      const at = folder()
      const file = join(at, 'old')
      const { status, errors } = await failure.during(() => run([...words, file]))
      assert.deepEqual(readdirSync(at), ['old'], `${failure.call} leaves something behind`)
      const is = readFileSync(file, 'utf8')
      assert.ok(is === 'old content' || is.startsWith('{'), failure.call)
      if (!failure.happened) {
        assert.ok(is.startsWith('{') && is.endsWith('\n'))
        break
      }
      assert.equal(status, 2, `${failure.call}: ${errors}`)
      assert.equal(errors.length, 1, `${failure.call}: ${errors}`)
      assert.match(errors[0], /^xenolith: cannot write .*\(EIO\)$/)
    }
  })
}

test('a checkpoint that cannot be written any more is told once, and the search goes on', async () => {
  const at = folder()
  const checkpoint = join(at, 'old')
  const plan = {
    space: { xen: '4.17', domain: 'dom0', pages: 1 },
    depth: 1,
    walks: 200,
    length: 10,
    seed: 1,
    all: true,
  } as const
  const controller = new AbortController()
  const told: string[] = []
  let seen = 0
  const explored = await explore(plan, {
    threads: 1,
    signal: controller.signal,
    checkpoint,
    savesNowAndThen: true,
    started: () => rmSync(at, { recursive: true }),
    notSaved: (why) => void told.push(why),
    progress({ stage, done }) {
      seen = done
      if (stage === 'walks' && done >= 96) controller.abort()
    },
  })
  assert.deepEqual([explored.ended, explored.saved, seen >= 96], ['interrupted', false, true])
  assert.equal(told.length, 1)
  assert.match(told[0], /^cannot write .*old: no such file or folder \(ENOENT\)$/)

  const lines: string[] = []
  let isFull = true
  const saves = new Saves(
    () => {
      if (isFull) throw new BadInput('cannot write x: the disk is full (ENOSPC)')
    },
    0,
    (why) => void lines.push(why),
  )
  assert.throws(() => saves.first(), BadInput)
  assert.deepEqual([saves.now(), saves.now(), lines.length], [false, false, 1])
  isFull = false
  assert.equal(saves.now(), true)
  isFull = true
  assert.deepEqual([saves.now(), lines.length], [false, 2])
})

test('a checkpoint named /dev/null is written there', () => {
  const words = ['explore', '--pages', '1', '--depth', '1', '--walks', '0', '--threads', '1']
  assert.equal(xenolith([...words, '--checkpoint', '/dev/null']).status, 0)
  assert.ok(lstatSync('/dev/null').isCharacterDevice())
  const { status, stderr } = xenolith(['explore', '--resume', '/dev/null'])
  assert.equal(status, 2)
  assert.match(stderr, /^xenolith: cannot read \/dev\/null: it is a pipe or a device; give a file\n$/)
})
