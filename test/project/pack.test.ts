import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { shippedMaps } from '../../src/run/maps/maps.ts'
import { missing, notAsked, root } from '../tools/tools.ts'

/** A folder as a user of the published package has it: nothing of the clone, only what `npm install` puts there. */
const folder = mkdtempSync(join(tmpdir(), 'xenolith-pack-'))
const home = join(folder, 'home')
after(() => rmSync(folder, { recursive: true }))

let files: string[] = []
let unreachable: string | undefined

function run(program: string, words: string[], cwd = home) {
  const { status, stdout, stderr } = spawnSync(program, words, { cwd, encoding: 'utf8' })
  return { status, stdout, stderr }
}

before(() => {
  if (notAsked !== false) return
  const packed = run('npm', ['pack', '--json', '--silent', '--pack-destination', folder], root)
  assert.equal(packed.status, 0, packed.stderr)
  // What the build says comes before npm's own JSON.
  const told = JSON.parse(packed.stdout.slice(packed.stdout.search(/^[[{]$/m)))
  const [tarball] = Object.values(told) as { filename: string; files: { path: string }[] }[]
  files = tarball.files.map((file) => file.path)

  mkdirSync(home)
  writeFileSync(join(home, 'package.json'), '{ "name": "home", "private": true, "type": "module" }\n')
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--fetch-retries=0']
  const installed = run('npm', ['install', ...flags, join(folder, tarball.filename)])
  if (
    installed.status !== 0 &&
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED/.test(installed.stderr)
  ) {
    unreachable = missing('npm reaches no registry')
  } else {
    assert.equal(installed.status, 0, installed.stderr)
  }
})

test('the package has what it runs on and nothing else', { skip: notAsked }, () => {
  for (const file of [
    'bin/xenolith.js',
    'dist/cli/main.js',
    'dist/index.js',
    'dist/index.d.ts',
    'man/xenolith.1',
    'web/dist/index.html',
  ]) {
    assert.ok(files.includes(file), file)
  }
  const strange = files.filter(
    (file) =>
      !/^(bin|data|dist|man)\/|^web\/dist\/index\.html$|^(package\.json|LICENSE|README\.md|CHANGELOG\.md)$/.test(
        file,
      ),
  )
  assert.deepEqual(strange, [])
})

test('the seed is refused from an empty folder', { skip: notAsked }, (t) => {
  if (unreachable) return t.skip(unreachable)
  const booted = run('npx', ['--no-install', 'xenolith', 'boot', '--json'])
  assert.equal(booted.status, 0, booted.stderr)
  const { outcome, pfn } = JSON.parse(booted.stdout)
  assert.deepEqual({ outcome, pfn }, { outcome: 'refused', pfn: '0xbacf7' })
})

test('npx xenolith runs from an empty folder', { skip: notAsked }, (t) => {
  if (unreachable) return t.skip(unreachable)
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  const told = run('npx', ['--no-install', 'xenolith', '--version'])
  assert.equal(told.stdout, `${version}\n`)
  const listed = run('npx', ['--no-install', 'xenolith', 'maps', '--json'])
  assert.equal(listed.status, 0, listed.stderr)
  assert.equal(JSON.parse(listed.stdout).maps.length, shippedMaps().length)
  const wrong = run('npx', ['--no-install', 'xenolith', 'boot', '--memory', '0'])
  assert.equal(wrong.status, 2)
})

test('the page is served from an empty folder', { skip: notAsked }, async (t) => {
  if (unreachable) return t.skip(unreachable)
  const child = spawn('npx', ['--no-install', 'xenolith', 'serve', '--port', '0'], {
    cwd: home,
    detached: true,
  })
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const address = /http:\/\/localhost:\d+\//.exec(String(line))?.[0]
    assert.ok(address, String(line))
    const answer = await fetch(address)
    assert.equal(answer.status, 200)
    assert.match(await answer.text(), /<title>Xenolith<\/title>/)
  } finally {
    // npx starts the program as a child of its own: the signal is for all of them.
    process.kill(-child.pid!, 'SIGINT')
    await once(child, 'exit')
  }
})

test('a verb that works on threads runs from an empty folder', { skip: notAsked }, (t) => {
  if (unreachable) return t.skip(unreachable)
  const words = ['explore', '--holes', '182', '--pages', '1', '--threads', '2', '--json']
  const explored = run('npx', ['--no-install', 'xenolith', ...words])
  assert.equal(explored.status, 0, explored.stderr)
  const { found, property } = JSON.parse(explored.stdout)
  assert.deepEqual({ found, property }, { found: true, property: 'writable-table' })
})

test('it can be imported, with types', { skip: notAsked }, (t) => {
  if (unreachable) return t.skip(unreachable)
  const consumer = `import { BadInput, type BootResult, boot, bootOptions, createMachine, type FrameInfo } from 'xenolith'
import { type MemoryMap, REGION, shippedMaps } from 'xenolith'
const maps: readonly MemoryMap[] = shippedMaps()
const { memory = 0 } = bootOptions({ memory: '3072M' })
const result: BootResult = boot({ linux: 'B' })
const entry: string | undefined = result.holder?.entry
const slot: number | undefined = result.holder?.slot
const { vcpu, layout, frame } = createMachine({ xen: '4.17' })
const root: FrameInfo | null = frame(vcpu.root)
const first: number = vcpu.load64(REGION.kernelMap + layout.mfnList)
console.log(maps.length, memory, BadInput.name)
console.log(result.outcome, result.pfn, entry, slot)
console.log(root?.type, root?.pinned, frame(first)?.pfn)
`
  writeFileSync(join(home, 'consumer.ts'), consumer)
  // Were the declarations not found, everything would be any, and this would be no error.
  const wrong = `import { boot, createMachine, shippedMaps } from 'xenolith'
// @ts-expect-error
export const maps: readonly number[] = shippedMaps()
// @ts-expect-error
export const outcome: 'halted' = boot().outcome
// @ts-expect-error
export const type: number = createMachine().frame(0)?.type
`
  writeFileSync(join(home, 'wrong.ts'), wrong)
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024']
  const types = ['--types', 'node', '--typeRoots', `${root}node_modules/@types`]
  const checked = run(`${root}node_modules/.bin/tsc`, [...flags, ...types, 'consumer.ts', 'wrong.ts'])
  assert.equal(checked.stdout, '')
  assert.equal(checked.status, 0)

  const ran = run(process.execPath, ['consumer.ts'])
  assert.equal(ran.stderr, '')
  assert.deepEqual(ran.stdout.split('\n'), [
    `${shippedMaps().length} 786432 BadInput`,
    'refused 0xbacf7 0x80100000b1d89067 247',
    'l4 true 0',
    '',
  ])
})
