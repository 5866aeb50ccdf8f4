import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { root } from '../tools/tools.ts'

/** Packages of other suites, with tools of apt's that only write down how they were called. */

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const skip = existsSync(KEYRING) ? false : `${KEYRING} is not there`

const INDEX = [
  'Other\tDebian\thttp://other.example/debian/',
  'Debian\tDebian\thttp://mirror.example/debian/',
  'Debian\tDebian-Security\thttp://security.example/debian-security/',
]

type World = {
  /** What apt knows. */
  readonly index?: readonly string[]
  /** What `apt-get update` says and exits with, if it fails. */
  readonly update?: string
}

/** Fetch a package with such tools, twice in one process: what came of it, how the tools were called, the sources. */
function fetched({ index = INDEX, update }: World, suite = 'bullseye') {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-debian-test-'))
  try {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    const tool = (name: string, lines: readonly string[]): void => {
      const log = `echo "${name} $*" >> ${folder}/log`
      writeFileSync(join(bin, name), ['#!/bin/sh', log, ...lines, ''].join('\n'))
      chmodSync(join(bin, name), 0o755)
    }
    writeFileSync(join(folder, 'index'), index.map((line) => `${line}\n`).join(''))
    tool('apt-get', [
      'case "$*" in',
      `indextargets*) cat ${folder}/index ;;`,
      update === undefined ? '*update*) ;;' : `*update*) echo "${update}" >&2; exit 100 ;;`,
      '*download*) touch xen_1_amd64.deb ;;',
      'esac',
    ])
    tool('flock', ['shift', 'exec "$@"'])
    tool('dpkg-deb', ['mkdir -p "$3/boot" && touch "$3/boot/xen"'])
    const code = `
      const { fetchPackage, unpackedPackage } = await import(${JSON.stringify(`${root}oracle/debian.ts`)})
      const wanted = { suite: ${JSON.stringify(suite)}, name: 'xen' }
      const before = unpackedPackage(wanted)
      console.log(JSON.stringify([before, fetchPackage(wanted), fetchPackage(wanted)]))`
    const { NODE_TEST_CONTEXT, ...env } = process.env
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      env: { ...env, XDG_CACHE_HOME: folder, PATH: `${bin}${delimiter}${env.PATH}` },
    })
    assert.equal(stderr, '')
    const state = join(folder, 'xenolith', 'debian', suite)
    const list = join(state, 'apt', 'sources.list')
    const packages = join(state, 'packages')
    return {
      answers: (JSON.parse(stdout) as unknown[]).map((answer) =>
        typeof answer === 'string' ? answer.replace(packages, '') : answer,
      ),
      log: readFileSync(join(folder, 'log'), 'utf8').trim().split('\n'),
      sources: existsSync(list) ? readFileSync(list, 'utf8').trim().split('\n') : [],
      kept: existsSync(packages) ? readdirSync(packages) : [],
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test("a package comes from apt's own mirror, under Debian's keys, and is asked for once", { skip }, () => {
  const { answers, log, sources, kept } = fetched({})
  assert.deepEqual(answers, [null, '/xen', '/xen'])
  const by = `deb [arch=amd64 signed-by=${KEYRING}]`
  assert.deepEqual(sources, [
    `${by} http://mirror.example/debian/ bullseye main`,
    `${by} http://security.example/debian-security/ bullseye-security main`,
  ])
  assert.deepEqual(kept, ['xen'])
  assert.equal(log.filter((line) => / download xen$/.test(line) && line.startsWith('apt-get')).length, 1)
  const asked = log.filter((line) => line.startsWith('apt-get -o'))
  for (const line of asked)
    assert.match(line, /Dir::Etc::sourceparts=\/dev\/null .*Dir::State::status=\S*bullseye/)
})

test('what has no repository of its own for security, here or at all, is asked of the archive alone', {
  skip,
}, () => {
  assert.equal(fetched({}, 'sid').sources.length, 1)
  assert.equal(fetched({ index: INDEX.slice(0, 2) }).sources.length, 1)
})

test('what keeps a package from coming is told in one line, and leaves nothing', { skip }, () => {
  const failed = fetched({ update: 'E: The repository has no Release file.' })
  assert.deepEqual(failed.answers[1], {
    reason: 'apt-get cannot ask for bullseye: E: The repository has no Release file.',
  })
  assert.deepEqual(failed.kept, [])
  assert.deepEqual(fetched({ index: INDEX.slice(0, 1) }).answers[1], {
    reason: "apt knows no repository of Debian's: configure one and run apt-get update",
  })
})
