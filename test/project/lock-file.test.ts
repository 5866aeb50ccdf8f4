import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { root } from '../tools/tools.ts'

type Locked = {
  link?: boolean
  resolved?: string
  integrity?: string
  hasInstallScript?: boolean
  optionalDependencies?: Record<string, string>
}

const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
  packages: Record<string, Locked>
}

test('the lock file has the packages of every platform, so that npm ci works on each of them', () => {
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      assert.ok(
        packages[`node_modules/${name}`],
        `${path} may need ${name}, which is not in package-lock.json`,
      )
    }
  }
})

/** What is fetched: all but the clone itself and its folder `runtime`, to which a link leads. */
const fetched = Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && !link)

test('the lock file names no registry', () => {
  for (const [path, { resolved }] of fetched) assert.equal(resolved, undefined, path)
})

test('the lock file has the hash of everything that is fetched', () => {
  for (const [path, { integrity }] of fetched) assert.match(integrity ?? '', /^sha512-\S{88}$/, path)
})

test('nothing that is fetched runs a script of its own, which could fetch more', () => {
  const scripted = fetched.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)
  assert.deepEqual(scripted, [])
})
