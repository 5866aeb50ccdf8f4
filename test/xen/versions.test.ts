import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import data from '../../data/xen-messages.json' with { type: 'json' }
import { factsOf, format, MESSAGE_IDS, printedBy } from '../../src/xen/console/messages.ts'
import { versionFor, versions, xenVersion } from '../../src/xen/versions/index.ts'
import { root } from '../tools/tools.ts'

const FOLDER = 'src/xen/versions/'

/** Files of the program, as [path, text]. */
function sources(): [path: string, text: string][] {
  return ['src', 'web/src'].flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.tsx?$/.test(path))
      .map((path): [string, string] => [
        `${folder}/${path}`,
        readFileSync(`${root}${folder}/${path}`, 'utf8'),
      ]),
  )
}

/** Ways to ask for a version, or for whose messages it prints, by its name. */
const BY_NAME = [
  /[=!]==?\s*'(?:seed|4\.\d+(?:\.\d+)?(?:-release)?)'/,
  /case\s+'(?:seed|4\.\d+(?:\.\d+)?(?:-release)?)'/,
  /(?:version|xen|profile)\)?\.(?:startsWith|includes|endsWith)\('/,
  /\.messages\.release\b/,
  /\bversion\.name\s*[=!]=/,
]
/** `seed` is the name of a scenario too. */
const OF_SCENARIOS = /scenario\s*===\s*'seed'/g

test('nothing outside of their folder asks for a version by its name', () => {
  const found = sources()
    .filter(([path]) => !path.startsWith(FOLDER))
    .flatMap(([path, text]) =>
      text
        .replaceAll(OF_SCENARIOS, '')
        .split('\n')
        .flatMap((line, i) =>
          BY_NAME.some((way) => way.test(line)) ? [`${path}:${i + 1}: ${line.trim()}`] : [],
        ),
    )
  assert.deepEqual(found, [])
})

test('what would ask by name is seen', () => {
  for (const line of [
    "if (xen.version.name === '4.17') {",
    "const seed = xen.version.messages.release === 'seed'",
    "    case '4.17-release':",
    "if (profile.startsWith('4.')) {",
    "return xen !== 'seed'",
  ]) {
    assert.ok(
      BY_NAME.some((way) => way.test(line)),
      line,
    )
  }
})

test('every file of a version is in the index, and every version has a name of its own', () => {
  const files = readdirSync(`${root}${FOLDER}`)
    .filter((file) => /^(?:seed|\d)/.test(file))
    .map((file) => file.replace(/\.ts$/, ''))
  assert.deepEqual(versions.map(({ name }) => name).toSorted(), files.toSorted())
})

test('a release stands for the version of its series, or for the nearest one before it', () => {
  assert.equal(versionFor([3, 0], 'release').name, '4.1')
  assert.equal(versionFor([4, 1], 'debug').name, '4.1')
  assert.equal(versionFor([4, 2], 'debug').name, 'seed')
  assert.equal(versionFor([4, 6], 'debug').name, '4.14')
  assert.equal(versionFor([4, 14], 'release').name, '4.14-release')
  assert.equal(versionFor([4, 17], 'debug').name, '4.17')
  assert.equal(versionFor([4, 17], 'release').name, '4.17-release')
  assert.equal(versionFor([4, 19], 'debug').name, '4.20')
  assert.equal(versionFor([4, 22], 'debug').name, '4.21')
})

test('the table of messages names releases that there are, in their order', () => {
  const index = (release: string): number => data.versions.indexOf(release)
  for (const message of data.messages) {
    const { from, to, releaseTo = from } = message
    assert.ok(index(from) !== -1 && index(from) <= index(to), message.template)
    assert.ok(index(releaseTo) !== -1 && index(releaseTo) <= index(to), message.template)
    for (const release of Object.keys('lines' in message ? (message.lines ?? {}) : {})) {
      assert.notEqual(index(release), -1, `${message.template}: ${release}`)
    }
  }
  for (const { name, messages } of versions) assert.notEqual(index(messages.release), -1, name)
})

test('the table and the machine know the same messages', () => {
  const named = data.messages.flatMap((message) => ('printed' in message ? (message.printed ?? []) : []))
  assert.deepEqual([...new Set(named)].toSorted(), MESSAGE_IDS.toSorted())
})

for (const { name, messages } of versions) {
  test(`${name} is told what its messages print, and knows where they stand`, () => {
    for (const id of MESSAGE_IDS) {
      const printed = printedBy(messages, id)
      if (printed === null) continue
      const directives = printed.template.match(/%#?0?\d*l?(?:pd|[a-zA-Z])/g) ?? []
      assert.equal(printed.fields.length, directives.length, `${id}: ${printed.template}`)
      for (const [i, field] of printed.fields.entries()) {
        // A pointer to a structure of Xen's is nothing that the machine has.
        assert.ok(directives[i] === '%p' || factsOf(id).includes(field), `${id}: ${field}`)
      }
      if (printed.namesVcpu && printed.place !== '') assert.match(printed.place, /^\.?[\w./-]+:\d+:$/, id)
    }
  })
}

test('a diagnostic has the place of its release, and release builds have none', () => {
  const place = (xen: string, id: (typeof MESSAGE_IDS)[number]): string | undefined =>
    printedBy(xenVersion(xen).messages, id)?.place
  assert.equal(place('seed', 'badType'), 'mm.c:2466:')
  assert.equal(place('seed', 'pinning'), 'mm.c:3027:')
  assert.equal(place('seed', 'unhandled'), 'traps.c:481:')
  assert.equal(place('seed', 'linearWritable3'), 'mm.c:989:')
  assert.equal(place('4.14', 'badType'), 'mm.c:2905:')
  assert.equal(place('4.14', 'pageRef'), 'include/asm/mm.h:409:')
  assert.equal(place('4.14', 'globalKernel'), 'pv/mm.h:100:')
  assert.equal(place('4.14', 'globalKernelPtwr'), 'mm.h:100:')
  assert.equal(place('4.17', 'badType'), 'arch/x86/mm.c:2940:')
  assert.equal(place('4.17', 'pageRef'), './arch/x86/include/asm/mm.h:416:')
  assert.equal(place('4.17', 'linearWritable3'), 'arch/x86/mm.c:1148:')
  assert.equal(place('4.17', 'otherOwner'), 'arch/x86/mm.c:988:')
  assert.equal(place('4.17', 'badL2FlagsMod'), 'arch/x86/mm.c:2276:')
  assert.equal(place('4.20', 'badType'), 'arch/x86/mm.c:2957:')
  assert.equal(place('4.17-release', 'badType'), undefined)
  assert.equal(place('4.17-release', 'getPage'), '')
})

test('a domain reads as the directive wants it', () => {
  const of = (template: string, domain: number | null): string => format(template, ['d'], { d: { domain } })
  assert.equal(of('rd=%pd', 0x7ff1), 'rd=d[IO]')
  assert.equal(of('rd=%pd', null), 'rd=NULL')
  assert.equal(of('rd=%d', null), 'rd=32756')
  assert.equal(of('rd=%p', 0), 'rd=????????????????')
})
