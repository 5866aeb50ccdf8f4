import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { root } from '../tools/tools.ts'

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
