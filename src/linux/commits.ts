import { BadInput, nearest } from '../bits/bad-input.ts'
import type { Generation } from './generation.ts'

/** A commit of Linux as what it does to a generation's fields, and what taking it out again does. */
export type Commit = {
  /** As many digits of the hash as are known. */
  readonly hash: string
  /** What it does, in a line. */
  readonly title: string
  readonly add: (generation: Generation) => Generation
  readonly remove: (generation: Generation) => Generation
}

type Fields = Partial<Omit<Generation, 'name' | 'kernels'>>

function commit(hash: string, title: string, added: Fields, removed: Fields): Commit {
  return {
    hash,
    title,
    add: (generation) => ({ ...generation, ...added }),
    remove: (generation) => ({ ...generation, ...removed }),
  }
}

/** A commit that brings or takes one way of giving the tail back, and must leave the other ways alone. */
function releaseCommit(hash: string, title: string, way: Generation['release']): Commit {
  return {
    hash,
    title,
    add: (generation) => ({ ...generation, release: way }),
    remove: (generation) => (generation.release === way ? { ...generation, release: 'none' } : generation),
  }
}

const mark = releaseCommit('a38647837a41', 'the workaround: mark_rw_past_pgt gives the tail back', 'mark')

/** The commits that fields of a generation can express, in the order in which they were written. */
export const commits: readonly Commit[] = [
  commit(
    'fef5ba797991',
    'read-only mask for early tables on 64-bit',
    { readOnlyUpTo: 'end' },
    { readOnlyUpTo: 'none' },
  ),
  commit(
    '4b239f458c22',
    'early tables high, existing tables reached through fixmap slots',
    { placement: 'high', searchFrom: 0, existingTables: 'fixmap' },
    { placement: 'low', searchFrom: 0x8000, existingTables: 'direct-map' },
  ),
  commit(
    '7cb31b752c7',
    'ends of RAM rounded down to pages',
    { ramEndAligned: true },
    { ramEndAligned: false },
  ),
  commit(
    '2f14ddc3a714',
    'RAM cut off below 4 GiB becomes unusable',
    { cutRamUnusable: true },
    { cutRamUnusable: false },
  ),
  commit(
    '68df0da7f42b',
    'gaps and non-RAM are 1-1 in the p2m',
    { identityP2m: true },
    { identityP2m: false },
  ),
  commit(
    '14988a4d350c',
    'max_pfn_mapped is the frame of the mfn list',
    { firstMapped: 'mfn-list' },
    { firstMapped: 'ident-map' },
  ),
  commit(
    'd8aa5ec3382e',
    'early-ioremap slots read-only except of the newest table',
    { ioremapSlots: 'ro-except-newest' },
    { ioremapSlots: 'as-asked' },
  ),
  commit(
    '24bdb0b62cc8',
    'extra RAM never below 4 GiB',
    { extraRegion: 'above-4g' },
    { extraRegion: 'after-memory' },
  ),
  mark,
  commit('b9269dc7bfdf', 'read-only mask up to the top', { readOnlyUpTo: 'top' }, { readOnlyUpTo: 'end' }),
  releaseCommit('279b706bf800', 'the pagetable_reserve hook gives the tail back', 'hook'),
  { hash: '92bdaef7b2c5', title: 'revert of the workaround', add: mark.remove, remove: mark.add },
  commit(
    '8548c84da2f4',
    'early tables low again, for resume from S4',
    { placement: 'low' },
    { placement: 'high' },
  ),
  commit(
    '2e2fb75475c2',
    'released memory is asked for again at the end',
    { released: 'repopulated' },
    { released: 'for-good' },
  ),
  commit('844ab6f993b1', 'buffer sized by the ranges to map', { sizing: 'ranges' }, { sizing: 'end' }),
  commit(
    '8d57470d8f85',
    'tables taken one by one from mapped memory',
    { placement: 'brk', sizing: 'ranges', existingTables: 'direct-map' },
    { placement: 'low', sizing: 'ranges', existingTables: 'fixmap' },
  ),
  commit(
    '6f80b68e9e51',
    "Xen's read-only mask and tail hook removed",
    { ioremapSlots: 'as-asked', readOnlyUpTo: 'none', release: 'none' },
    { ioremapSlots: 'ro-except-newest', readOnlyUpTo: 'top', release: 'hook' },
  ),
]

const SHORTEST_HASH = 7

/** The row of a commit by its hash, abbreviated to at least seven characters or in full. */
export function changeOf(hash: string): Commit {
  const word = hash.toLowerCase()
  const row = commits.find((known) => word.startsWith(known.hash) || known.hash.startsWith(word))
  if (row && word.length >= SHORTEST_HASH) return row
  const all = commits.map((known) => known.hash)
  if (row)
    throw new BadInput(`commit "${hash}" is too short: give at least ${SHORTEST_HASH} digits of the hash`)
  const near = nearest(word, all)
  const hint = near ? `did you mean ${near}? ` : ''
  throw new BadInput(`no commit "${hash}" is known here: ${hint}known are ${all.join(', ')}`)
}
