import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { fileParts, readBytes, readRegularFile, readText } from '../../src/files/read.ts'
import { watchThreads } from '../../src/files/temporaries.ts'
import { checkWritable, lineWriter, writeWhole } from '../../src/files/write.ts'
import { folderWithFile as folder } from '../tools/failing-files.ts'
import { root, xenolith } from '../tools/tools.ts'

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

test('a checkpoint named /dev/null is written there', () => {
  const words = ['explore', '--pages', '1', '--depth', '1', '--walks', '0', '--threads', '1']
  assert.equal(xenolith([...words, '--checkpoint', '/dev/null']).status, 0)
  assert.ok(lstatSync('/dev/null').isCharacterDevice())
  const { status, stderr } = xenolith(['explore', '--resume', '/dev/null'])
  assert.equal(status, 2)
  assert.match(stderr, /^xenolith: cannot read \/dev\/null: it is a pipe or a device; give a file\n$/)
})

test('a thread that is ended leaves nothing behind either', async () => {
  const at = folder()
  const code = `import('${root}src/files/write.ts').then(({ lineWriter }) => {
    lineWriter('${join(at, 'old')}').line('x')
    require('node:worker_threads').parentPort.postMessage('ready')
    for (;;);
  })`
  const remove = watchThreads()
  const worker = new Worker(code, { eval: true })
  await once(worker, 'message')
  assert.equal(readdirSync(at).length, 2)
  await worker.terminate()
  // What it has said of itself may be on its way.
  await setTimeout(100)
  remove()
  assert.deepEqual(readdirSync(at), ['old'])
  assert.equal(readFileSync(join(at, 'old'), 'utf8'), 'old content')
})

// ---- reading ----

test('what has no end is read to a limit', () => {
  const message = /\/dev\/zero: more than 1000 bytes; that is too many/
  assert.throws(() => readText('/dev/zero', 1000), message)
  assert.throws(() => readBytes('/dev/zero', 1000), message)
  const { status, stderr } = xenolith(['boot', '--map', '/dev/zero'])
  assert.deepEqual([status, stderr.split('\n').length], [2, 2])
  const at = join(folder(), 'old')
  assert.throws(() => readBytes(at, 10), /more than 10 bytes/)
  assert.equal(Buffer.from(readBytes(at, 11)).toString(), 'old content')
  assert.equal(Buffer.concat([...fileParts(at)]).toString(), 'old content')
})

test('a file that a file names is a file: a pipe is not waited for, and no device asked', () => {
  const at = folder()
  const fifo = join(at, 'fifo')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  for (const name of [fifo, '/dev/zero']) {
    assert.throws(() => readRegularFile(name, 100), /it is a pipe or a device; give a file/)
    assert.throws(() => [...fileParts(name)], /it is a pipe or a device; give a file/)
  }
  assert.throws(() => readRegularFile(at, 100), /it is a folder/)
  assert.throws(() => readRegularFile(join(at, 'none'), 100), /no such file/)
  const trace = join(at, 'trace')
  const config = join(at, 'guest.cfg')
  writeFileSync(config, `kernel = "${fifo}"\n`)
  for (const option of ['kernel', 'ramdisk', 'restore', 'input', 'config']) {
    const named =
      option === 'ramdisk' || option === 'input' ? { kernel: config, [option]: fifo } : { [option]: fifo }
    const kernel = { ...named, sha256: '0'.repeat(64) }
    writeFileSync(trace, `${JSON.stringify({ kind: 'header', schema: 1, run: { kernel } })}\n`)
    const { status, stderr } = xenolith(['replay', trace])
    assert.match(stderr, /^xenolith: cannot read .*fifo: it is a pipe or a device; give a file\n$/, option)
    assert.equal(status, 2)
  }
  assert.equal(xenolith(['boot', config, '--batch']).status, 2)
})
