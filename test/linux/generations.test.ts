import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BadInput } from '../../src/bits/bad-input.ts'
import { commits } from '../../src/linux/commits.ts'
import { generations, resolveGeneration } from '../../src/linux/generations.ts'

const name = (linux: string, add: string[] = [], remove: string[] = []) =>
  resolveGeneration(linux, add, remove).name

test('every letter resolves to its own record', () => {
  assert.deepEqual(
    generations.map((generation) => generation.name),
    ['A', 'B0', 'B', 'B+seed', 'C0', 'C', 'D', 'D2', 'low', 'E'],
  )
  for (const generation of generations) assert.equal(resolveGeneration(generation.name), generation)
})

test('no two generations have the same fields', () => {
  const fields = generations.map(({ name: _name, kernels: _kernels, ...rest }) => JSON.stringify(rest))
  assert.equal(new Set(fields).size, 10)
})

test('versions resolve to the generation of their x86-64 code', () => {
  const expected: Record<string, string> = {
    '2.6.37': 'A-7cb31b752c7',
    '2.6.38': 'A',
    '2.6.38.2': 'A',
    '2.6.39-rc1': 'B-24bdb0b62cc8',
    '2.6.39-rc4': 'B-24bdb0b62cc8',
    '2.6.39-rc5': 'B',
    '2.6.39-rc6': 'C',
    'v2.6.39-rc7': 'C',
    '2.6.39': 'D',
    '2.6.39.3': 'D',
    '3.0': 'D',
    '3.0.1': 'D',
    '3.1.5': 'D',
    '3.2': 'D2',
    '3.5': 'D2',
    '3.6.11': 'D2',
    '3.7': 'D2+844ab6f993b1',
    '3.8': 'D2+844ab6f993b1',
    '3.9': 'E',
    '3.18': 'E',
    '4.19.181': 'E',
    '6.1-rc3': 'E',
  }
  for (const [version, letter] of Object.entries(expected)) assert.equal(name(version), letter, version)
  assert.equal(resolveGeneration('2.6.39-rc4').extraRegion, 'after-memory')
  assert.equal(resolveGeneration('2.6.37').ramEndAligned, false)
  assert.equal(resolveGeneration('3.8').sizing, 'ranges')
})

test('commits lead from one generation to the next', () => {
  assert.equal(name('B0', ['d8aa5ec3382e']), 'B')
  assert.equal(name('B', ['a38647837a41']), 'B+seed')
  assert.equal(name('B', ['b9269dc7bfdf']), 'C0')
  assert.equal(name('B', ['a38647837a41', 'b9269dc7bfdf']), 'C')
  assert.equal(name('C0', ['a38647837a41']), 'C')
  assert.equal(name('C', [], ['b9269dc7bfdf']), 'B+seed')
  assert.equal(name('C', [], ['a38647837a41']), 'C0')
  assert.equal(name('C', ['92bdaef7b2c5']), 'C0')
  assert.equal(name('C0', ['279b706bf800']), 'D')
  assert.equal(name('D', [], ['279b706bf800']), 'C0')
  assert.equal(name('D', ['8548c84da2f4']), 'D2')
  assert.equal(name('D2', ['2e2fb75475c2', '8d57470d8f85', '6f80b68e9e51']), 'E')
  assert.equal(
    name('A', ['4b239f458c22', '14988a4d350c', '68df0da7f42b', '2f14ddc3a714', '24bdb0b62cc8']),
    'B0',
  )
})

test('a kernel that no release was is named by how it was made', () => {
  assert.equal(name('2.6.39-rc4', ['a38647837a4']), 'B-24bdb0b62cc8+a38647837a41')
  assert.equal(name('2.6.39-rc4', ['24bdb0b62cc8']), 'B')
  assert.equal(name('A', ['24bdb0b']), 'A+24bdb0b62cc8')
  assert.equal(name('B', [], ['24bdb0b62cc8']), 'B-24bdb0b62cc8')
})

test('a commit that is there already changes nothing', () => {
  assert.equal(name('B', ['4b239f458c22']), 'B')
  assert.equal(name('D', [], ['a38647837a41']), 'D')
})

test('putting a commit in or taking it out twice is as good as once', () => {
  const fields = ({ name: _name, kernels: _kernels, ...rest }: (typeof generations)[number]) => rest
  fc.assert(
    fc.property(fc.constantFrom(...generations), fc.constantFrom(...commits), (generation, commit) => {
      const added = commit.add(generation)
      assert.deepEqual(fields(commit.add(added)), fields(added))
      assert.deepEqual(fields(commit.remove(commit.remove(added))), fields(commit.remove(added)))
    }),
    { seed: 38, numRuns: 300 },
  )
})

test('bad names are one line that says what is known', () => {
  const fails = (run: () => unknown, message: RegExp) =>
    assert.throws(run, (error: Error) => error instanceof BadInput && message.test(error.message))
  fails(() => resolveGeneration('b'), /did you mean B\?/)
  fails(() => resolveGeneration('2.6.36'), /older than 2\.6\.37/)
  fails(() => resolveGeneration('nonsense'), /A, B0, B, B\+seed, C0, C, D, D2, low, E/)
  fails(() => resolveGeneration('a38647837a41'), /--with a38647837a41/)
  fails(() => resolveGeneration('B', ['a38647837a42']), /did you mean a38647837a41\?/)
  fails(() => resolveGeneration('B', ['deadbeef']), /known are fef5ba797991, 4b239f458c22/)
  fails(() => resolveGeneration('B', ['a38']), /too short/)
})
