import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { bzImagePayload, unpackKernel } from '../../src/toolstack/image/bzimage.ts'
import { packingOf } from '../../src/toolstack/image/payload/payload.ts'
import { debianKernel, type Suite } from '../tools/debian.ts'
import { needs, notAsked } from '../tools/tools.ts'

/** The tools that Debian unpacks by. */
const TOOLS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  xz: ['xz', '-dc'],
  lz4: ['lz4', '-dcq'],
  zstd: ['zstd', '-dcq', '--long=27'],
}

const KERNELS: readonly (readonly [suite: Suite, name: string, packing: string])[] = [
  ['bullseye', 'linux-image-amd64', 'xz'],
  ['bullseye', 'linux-image-cloud-amd64', 'lz4'],
  ['bookworm', 'linux-image-amd64', 'xz'],
  ['bookworm', 'linux-image-cloud-amd64', 'lz4'],
  ['trixie', 'linux-image-amd64', 'zstd'],
  ['sid', 'linux-image-amd64', 'zstd'],
]

for (const [suite, name, packing] of KERNELS) {
  test(`${name} of ${suite}: every byte is as ${packing} has it`, { skip: notAsked }, (t) => {
    const kernel = debianKernel({ suite, name })
    const absent = 'reason' in kernel ? kernel.reason : needs(packing)
    if (absent !== false || 'reason' in kernel) return t.skip(String(absent))
    const payload = bzImagePayload(kernel.bytes, kernel.name)
    assert.equal(packingOf(payload)?.name, packing)
    const [tool, ...words] = TOOLS[packing]
    const { stdout } = spawnSync(tool, words, { input: payload.subarray(0, -4), maxBuffer: 2 ** 28 })
    assert.ok(stdout.length > 2 ** 25)
    assert.ok(stdout.equals(unpackKernel(kernel.bytes, kernel.name)))
  })
}
