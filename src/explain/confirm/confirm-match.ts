import type { BootResult } from '../../run/boot/boot.ts'
import type { ConfirmInput } from './confirm.ts'
import { type BootFacts, tableLine } from './confirm-facts.ts'

/** How well a boot of the model fits a log. */
export type Match = {
  readonly result: BootResult
  /** It ends the way the log does. */
  readonly sameEnd: boolean
  /** It ends at the page that the log names; null where the log names none or one whose address is the image's. */
  readonly samePage: boolean | null
  /** Lines about tables that one side alone has; `onlyInModel` is 0 where the log has no such line at all. */
  readonly onlyInLog: number
  readonly onlyInModel: number
}

/**
 * The generations, likeliest first, and the early release candidates of 2.6.39, which have B's tables and another place for
 * the extra region. `E` is not among them: what it builds cannot be refused this way.
 */
const KERNELS = ['B', 'C', 'D', 'A', 'D2', 'low', 'C0', 'B0', 'B+seed', '2.6.39-rc4']

/** Frames that all boots of one question may map: 512 GiB, some seconds. Three kernels are tried at least. */
const WORK = 2 ** 27
const FEWEST = 3

/**
 * The kernels to try, the printed version's first; `all` is false where the machine is too large to try each. A boot that
 * went well and printed nothing of its tables can only be the printed version's.
 */
export function candidates(
  { linux, tables, end }: BootFacts,
  frames: number,
): { linux: string[]; all: boolean } {
  if (end === 'booted' && tables.length === 0) return { linux: linux ? [linux.text] : [], all: true }
  const every = [...(linux ? [linux.text] : []), ...KERNELS]
  const count = Math.max(FEWEST, Math.floor(WORK / Math.max(1, frames)))
  return { linux: every.slice(0, count), all: count >= every.length }
}

/**
 * Frames that the boots of these facts map at most: the domain's and the extra region of ten times as many, of what RAM the
 * map has; for each size that the domain may have.
 */
export function framesOf({ map, sizes }: BootFacts): number {
  const ram = (map?.entries ?? [])
    .filter((entry) => entry.type === 'usable')
    .reduce((sum, entry) => sum + (entry.end - entry.start) / 4096, 0)
  return sizes.reduce((sum, size) => sum + Math.min(Math.max(ram, size), 11 * size), 0)
}

/** How a boot of the log's machine compares with the log: its end, the refused page, and the lines about tables. */
export function matchOf(result: BootResult, facts: BootFacts, input: ConfirmInput): Match {
  const model = result.console.map(tableLine).filter((line) => line !== null)
  const same = inOrder(facts.tables, model)
  const { refused, suspects } = input
  const sameEnd = endsAlike(result, facts, refused?.exp)
  return {
    result,
    sameEnd,
    samePage: sameEnd ? samePage(result, refused?.pfn, suspects) : null,
    onlyInLog: facts.tables.length - same,
    onlyInModel: facts.tables.length === 0 ? 0 : model.length - same,
  }
}

/** The end weighs most, then the page; a line that the model lacks speaks more against it than one that the log lost. */
export function distance({ sameEnd, samePage, onlyInLog, onlyInModel }: Match): number {
  return (sameEnd ? 0 : 10_000) + (samePage === false ? 1_000 : 0) + 2 * onlyInLog + onlyInModel
}

function endsAlike({ outcome, via }: BootResult, { end, xen }: BootFacts, exp: string | undefined): boolean {
  switch (end) {
    case 'booted':
    case 'cut':
      return outcome === 'booted'
    case 'refused':
      // A page asked for as writable is one that a new entry maps; asked for as a table it is being pinned or linked.
      return outcome === 'refused' && (via === 'mmu_update' || (exp === 'writable') === (via !== 'pin'))
    case 'bug':
      return outcome === 'refused' && via !== 'ptwr'
    case 'fault':
      // Where Xen prints nothing, a store into a table that it does not carry out looks like any page fault.
      return outcome === 'fault' || (via === 'ptwr' && xen.silent)
    case 'crashed':
      return outcome !== 'booted'
  }
}

function samePage(
  { pfn, via, machine }: BootResult,
  refused: string | undefined,
  suspects: readonly string[] = [],
): boolean | null {
  const named = frameOf(refused)
  if (pfn === null) return named === null ? null : false
  const model = Number(pfn)
  if (named !== null) {
    if (named === model) return true
    // A kernel's own tables lie where its build put them: the model's kernel is another build.
    const imageEnd = Number(machine.vEnd) / 4096
    return via === 'ptwr' && named < imageEnd && model < imageEnd ? null : false
  }
  const frames = suspects.map(frameOf).filter((frame) => frame !== null)
  return frames.includes(model) ? true : null
}

function frameOf(text: string | undefined): number | null {
  return text !== undefined && /^(?:0x)?[0-9a-f]{1,13}$/i.test(text) ? Number.parseInt(text, 16) : null
}

/** How many lines two lists share in their order: the longest common subsequence. */
function inOrder(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0)
  for (const line of a) {
    const next = [0]
    b.forEach((other, j) => {
      next.push(line === other ? row[j] + 1 : Math.max(row[j + 1], next[j]))
    })
    row = next
  }
  return row[b.length]
}
