import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { root } from '../tools/tools.ts'

type Locked = { resolved?: string; optionalDependencies?: Record<string, string> }

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

test('the lock file names no registry', () => {
  for (const [path, { resolved }] of Object.entries(packages)) assert.equal(resolved, undefined, path)
})
