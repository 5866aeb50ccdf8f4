import { BadInput } from '../../bits/bad-input.ts'
import { type BootOptions, type BootResult, boot } from '../../run/boot/boot.ts'
import { generations } from '../../run/boot/generations.ts'

/** The same machine once more with commits that came later. */
export type Repair = {
  readonly commits: readonly string[]
  /** What must be left out for them: the workaround, where its successor comes. */
  readonly without: readonly string[]
  readonly generation: string
  readonly releases: string
  readonly boots: boolean
}

/** The commits of the seed's family: read-only up to the top, the workaround that gives the tail back, and its successor. */
const RO_UP_TO_TOP = 'b9269dc7bfdf'
const WORKAROUND = 'a38647837a41'
const RESERVE_HOOK = '279b706bf800'
const SLOTS_READ_ONLY = 'd8aa5ec3382e'

/** The first of the cures with which the machine boots; else the last that was tried. */
export function repairOf(result: BootResult, options: BootOptions): Repair | null {
  const has = generations.find((known) => known.name === result.linux)
  const toTop = has?.readOnlyUpTo === 'top' ? [] : [RO_UP_TO_TOP]
  const slots = result.via === 'ptwr' ? [SLOTS_READ_ONLY] : []
  const attempts: { commits: string[]; without: string[] }[] = [
    ...(slots.length > 0 ? [{ commits: slots, without: [] }] : []),
    { commits: [...slots, ...toTop, WORKAROUND], without: [] },
    { commits: [...slots, ...toTop, RESERVE_HOOK], without: has?.release === 'mark' ? [WORKAROUND] : [] },
  ]
  let last: Repair | null = null
  for (const { commits, without } of attempts) {
    const repaired = bootOrProblem({ ...options, with: commits, without })
    if ('problem' in repaired || repaired.linux === result.linux) continue
    last = {
      commits,
      without,
      generation: repaired.linux,
      releases: releasesOf(repaired.linux, 'no release'),
      boots: repaired.outcome === 'booted',
    }
    if (last.boots) return last
  }
  return last
}

/** A release that is no letter's own differs from one by a commit. The first candidates of 2.6.39 are all one code. */
export function releasesOf(generation: string, linux: string): string {
  const known = generations.find(({ name }) => name === generation)
  return known?.kernels ?? (linux === '2.6.39-rc4' ? '2.6.39-rc1 to rc4' : linux)
}

/**
 * A release whose code the model lacks, or a size that the map does not hold, is no candidate; nor is a kernel that ends
 * without any page to blame, which found no room for its tables in such a map.
 */
export function bootOrProblem(options: BootOptions): BootResult | { readonly problem: string } {
  try {
    const result = boot(options)
    if (result.outcome === 'booted' || result.pfn !== null) return result
    return { problem: 'its kernel finds no room for its early page tables in this map' }
  } catch (error) {
    if (error instanceof BadInput) return { problem: error.message }
    throw error
  }
}
