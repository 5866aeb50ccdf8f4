import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeVersions } from '../../src/run/versions/describe.ts'
import { fieldDifferences, messageDifferences, versionBefore } from '../../src/run/versions/differences.ts'
import { versions, xenVersion } from '../../src/xen/versions/index.ts'
import { xenolith } from '../tools/tools.ts'

/** `xenolith versions`. What it tells is made from the versions themselves; here they are asked in other ways. */

test('every version is a line, with its release, build and open holes', () => {
  const { status, stdout } = xenolith(['versions'])
  assert.equal(status, 0)
  const [head, ...lines] = stdout.trimEnd().split('\n')
  assert.match(head, /^NAME +RELEASE +BUILD +LOGS FROM +OPEN HOLES +DIFFERS FROM$/)
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    versions.map(({ name }) => name),
  )
  assert.match(stdout, /^4\.17-release +4\.17\.7 +release +4\.15 +- +4\.17 in \d+$/m)
  assert.match(stdout, /^4\.1 +4\.1\.0 +debug +the first +148 154 182 213 240 286 298 +-$/m)
  assert.ok([head, ...lines].every((line) => line.length <= 90))
})

test('a version is told field by field', () => {
  const { status, stdout } = xenolith(['versions', '4.20'])
  assert.equal(status, 0)
  assert.match(
    stdout,
    /^errnos\n {2}flushCacheGlobal +EINVAL -> EACCES\n +FLUSH_CACHE_GLOBAL without devices$/m,
  )
  assert.match(stdout, /^ {2}features +13 17 -> 13 17 18 19 20$/m)
  assert.match(stdout, /^ {2}badL1Flags: "Bad L1 flags %x"\n +"Bad L1 flags %#x"$/m)
  const old = xenolith(['versions', '4.14']).stdout
  assert.match(old, /^ {2}memoryOps\.acquire_resource +- -> EINVAL EINVAL$/m)
  assert.match(old, /^ {2}badFlags\.l2 +0x118 -> 0x198$/m)
  assert.match(
    xenolith(['versions', 'seed']).stdout,
    /^XSA-286 is open: .*; mended in 4\.12\.4, .*, 4\.15\.0$/m,
  )
  assert.match(xenolith(['versions', '4.1']).stdout, /^4\.1 is the first one there is\.$/m)
})

test('--json has the values as they are', () => {
  const { status, stdout } = xenolith(['versions', '--json'])
  assert.equal(status, 0)
  const told = JSON.parse(stdout) as { schema: number; versions: unknown[] }
  assert.equal(told.schema, 1)
  assert.deepEqual(told.versions, JSON.parse(JSON.stringify(describeVersions())))
  assert.deepEqual(JSON.parse(xenolith(['versions', '4.20', '--json']).stdout).versions, [
    told.versions[versions.findIndex(({ name }) => name === '4.20')],
  ])
})

test('a version that there is not is one line and status 2', () => {
  const { status, stdout, stderr } = xenolith(['versions', '4.18'])
  assert.deepEqual([status, stdout], [2, ''])
  assert.match(stderr, /^xenolith: .*'4\.18' is not known.*; choose from 4\.1, seed, .*\n$/)
})

test('a release build is told by its debug build, a debug build by the one before', () => {
  const before = (name: string): string | undefined => versionBefore(xenVersion(name))?.name
  assert.deepEqual(
    ['4.1', 'seed', '4.14', '4.14-release', '4.17', '4.20', '4.20-release', '4.21'].map(before),
    [undefined, '4.1', 'seed', '4.14', '4.14', '4.17', '4.20', '4.20'],
  )
})

for (const version of versions) {
  test(`what ${version.name} differs in, put into the version before, makes it what it is`, () => {
    const before = versionBefore(version)
    if (before === null) return
    const made = structuredClone(before) as unknown as Record<string, unknown>
    for (const { part, field, now } of fieldDifferences(before, version))
      put(made[part], field.split('.'), now)
    for (const part of ['rules', 'errnos', 'abi', 'messages'] as const) {
      assert.deepEqual(withoutNothing(made[part]), withoutNothing(version[part]), part)
    }
    assert.deepEqual(fieldDifferences(version, version), [])
    const { came, went, reworded, moved } = messageDifferences(version, version)
    assert.deepEqual([came, went, reworded, moved], [[], [], [], 0])
  })
}

function put(into: unknown, [name, ...rest]: readonly string[], value: unknown): void {
  const record = into as Record<string, unknown>
  if (rest.length === 0) {
    record[name] = value
    return
  }
  record[name] ??= {}
  put(record[name], rest, value)
}

/** Without entries that are undefined: there are none in a version. */
function withoutNothing(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
