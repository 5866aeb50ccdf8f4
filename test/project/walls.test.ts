import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { biomeOverrides, roomsTable, withTable } from '../../rooms/walls.ts'
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

const allowed: [file: string, imported: string][] = [
  ['src/bits/plain.ts', './bad-input.ts'],
  ['src/xen/plain.ts', '../trace/events.ts'],
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
  assert.equal(guide, withTable(guide, roomsTable()))
})
