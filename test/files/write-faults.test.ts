import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { main } from '../../src/cli/main.ts'
import { explore } from '../../src/explore/exports.ts'
import { writeCheckpoint } from '../../src/explore/jobs/checkpoint.ts'
import { Saves } from '../../src/explore/jobs/saves.ts'
import { checkWritable, lineWriter, writeWhole } from '../../src/files/write.ts'
import { KernelRun } from '../../src/run/kernel/kernel-boot.ts'
import { failingCalls, folderWithFile as folder } from '../tools/failing-files.ts'
import { listeningIo } from '../tools/listening-io.ts'
import { kernelOf } from '../tools/tiny-kernel.ts'

/** Every call of the file system fails once, in all that writes: tools/failing-files.ts. */

/** Carries a command out in this process: its status, and what it says on standard error. */
async function run(words: readonly string[]): Promise<{ status: number; errors: string[] }> {
  const { io, err: errors } = listeningIo()
  const status = await main(words, undefined, () => io)
  return { status, errors }
}

const guest = new KernelRun({
  kernel: { name: 'k', bytes: kernelOf('stay: jmp stay') },
  memory: 1100,
})
const finished = (use: (file: string) => void): string => {
  const file = join(folder(), 'finished')
  use(file)
  return readFileSync(file, 'latin1')
}

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
  'a checkpoint': {
    content: '',
    use: (file) => writeCheckpoint(file, 'explore', { head: { n: 1 }, parts: { a: Buffer.from('1') } }),
  },
  'a snapshot': { content: '', use: (file) => writeWhole(file, guest.snapshotParts()) },
  'check only': { content: 'old content', use: (file) => checkWritable('--out', file) },
}

for (const [name, { content: given, use }] of Object.entries(USES)) {
  const content = given === '' ? finished(use) : given
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
      const is = readFileSync(file, 'latin1')
      assert.ok(is === 'old content' || is === content, `${failure.call}: ${is.slice(0, 100)}`)
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
const results = join(folder(), 'results')
writeFileSync(results, `${header}\n{"n":0,"outcome":"booted","signature":""}\n`)
const COMMANDS: readonly (readonly string[])[] = [
  ['boot', '--linux', 'B', '--domu', '--memory', '64M', '--trace'],
  ['sweep', 'merge', results, '--out'],
  ['sweep', '--map', 'none', '--memory', '64M', '--no-shrink', '--threads', '1', '--checkpoint'],
  ['explore', '--pages', '1', '--depth', '0', '--walks', '0', '--threads', '1', '--checkpoint'],
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
        assert.ok(is.startsWith('{'))
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
