import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { root } from '../tools/tools.ts'
import { windowKernel } from '../tools/window-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-bin-'))
after(() => rmSync(folder, { recursive: true }))
for (const part of ['bin', 'src', 'data', 'package.json'])
  cpSync(`${root}${part}`, join(folder, part), { recursive: true })
const bin = join(folder, 'bin/xenolith.js')

/** An older Node, as far as the bin can tell: the version is all that it asks for. */
const old = join(folder, 'old.mjs')
writeFileSync(
  old,
  "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } })\n",
)
const asOld = ['--import', old, bin]

function bundle(script: string) {
  const place = join(folder, 'node_modules/.bin')
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'node'), script)
  chmodSync(join(place, 'node'), 0o755)
}

test('an old Node without a bundled one says in a line which is needed', () => {
  const { status, stderr } = spawnSync(process.execPath, asOld, { encoding: 'utf8' })
  assert.equal(status, 2)
  assert.equal(
    stderr,
    "xenolith: Node 22.18 or newer is needed, this is 20.1.0; 'npm ci' in the clone brings one along\n",
  )
})

test('a clone without its packages says so in a line', () => {
  const { status, stderr } = spawnSync(process.execPath, [bin], { encoding: 'utf8' })
  assert.equal(status, 2)
  assert.equal(stderr, "xenolith: a package that it needs is not there; run 'npm ci' in the clone first\n")
})

test('an old Node hands over to the bundled one: words, input, output and status', () => {
  bundle('#!/bin/sh\nshift\necho "$*"\ncat\nexit 7\n')
  const { status, stdout } = spawnSync(process.execPath, [...asOld, 'maps', '-'], {
    encoding: 'utf8',
    input: 'text',
  })
  assert.equal(stdout, 'maps -\ntext')
  assert.equal(status, 7)
})

test('a signal to the old Node reaches the bundled one, and its end is told as a signal', async () => {
  bundle('#!/bin/sh\necho ready\nexec sleep 30\n')
  const child = spawn(process.execPath, asOld, { stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.once('data', () => child.kill('SIGTERM'))
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('exit', (...end) => resolve(end)),
  )
  assert.equal(status, null)
  assert.equal(signal, 'SIGTERM')
})

test('the real bundled Node runs the clone', () => {
  rmSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(`${root}node_modules`, join(folder, 'node_modules'))
  const { status, stdout } = spawnSync(process.execPath, [...asOld, '--version'], { encoding: 'utf8' })
  assert.equal(status, 0)
  assert.match(stdout, /^[0-9.]+\n$/)
})

test('what the old Node has started ends with it, even where it had no time to say so', async () => {
  const loop = join(folder, 'loop')
  writeFileSync(loop, windowKernel(''))
  const words = [...asOld, 'boot', '--kernel', loop, '--memory', '16M']
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = [child.stdout, child.stderr]
  let said = ''
  errors.on('data', (text: Buffer) => {
    said += text
  })
  await new Promise((resolve) => output.once('data', resolve))
  output.resume()
  const start = performance.now()
  child.kill('SIGKILL')
  // The pipe is closed when nobody can write to it any more.
  await new Promise((resolve) => output.once('close', resolve))
  assert.ok(performance.now() - start < 10_000)
  assert.match(said, /^xenolith: guest was left/)
})

test('and where it does not listen', async () => {
  const place = join(folder, 'busy')
  mkdirSync(join(place, 'bin'), { recursive: true })
  mkdirSync(join(place, 'src/cli'), { recursive: true })
  cpSync(bin, join(place, 'bin/xenolith.js'))
  cpSync(join(folder, 'package.json'), join(place, 'package.json'))
  symlinkSync(`${root}node_modules`, join(place, 'node_modules'))
  writeFileSync(
    join(place, 'src/cli/main.ts'),
    "process.on('SIGTERM', () => {})\nconsole.log('ready')\nfor (;;) {}\n",
  )
  const child = spawn(process.execPath, ['--import', old, join(place, 'bin/xenolith.js')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.stdout.resume()
  child.kill('SIGKILL')
  await new Promise((resolve) => child.stdout.once('close', resolve))
})
