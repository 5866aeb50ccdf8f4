import { BadInput } from '../../bits/bad-input.ts'
import type { BootOptions, BootResult, HolderText } from '../../run/boot/boot.ts'
import type { Release } from '../../run/xen-versions.ts'
import { type BootFacts, bootFacts } from './confirm-facts.ts'
import { candidates, distance, framesOf, type Match, matchOf } from './confirm-match.ts'
import { bootOrProblem, type Repair, releasesOf, repairOf } from './confirm-repair.ts'

export type { Repair } from './confirm-repair.ts'

/** What a log says of one boot. */
export type ConfirmInput = {
  /** Lines of one boot, cleaned: no timestamps, quoting or prefixes; Xen's lines begin with `(XEN) `. May be cut, may lack anything. */
  readonly lines: readonly string[]
  /** The page that Xen refused, when a message names one: pfn in hex as printed, and the type asked for: `l1` to `l4` or `writable`. */
  readonly refused?: { readonly pfn: string; readonly exp: string }
  /** A release build prints no refusal: pfns, in hex, that the crash dump's registers point to, best first. */
  readonly suspects?: readonly string[]
  readonly crashed: boolean
  /** The release of Xen that the log proves by a banner or by line numbers; without it its lines are looked at. */
  readonly xen?: { readonly release: Release; readonly build: 'debug' | 'release' }
}

/** A boot of the model that stands for the log's. */
export type ConfirmedBoot = {
  /** The letter of the generation, or a letter with the commits by which a release differs from it. */
  readonly generation: string
  /** The releases that have this code, in words. */
  readonly releases: string
  /** The profile of Xen. */
  readonly xen: string
  readonly domain: 'dom0' | 'domU'
  /** In hex, as the results of `boot` have them; `append` holds only the words that matter here. */
  readonly nrPages: string
  readonly vEnd: string
  readonly append: string
  readonly outcome: BootResult['outcome']
  /** How Xen said no, or what the fault was. */
  readonly via: BootResult['via']
  /** The page it ended at, in hex with 0x; null of a boot that booted. */
  readonly pfn: string | null
  /** Lines about where tables go that the log has, and how many of them the model printed too. */
  readonly tableLines: { readonly inLog: number; readonly same: number }
  /** The command that does the same; LOG stands for the file with the log. */
  readonly command: string
}

export type Confirmation = {
  /**
   * `same-pfn`: the model ends at the page that the log names. `same-outcome`: it ends the same way, and the log names no
   * page or one of the kernel's image, which lies elsewhere in each build. `other-outcome`: no boot of the model ends as
   * the log does. `boots`: both boot.
   */
  readonly verdict: 'same-pfn' | 'same-outcome' | 'other-outcome' | 'boots' | 'cannot-tell'
  /** One or two sentences for people. */
  readonly says: string
  /** What the log lacks, a phrase each, and how to get it. */
  readonly missing?: readonly string[]
  /** The boot that was run and fits best. */
  readonly ran?: ConfirmedBoot
  /** The entry that stands in the refused page's way. */
  readonly holder?: HolderText
  /** What cures it. */
  readonly repair?: Repair
}

/** In frames, 64 GiB and 256 GiB: larger guests and machines take too long for a question. */
const MOST_PAGES = 2 ** 24
const MOST_FRAMES = 2 ** 26

/**
 * Boots in the model what a log says of a boot, with every generation of Linux's early page tables until one fits: the
 * printed version alone does not decide, as distributions carried single commits. What fits is judged by the outcome, the
 * refused page and the lines about where tables go.
 *
 * @returns undefined where the lines have nothing of an early boot
 */
export function confirm(input: ConfirmInput): Confirmation | undefined {
  try {
    const facts = bootFacts(input)
    return facts && judged(facts, input)
  } catch (error) {
    if (error instanceof BadInput) return cannotTell(`The log's machine cannot be built: ${error.message}.`)
    throw error
  }
}

function cannotTell(says: string, missing: readonly string[] = []): Confirmation {
  return { verdict: 'cannot-tell', says, ...(missing.length > 0 ? { missing } : {}) }
}

