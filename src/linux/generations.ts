import { BadInput, nearest } from '../bits/bad-input.ts'
import { changeOf, commits } from './commits.ts'
import type { Generation } from './generation.ts'

const A: Generation = {
  name: 'A',
  kernels: '2.6.38; 2.6.37 but for the rounding of RAM ends',
  placement: 'low',
  searchFrom: 0x8000,
  sizing: 'end',
  existingTables: 'direct-map',
  firstMapped: 'ident-map',
  ioremapSlots: 'as-asked',
  readOnlyUpTo: 'end',
  release: 'none',
  extraRegion: 'after-memory',
  released: 'for-good',
  ramEndAligned: true,
  cutRamUnusable: false,
  identityP2m: false,
  memoryModel: 'sparsemem-vmemmap',
}

const B: Generation = {
  ...A,
  name: 'B',
  kernels: '2.6.39-rc5; rc1 to rc4 but for the place of the extra region',
  placement: 'high',
  searchFrom: 0,
  existingTables: 'fixmap',
  firstMapped: 'mfn-list',
  ioremapSlots: 'ro-except-newest',
  extraRegion: 'above-4g',
  cutRamUnusable: true,
  identityP2m: true,
}

const C0: Generation = {
  ...B,
  name: 'C0',
  kernels: 'no release: between the revert of the workaround and its successor',
  readOnlyUpTo: 'top',
}

const D: Generation = { ...C0, name: 'D', kernels: '2.6.39 to 3.1', release: 'hook' }

/** The generations by letter, in the order in which they came; `low` is an experiment and no release. */
export const generations: readonly Generation[] = [
  A,
  {
    ...B,
    name: 'B0',
    kernels: 'no release: early tables high, early-ioremap slots as before',
    ioremapSlots: 'as-asked',
  },
  B,
  {
    ...B,
    name: 'B+seed',
    kernels: 'no release: the workaround without its partner b9269dc7bfdf',
    release: 'mark',
  },
  C0,
  { ...C0, name: 'C', kernels: '2.6.39-rc6 and rc7', release: 'mark' },
  D,
  { ...D, name: 'D2', kernels: '3.2 to 3.6; 3.7 and 3.8 but for the sizing', placement: 'low' },
  { ...B, name: 'low', kernels: 'no release: 2.6.39-rc5 with early tables low again', placement: 'low' },
  {
    ...B,
    name: 'E',
    kernels: '3.9 and later',
    placement: 'brk',
    sizing: 'ranges',
    existingTables: 'direct-map',
    ioremapSlots: 'as-asked',
    readOnlyUpTo: 'none',
    released: 'repopulated',
  },
]

/** The first release that a rule covers, the generation, and the commits by which the release differs from it. */
type Release = {
  readonly from: readonly [number, number, number]
  readonly letter: string
  readonly with?: string
  readonly without?: string
}

const releases: readonly Release[] = [
  { from: [2, 6, 37], letter: 'A', without: '7cb31b752c7' },
  { from: [2, 6, 38], letter: 'A' },
  { from: [2, 6, 39], letter: 'D' },
  { from: [3, 2, 0], letter: 'D2' },
  { from: [3, 7, 0], letter: 'D2', with: '844ab6f993b1' },
  { from: [3, 9, 0], letter: 'E' },
]

/** The release candidates of 2.6.39 are three generations; each row is the first rc of its rule. */
const candidates2639: readonly { readonly rc: number; readonly letter: string; readonly without?: string }[] =
  [
    { rc: 1, letter: 'B', without: '24bdb0b62cc8' },
    { rc: 5, letter: 'B' },
    { rc: 6, letter: 'C' },
  ]

/**
 * The generation that `linux` names, a letter (`B`) or a version (`2.6.39-rc4`), changed by commits, each a hash of at
 * least seven characters. The result has a known generation's name when it equals one; otherwise the name tells how it
 * was made, as `B+24bdb0b62cc8` or `A-7cb31b752c7`.
 */
export function resolveGeneration(
  linux: string,
  withCommits: readonly string[] = [],
  withoutCommits: readonly string[] = [],
): Generation {
  const start = byLetter(linux) ?? byVersion(linux)
  if (!start) throw new BadInput(unknownLinux(linux))
  const { letter, ...own } = start
  let result: Generation = generations.find((generation) => generation.name === letter)!
  let name = letter
  const change = (hash: string, present: boolean) => {
    const row = changeOf(hash)
    const next = present ? row.add(result) : row.remove(result)
    if (sameFields(next, result)) return
    name += `${present ? '+' : '-'}${row.hash}`
    result = next
  }
  // What makes the release comes first, so that a commit it lacks can be put in.
  if (own.with) change(own.with, true)
  if (own.without) change(own.without, false)
  for (const hash of withCommits) change(hash, true)
  for (const hash of withoutCommits) change(hash, false)
  const known = generations.find((generation) => sameFields(generation, result))
  return known ?? { ...result, name, kernels: `no release: ${name}` }
}

type Start = { letter: string; with?: string; without?: string }

function byLetter(word: string): Start | null {
  return generations.some((generation) => generation.name === word) ? { letter: word } : null
}

function byVersion(word: string): Start | null {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:\.\d+)*(?:-rc(\d+))?(?:[-+~].*)?$/.exec(word)
  if (!match) return null
  const version = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] as const
  if (match[4] !== undefined && compare(version, [2, 6, 39]) === 0)
    return candidates2639.findLast((row) => row.rc <= Number(match[4])) ?? candidates2639[0]
  const release = releases.findLast((row) => compare(row.from, version) <= 0)
  if (!release)
    throw new BadInput(
      `Linux ${word} is older than 2.6.37, where Xen's hook for early tables begins: use 2.6.37 or later`,
    )
  const { from: _, ...start } = release
  return start
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return 0
}

function sameFields(a: Generation, b: Generation): boolean {
  const keys = Object.keys(a) as (keyof Generation)[]
  return keys.every((key) => key === 'name' || key === 'kernels' || a[key] === b[key])
}

function unknownLinux(word: string): string {
  const letters = generations.map((generation) => generation.name)
  const commit = commits.find((row) => word.length >= 7 && row.hash.startsWith(word))
  if (commit)
    return `"${word}" is a commit, not a kernel: name a generation or a version and add --with ${word}`
  const near = nearest(word, letters)
  const hint = near ? `did you mean ${near}? ` : ''
  return `no Linux "${word}": ${hint}known are the generations ${letters.join(', ')} and versions such as 2.6.39-rc4`
}
