import { RandomOperations, TO_KERNEL, USER } from './random-operations.ts'
import { RandomPages, type Weights } from './random-pages.ts'

/** How a random script is made: how often it asks for what should be refused, and how often for what. */
type Profile = { readonly wild: number; readonly weights: Weights }

const MIXED: Weights = {
  remap: 12,
  set: 10,
  mmu: 22,
  batch: 4,
  pin: 9,
  unpin: 7,
  extBatch: 2,
  uvm: 10,
  hierarchy: 1,
  hook: 4,
  through: 4,
  get: 2,
  base: 2,
  userBase: 2,
  clear: 2,
  copy: 1,
  emulated: 8,
  segments: 4,
  memory: 2,
  multi: 3,
  user: 1.5,
  flush: 1,
  m2p: 0.7,
  assist: 0.2,
  odd: 0.6,
  role: 1,
}

const PROFILES: Readonly<Record<RandomProfile, Profile>> = {
  mixed: { wild: 0.22, weights: MIXED },
  /** Mostly what Xen allows. */
  legal: { wild: 0.06, weights: MIXED },
  /** Mostly what it refuses. */
  wild: { wild: 0.55, weights: MIXED },
  /** Whole hierarchies, and changes of them while they are in use. */
  struct: {
    wild: 0.02,
    weights: {
      ...MIXED,
      hierarchy: 5,
      mmu: 30,
      emulated: 14,
      through: 7,
      segments: 0.6,
      memory: 0.7,
      odd: 0.1,
      role: 0,
    },
  },
  /** Multicalls and calls with many requests, and the way to user mode and back. */
  batch: { wild: 0.15, weights: { ...MIXED, batch: 14, extBatch: 8, multi: 20, user: 8 } },
  /** Descriptor tables. */
  segments: { wild: 0.2, weights: { ...MIXED, segments: 35, memory: 4 } },
  /** Frames that are given back, taken and exchanged. */
  memory: { wild: 0.2, weights: { ...MIXED, memory: 25, m2p: 3 } },
}

export type RandomProfile = 'mixed' | 'legal' | 'wild' | 'struct' | 'batch' | 'segments' | 'memory'

/** The profiles of random scripts by name. */
export const RANDOM_PROFILES = Object.keys(PROFILES) as readonly RandomProfile[]

export type RandomScriptOptions = {
  /** About how many operations, default 400; at least the few that set the script up. */
  readonly ops?: number
  readonly profile?: RandomProfile
}

/**
 * A random script, the same for the same seed: plausible and implausible requests about a dozen scratch pages, the words
 * of all of them after every operation, and their contents at the end.
 */
export function randomScript(seed: number, options: RandomScriptOptions = {}): string {
  const { ops = 400, profile = 'mixed' } = options
  const { wild, weights } = PROFILES[profile]
  const pages = new RandomPages(seed, wild, 8 + (Math.abs(seed) % 9))
  const operations = new RandomOperations(pages)
  const lines = begin(pages, operations)
  while (lines.length < ops) lines.push(...[operations.next(weights)].flat())
  const end = ['autoinfo off', 'info', `dump ${pages.pages.join(' ')}`]
  return `${[...lines, ...end].join('\n')}\n`
}

/** Pages, a process, and the beginnings of a hierarchy. */
function begin(pages: RandomPages, operations: RandomOperations): string[] {
  const lines = [
    `page ${pages.pages.join(' ')} ${USER}`,
    'autoinfo on',
    `set ${USER}[511] = ${TO_KERNEL}`,
    `ro ${USER}`,
    `pin4 ${USER}`,
    `ubaseptr ${USER}`,
  ]
  for (const page of pages.pages) {
    const role = pages.roleOf(page)
    for (let i = pages.random(role === 0 ? 2 : 4); i > 0; i--) lines.push(operations.set(page, role))
    if (role === 4 && pages.chance(0.6)) lines.push(operations.mapKernel(page))
  }
  for (const page of pages.pages) {
    const role = pages.roleOf(page)
    if (role > 0 && pages.chance(1 - pages.wild / 2)) lines.push(`ro ${page}`)
    if (role > 0 && pages.chance(0.35)) lines.push(`pin${role} ${page}`)
  }
  return lines
}