function judged(facts: BootFacts, input: ConfirmInput): Confirmation {
  if (facts.outside.length > 0) return cannotTell(facts.outside.join(' '))
  const missing = missingOf(facts)
  if (missing.length > 0)
    return cannotTell('The log does not say enough of the machine to boot it again.', missing)
  if (facts.end === 'booted' && (input.crashed || input.refused))
    return cannotTell('It crashed after its early page tables were done; the model ends there.')
  const size = facts.sizes.find((pages) => pages > MOST_PAGES)
  if (size !== undefined)
    return cannotTell(`A domain of ${size} pages is more than 64 GiB, too large to boot for a question.`)
  const frames = framesOf(facts)
  if (frames > MOST_FRAMES)
    return cannotTell('The machine has more than 256 GiB to map, too large to boot for a question.')
  const kernels = candidates(facts, frames)
  if (kernels.linux.length === 0)
    return cannotTell('Nothing in the log tells one kernel from another.', [TABLES])
  const best = bestMatch(kernels.linux, facts, input)
  if ('problem' in best)
    return cannotTell(`The log's machine cannot be booted in the model: ${best.problem}.`)
  if (!kernels.all && distance(best) > 0)
    return cannotTell(
      `The machine is too large to try every kernel; of ${kernels.linux.join(', ')} none ends as the log does.`,
    )
  return verdictOf(best, facts, input)
}

const NEEDED = {
  map: {
    dom0: "Xen's memory map: the block below `(XEN) Xen-e820 RAM map:` of `xl dmesg` or of a serial console",
    domU: "the guest's memory map: the block below `BIOS-provided physical RAM map:` of its console (boot it with `earlyprintk=xen`)",
  },
  size: "dom0's memory: `(XEN)  Phys-Mach map:` or `dom0_mem=` in Xen's command line; both are in `xl dmesg`",
  vEnd: {
    dom0: 'the end of the initial mapping: `(XEN)  TOTAL:` in `xl dmesg`',
    domU: 'the end of the initial mapping: the line `initial memory mapped :` of a kernel booted with `earlyprintk=xen`',
  },
  end: 'how it went on: the log ends before the early page tables are done; boot the kernel with `earlyprintk=xen` and log to a serial console',
}

function missingOf({ map, sizes, vEnd, kernelSize, domain, end, append }: BootFacts): string[] {
  const missing: string[] = []
  if (map === undefined) missing.push(NEEDED.map[domain])
  if (sizes.length === 0 && domain === 'dom0') missing.push(NEEDED.size)
  if (vEnd === undefined && kernelSize === undefined) missing.push(NEEDED.vEnd[domain])
  if (end === 'cut') missing.push(NEEDED.end)
  if (missing.length > 0 && append === undefined) missing.push(COMMAND_LINE)
  return missing
}

/** The options of the log's machine, without its kernel. */
function machineOf(facts: BootFacts, memory: number): BootOptions {
  const { map, xen, domain, vEnd, kernelSize, append } = facts
  return {
    xen: xen.name,
    domain,
    memory,
    append: append ?? '',
    ...(map ? { map } : {}),
    // What Xen printed is the firmware's map; the kernel of a dom0 sees the APICs' pages in it.
    ...(domain === 'dom0' ? { firmwareMap: true } : {}),
    ...(vEnd !== undefined ? { vEnd } : kernelSize !== undefined ? { kernelSize } : {}),
  }
}

type Found = Match & { readonly options: BootOptions }

/** The boot that fits best; a full match ends the search. Where no boot can be carried out, why the first could not. */
function bestMatch(
  kernels: readonly string[],
  facts: BootFacts,
  input: ConfirmInput,
): Found | { readonly problem: string } {
  let best: Found | null = null
  let problem: string | null = null
  const seen = new Set<string>()
  for (const linux of kernels) {
    for (const memory of facts.sizes) {
      const options: BootOptions = { linux, ...machineOf(facts, memory) }
      const result = bootOrProblem(options)
      if ('problem' in result) {
        problem ??= result.problem
        continue
      }
      if (seen.has(`${result.linux} ${memory}`)) continue
      seen.add(`${result.linux} ${memory}`)
      const found = { ...matchOf(result, facts, input), options }
      if (best === null || distance(found) < distance(best)) best = found
      if (distance(best) === 0) return best
    }
  }
  return best ?? { problem: problem ?? 'no kernel fits it' }
}

