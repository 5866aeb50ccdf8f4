import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { ROOMS } from '../../rooms/rooms.ts'
import { biomeOverrides, withTables } from '../../rooms/walls.ts'
import { root } from '../tools/tools.ts'

/** A tree of our own under the project's own rules, so that nothing is planted among the live files. */
const tree = mkdtempSync(join(tmpdir(), 'xenolith-walls-'))
after(() => rmSync(tree, { recursive: true }))
cpSync(`${root}biome.json`, join(tree, 'biome.json'))
symlinkSync(`${root}node_modules`, join(tree, 'node_modules'))

function lint(file: string, source: string) {
  mkdirSync(dirname(join(tree, file)), { recursive: true })
  writeFileSync(join(tree, file), source)
  const { status, stdout, stderr } = spawnSync(`${root}node_modules/.bin/biome`, ['lint', file], {
    cwd: tree,
    encoding: 'utf8',
  })
  return { status, output: stdout + stderr }
}

const forbidden: [file: string, imported: string][] = [
  ['src/bits/planted.ts', '../machine/vcpu/mmu.ts'],
  ['src/machine/planted.ts', '../xen/abi.ts'],
  ['src/xen/planted.ts', '../linux/generation.ts'],
  ['src/xen/planted-too.ts', '../trace/recorder.ts'],
  ['src/audit/planted.ts', '../xen/mm/frame-type.ts'],
  ['src/linux/planted.ts', '../xen/mm/frame-type.ts'],
  ['src/linux/planted-too.ts', '../machine/frames.ts'],
  ['src/script/planted.ts', '../xen/mm/frame-type.ts'],
  ['src/cpu/planted.ts', '../xen/abi.ts'],
  ['src/run/planted.ts', '../cli/main.ts'],
  ['src/explain/planted.ts', '../xen/mm/frame-type.ts'],
  ['src/explore/planted.ts', '../xen/mm/frame-type.ts'],
  ['src/explore/sweep/planted.ts', '../../linux/generation.ts'],
  ['src/cli/planted.ts', '../xen/mm/frame-type.ts'],
  ['web/src/planted.ts', '../../src/xen/frame-type.ts'],
  ['web/src/parts/planted.ts', '../../../src/linux/kernel.ts'],
]
for (const [file, imported] of forbidden) {
  test(`${dirname(file)} may not import ${imported}`, () => {
    const { status, output } = lint(
      file,
      `import { planted } from '${imported}'\n\nexport const used = planted\n`,
    )
    assert.equal(status, 1, output)
    const room = dirname(file).split('/').slice(0, 2).join('/')
    assert.match(output, new RegExp(`${room} may import .* only; see the table of rooms`))
  })
}

const above: [file: string, imported: string][] = [
  ['src/xen/domain.ts', './hypervisor.ts'],
  ['src/xen/hypervisor.ts', './mm/frame-type.ts'],
  ['src/xen/versions/planted.ts', '../domain.ts'],
  ['src/xen/frames/planted.ts', '../mm/tables.ts'],
  ['src/xen/mm/planted.ts', '../sched/time.ts'],
  ['src/xen/mm/planted-too.ts', '../hypercalls/hypercalls.ts'],
  ['src/xen/sched/planted.ts', '../pv/exceptions.ts'],
  ['src/xen/pv/planted.ts', '../hypercalls/arguments.ts'],
  ['src/xen/hypercalls/planted.ts', '../xen.ts'],
]
for (const [file, imported] of above) {
  test(`${file} may not import ${imported}, which is above it`, () => {
    const { status, output } = lint(
      file,
      `import { planted } from '${imported}'\n\nexport const used = planted\n`,
    )
    assert.equal(status, 1, output)
    assert.match(output, /of src\/xen may not import the layers above/)
  })
}

test('a layer does not take the walls of its room away', () => {
  const source = "import { planted } from '../../linux/kernel.ts'\n\nexport const used = planted\n"
  assert.match(lint('src/xen/mm/planted.ts', source).output, /src\/xen may import .* only/)
})

test('everything in a room with layers is in one of them', () => {
  for (const { folder, layers = [] } of ROOMS) {
    if (layers.length > 0)
      assert.deepEqual(layers.flatMap(({ of }) => of).sort(), readdirSync(`${root}${folder}`).sort())
  }
})

test('two files may not import each other', () => {
  lint('src/xen/mm/one.ts', "import { two } from './two.ts'\n\nexport const one = (): number => two()\n")
  const { status, output } = lint(
    'src/xen/mm/two.ts',
    "import { one } from './one.ts'\n\nexport const two = (): number => one()\n",
  )
  assert.equal(status, 1, output)
  assert.match(output, /noImportCycles/)
})

const allowed: [file: string, imported: string][] = [
  ['src/bits/plain.ts', './bad-input.ts'],
  ['src/xen/plain.ts', '../trace/events.ts'],
  ['src/xen/mm/plain.ts', '../frames/heap.ts'],
  ['src/xen/pv/plain.ts', '../sched/time.ts'],
  ['src/xen/xen.ts', './hypercalls/hypercalls.ts'],
  ['src/linux/plain.ts', '../xen/abi.ts'],
  ['src/linux/plain-too.ts', '../machine/vcpu/vcpu.ts'],
  ['src/run/plain.ts', '../linux/generation.ts'],
  ['src/explore/queue/plain.ts', '../jobs/job.ts'],
  ['src/explore/report/plain.ts', '../sweep/summary.ts'],
  ['src/cli/plain.ts', '../run/boot.ts'],
  ['web/src/plain.ts', '../../src/run/film.ts'],
  ['web/src/parts/plain.ts', '../../../src/explain/explain.ts'],
]
for (const [file, imported] of allowed) {
  test(`${dirname(file)} may import ${imported}`, () => {
    const { status, output } = lint(
      file,
      `import { planted } from '${imported}'\n\nexport const used = planted\n`,
    )
    assert.equal(status, 0, output)
  })
}

test("the linter's walls and the guide's table are those of rooms/", () => {
  const config = JSON.parse(readFileSync(`${root}biome.json`, 'utf8'))
  assert.deepEqual(config.overrides, biomeOverrides(config.overrides))
  const guide = readFileSync(`${root}ARCHITECTURE.md`, 'utf8')
  assert.equal(guide, withTables(guide))
})