function verdictOf(best: Found, facts: BootFacts, input: ConfirmInput): Confirmation {
  const { result } = best
  const ran = ranBoot(best, facts)
  const elsewhere = best.onlyInLog > 0
  const kernel = `Linux of generation ${ran.generation} (${ran.releases})`
  if (facts.end === 'booted') {
    if (result.outcome !== 'booted' || elsewhere)
      return { verdict: 'other-outcome', says: otherSays(best, facts, input), ran }
    return { verdict: 'boots', says: `The model boots the log's machine too, with ${kernel}.`, ran }
  }
  if (!best.sameEnd || elsewhere || best.samePage === false) {
    const missing = [
      ...(facts.linux === undefined ? [RELEASE] : []),
      ...(facts.append === undefined ? [COMMAND_LINE] : []),
    ]
    return {
      verdict: 'other-outcome',
      says: otherSays(best, facts, input),
      ...(missing.length > 0 ? { missing } : {}),
      ran,
    }
  }
  // Some kernel or other ends in a crash on most machines: without the page, or all the lines up to it, that says nothing.
  if (best.samePage !== true && (facts.tables.length === 0 || best.onlyInModel > 0))
    return cannotTell('Nothing in the log tells whether the model boots the same machine.', [TABLES])
  const repair = repairOf(result, best.options)
  const same = best.samePage === true
  const end = result.outcome === 'refused' ? 'Xen refuses' : 'the CPU faults at'
  const page = result.pfn === null ? 'a page' : `pfn ${result.pfn.slice(2)}`
  const where = same
    ? `${end} the same page, ${page}`
    : `it ends the same way, ${result.outcome === 'refused' ? 'refused' : 'with a fault'} at ${page}; the log ${input.refused ? 'names a page of its own image' : 'names no page to compare'}`
  const cure = repair?.boots
    ? ` The same machine boots with ${repair.commits.join(' and ')} (${repair.releases}).`
    : ''
  return {
    verdict: same ? 'same-pfn' : 'same-outcome',
    says: `The log's machine booted in the model with ${kernel}: ${where}.${cure}`,
    ran,
    ...(result.holder ? { holder: result.holder } : {}),
    ...(repair ? { repair } : {}),
  }
}

const TABLES =
  'where its tables went: the lines `kernel direct mapping tables up to` and `init_memory_mapping:`; boot with `earlyprintk=xen`'
const RELEASE = "the kernel's release: the line `Linux version`; boot with `earlyprintk=xen`"
const COMMAND_LINE =
  "the kernel's command line: `memmap=` and `mem=` in it move the tables; boot with `earlyprintk=xen`"

function otherSays(best: Found, facts: BootFacts, input: ConfirmInput): string {
  const { result } = best
  const did =
    result.outcome === 'booted'
      ? 'boots'
      : `${result.outcome === 'refused' ? 'is refused' : 'faults'} at pfn ${result.pfn?.slice(2) ?? 'unknown'}`
  const log =
    facts.end === 'booted'
      ? 'the log boots'
      : input.refused
        ? `the log is refused at pfn ${input.refused.pfn}`
        : 'the log crashes'
  const tables = best.onlyInLog > 0 ? ', with its tables elsewhere' : ''
  return `No generation of Linux's early page tables ends on this machine as the log does: the nearest, ${result.linux}, ${did}${tables}; ${log}.`
}

function ranBoot(best: Found, facts: BootFacts): ConfirmedBoot {
  const { result, options } = best
  const { nrPages, vEnd, append } = result.machine
  return {
    generation: result.linux,
    releases: releasesOf(result.linux, options.linux as string),
    xen: result.xen,
    domain: facts.domain,
    nrPages,
    vEnd,
    append,
    outcome: result.outcome,
    via: result.via,
    pfn: result.pfn,
    tableLines: { inLog: facts.tables.length, same: facts.tables.length - best.onlyInLog },
    command: commandOf(result, options, facts),
  }
}

function commandOf(result: BootResult, options: BootOptions, facts: BootFacts): string {
  const { nrPages, vEnd, append } = result.machine
  const words = ['xenolith boot', '--map LOG']
  words.push(`--linux ${options.linux}`, `--xen ${result.xen}`)
  words.push(...(facts.domain === 'dom0' ? ['--dom0 --firmware-map'] : ['--domu']))
  words.push(`--memory ${nrPages}p`)
  words.push(
    options.vEnd === undefined ? `--kernel-size 0x${options.kernelSize?.toString(16)}` : `--v-end ${vEnd}`,
  )
  if (append !== '') words.push(`--append '${append.replaceAll("'", "'\\''")}'`)
  return words.join(' ')
}
