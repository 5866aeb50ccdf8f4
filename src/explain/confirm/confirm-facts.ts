import { type LogMap, parseMapLog } from '../../run/maps/map-log.ts'
import { checkMap, type MemoryMap } from '../../run/maps/maps.ts'
import { type Release, xenFor } from '../../run/xen-versions.ts'
import type { ConfirmInput } from './confirm.ts'

/** How the boot of a log ended, as far as its lines say. */
export type LogEnd =
  /** Xen's message names a refused frame. */
  | 'refused'
  /** An invalid opcode that nobody handles: the kernel's BUG() on a hypercall that failed. */
  | 'bug'
  /** A page fault that the kernel could not take. */
  | 'fault'
  /** It crashed and the log does not say how. */
  | 'crashed'
  /** The early tables were done and used. */
  | 'booted'
  /** The lines stop before any of that. */
  | 'cut'

/** A version of Linux, as printed and as numbers. */
export type LinuxRelease = {
  readonly text: string
  readonly numbers: readonly [number, number, number]
}

/** What the lines say about one boot; undefined and null are what they do not say. */
export type BootFacts = {
  readonly end: LogEnd
  /** The version of Xen whose rules to use, and whether it leaves out what its memory code has to say. */
  readonly xen: { readonly name: string; readonly silent: boolean }
  readonly linux: LinuxRelease | undefined
  readonly domain: 'dom0' | 'domU'
  /** The map to boot with: the host's of a dom0, the guest's own of a domU. */
  readonly map: MemoryMap | undefined
  /** Frames of the domain; several where only a guest's map says it, best first. */
  readonly sizes: readonly number[]
  /** The end of the initial mapping, or the bytes of kernel and initrd from which it follows. */
  readonly vEnd: number | undefined
  readonly kernelSize: number | undefined
  /** The words of the command line that the early page tables depend on; undefined where no line has it. */
  readonly append: string | undefined
  /** The lines about where tables go, in their order and in one wording. */
  readonly tables: readonly string[]
  /** What the lines rule out, each a sentence: the model has no such machine. */
  readonly outside: readonly string[]
}

const PAGE = 4096
/** A log is cut to this: a boot log is a few thousand lines, and only a command line is long. */
const MOST_LINES = 10_000
const LONGEST_LINE = 2_500
/** A longer line is none of a map. */
const LONGEST_MAP_LINE = 120
/** Where Linux's x86-64 image is linked to run: what is mapped from there on is kernel and initrd. */
const KERNEL_START = 0x100_0000
/** A toolstack gives a domU's map this much beyond its memory. */
const MAP_SLACK = 0x800
/** 64 GiB. */
const MOST_BYTES = 2 ** 36
/** Linux has 17 patterns for memtest=: more passes say nothing new. */
const MEMTEST_PASSES = 17

const EARLY =
  /mapping kernel into physical memory|Xen: setup ISA identity maps|RAM map:|kernel direct mapping tables up to|init_memory_mapping:|Linux version \d|Dom0 alloc\.:|Dom0 kernel:|PHYSICAL MEMORY ARRANGEMENT|VIRTUAL MEMORY ARRANGEMENT/
/** Lines that Linux prints when its early tables are done and its first allocations were cleared. */
const PAST_EARLY =
  /^(?!\(XEN\)).*(?:Zone (?:PFN )?ranges:|Booting paravirtualized kernel|Kernel command line: |Built \d+ zonelists|PID hash table entries|Memory: \d+k\/\d+k available)/
/** The first allocation, printed before it is cleared: who comes so far and does not crash is past it. */
const FIRST_ALLOCATION = /^\s*NODE_DATA \[/
const PARAVIRTUAL =
  /^\(XEN\)|mapping kernel into physical memory|^\s*Xen: (?:\[mem )?[0-9a-fx]+|Booting paravirtualized kernel on Xen\s*$/

/** What a log's lines say about its early boot, or undefined where they say nothing of one. Throws BadInput for a broken map. */
export function bootFacts(input: ConfirmInput): BootFacts | undefined {
  const { crashed } = input
  const refused = input.refused !== undefined
  const lines = input.lines.slice(0, MOST_LINES).map((line) => line.slice(0, LONGEST_LINE))
  if (!lines.some((line) => EARLY.test(line))) return undefined
  const text = lines.join('\n')
  const domain = domainOf(lines)
  const { maps, nrPages, vEnd } = parseMapLog(
    lines.map((line) => (line.length > LONGEST_MAP_LINE ? '' : line)).join('\n'),
    'the log',
  )
  const wanted = domain === 'dom0' ? 'host' : 'guest'
  const best = maps.toSorted((a, b) => a.rank - b.rank).find((map) => map.kind === wanted)
  const map = best && asMap(best)
  const printed = domain === 'dom0' ? (nrPages ?? allocated(text) ?? dom0Mem(text)) : undefined
  const linux = linuxRelease(text)
  const end = endOf(lines, crashed, refused)
  const append = commandLine(text)
  return {
    end,
    xen: input.xen === undefined ? xenOf(text) : xenFor(input.xen.release, input.xen.build),
    linux,
    domain,
    map,
    sizes: printed !== undefined ? [printed] : domain === 'domU' && map ? sizesOf(map) : [],
    vEnd: domain === 'dom0' ? vEnd : undefined,
    kernelSize: kernelSize(text, linux),
    append,
    tables: lines.map(tableLine).filter((line) => line !== null),
    outside: [
      // A guest's map below Xen's own boot is dom0's: of the domU that crashed there is nothing.
      ...(domain === 'domU' && maps.some((map) => map.kind === 'host')
        ? ["It was not dom0 that crashed, and the boot in the log is dom0's; give the guest's own console."]
        : []),
      ...outsideOf(lines, linux, best, append, text),
    ],
  }
}

/**
 * One line about where tables go, in the wording of 2011: what is compared is numbers. Null for another line. Kernels since
 * 3.5 print inclusive ends.
 */
export function tableLine(line: string): string | null {
  const old = /(?:kernel direct mapping tables up to|setting RW the range|init_memory_mapping:) .*/.exec(line)
  if (line.startsWith('(XEN)') || old === null) return null
  const text = old[0].trimEnd()
  const numbers =
    /^kernel direct mapping tables up to (?:0x)?([0-9a-f]+) @ (?:\[mem )?(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)(\])?$/.exec(
      text,
    )
  if (numbers) {
    const [, upTo, start, last, closed] = numbers
    const add = closed ? 1 : 0
    return `tables up to ${plain(upTo, add)} @ ${plain(start)}-${plain(last, add)}`
  }
  const call =
    /^init_memory_mapping: (?:\[mem )?(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)(\])?$/.exec(text) ?? undefined
  if (call) return `mapping ${plain(call[1])}-${plain(call[2], call[3] ? 1 : 0)}`
  const tail = /^setting RW the range ([0-9a-f]+) - ([0-9a-f]+)$/.exec(text)
  return tail ? `RW ${plain(tail[1])}-${plain(tail[2])}` : null
}

function plain(digits: string, add = 0): string {
  return (Number.parseInt(digits, 16) + add).toString(16)
}

/** Xen's own lines name the domain that crashed; a dom0 also says so itself. */
function domainOf(lines: readonly string[]): 'dom0' | 'domU' {
  const crash = lines
    .map((line) => /^\(XEN\).*(?:Domain (\d+) \(vcpu#|:d(\d+)(?:v\d+)? Bad type)/.exec(line))
    .find((match) => match !== null)
  const id = crash?.[1] ?? crash?.[2]
  if (id !== undefined) return Number(id) === 0 ? 'dom0' : 'domU'
  const sign =
    /^\(XEN\).*(?:Dom0|Domain 0|LOADING DOMAIN 0|RAM map:)|Xen: setup ISA identity maps|^\s*(?:\S+-e820 )?BIOS-e820: /
  return lines.some((line) => sign.test(line)) ? 'dom0' : 'domU'
}

function endOf(lines: readonly string[], crashed: boolean, refused: boolean): LogEnd {
  if (lines.some((line) => PAST_EARLY.test(line))) return 'booted'
  if (refused) return 'refused'
  if (!crashed) return lines.some((line) => FIRST_ALLOCATION.test(line)) ? 'booted' : 'cut'
  const has = (what: RegExp) => lines.some((line) => what.test(line))
  if (has(/invalid opcode|vec 6, #UD|kernel BUG at/)) return 'bug'
  if (has(/BUG: unable to handle|page fault|vec 14, #PF|Oops: 000/i)) return 'fault'
  return 'crashed'
}

/** What logs are taken for that name no version, by the form of their lines. */
const [LONG_AGO, TODAY]: readonly [Release, Release] = [
  [4, 1],
  [4, 17],
]

/**
 * The type words changed between 4.1 and 4.17; the rules that an early boot meets did not, so a Xen between them is taken as
 * the nearer one.
 */
function xenOf(text: string): BootFacts['xen'] {
  const version = /(?:Xen version:? |----\[ Xen-)(\d+)\.(\d+)/.exec(text)
  // Newer ones name their files from the root and the vCPU that runs.
  const isNew = /^\(XEN\) (?:arch\/x86\/|d\d+v\d+ )/m.test(text)
  const release: Release = version ? [Number(version[1]), Number(version[2])] : isNew ? TODAY : LONG_AGO
  const isRelease = /^\(XEN\) (?:Xen version|----\[ Xen-).* debug=n/m.test(text)
  return xenFor(release, isRelease ? 'release' : 'debug')
}

function linuxRelease(text: string): LinuxRelease | undefined {
  const match = /Linux version ((\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:\.\d+)*(?:-rc\d{1,3})?)/.exec(text)
  if (match === null) return undefined
  return { text: match[1], numbers: [Number(match[2]), Number(match[3]), Number(match[4] ?? 0)] }
}

function asMap(found: LogMap): MemoryMap {
  return checkMap({
    name: 'the log',
    kind: found.kind,
    entries: found.entries,
    partial: false,
    source: [`${found.title} at line ${found.lines[0]}`, ...found.notes].join('; '),
  })
}

/** `Dom0 alloc.:` is the memory that the image was put in, and the pages that follow; the initrd has its own. */
function allocated(text: string): number | undefined {
  const at =
    /Dom0 alloc\.:\s+([0-9a-f]{8,16})->([0-9a-f]{8,16})(?: \((\d{1,12}) pages to be allocated\))?/.exec(text)
  if (at === null) return undefined
  const initrd = /Init\. ramdisk:\s+([0-9a-f]{8,16})->([0-9a-f]{8,16})/.exec(text)
  const bytes = (match: RegExpExecArray | null) =>
    match === null ? 0 : Number.parseInt(match[2], 16) - Number.parseInt(match[1], 16)
  return Math.floor(bytes(at) / PAGE) + Number(at[3] ?? 0) + Math.ceil(bytes(initrd) / PAGE)
}

/** Xen's `dom0_mem=3000M` or `dom0_mem=3000M,max:3000M`: the plain amount; without a suffix it is KiB. */
function dom0Mem(text: string): number | undefined {
  const option = /^\(XEN\) Command line:.*?\bdom0_mem=(\S+)/m.exec(text)?.[1]
  const amount = option?.split(',').find((part) => /^\d{1,12}[bkmg]?$/i.test(part))
  if (amount === undefined) return undefined
  const unit: Record<string, number> = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
  return Math.floor((Number.parseInt(amount, 10) * (unit[amount.slice(-1).toLowerCase()] ?? 1024)) / PAGE)
}

/**
 * A domU's kernel prints its map after it cut it to its memory and added the rest, so the memory ends where the RAM below
 * 4 GiB does or where all RAM does, without the toolstack's slack or with it.
 */
function sizesOf(map: MemoryMap): number[] {
  const ram = map.entries.filter((entry) => entry.type === 'usable')
  const low = ram.filter((entry) => entry.start < 2 ** 32).map((entry) => Math.floor(entry.end / PAGE))
  const last = Math.max(0, ...ram.map((entry) => Math.floor(entry.end / PAGE)))
  const sizes = [last - MAP_SLACK, Math.max(0, ...low), last]
  return [...new Set(sizes.filter((pages) => pages > 0))]
}

/** From 2.6.39 on the kernel prints where the list of mfns begins: kernel and initrd end there, and v_end follows. */
function kernelSize(text: string, linux: LinuxRelease | undefined): number | undefined {
  if (linux !== undefined && before(linux, [2, 6, 39])) return undefined
  const end =
    /^[ \t]*initial memory mapped[ \t]*: (?:\[mem )?(?:0x)?0+ ?- ?(?:0x)?([0-9a-f]{6,12})\]?[ \t]*$/m.exec(
      text,
    )
  if (end === null) return undefined
  const bytes = Number.parseInt(end[1], 16) - KERNEL_START
  return bytes > 0 ? bytes : undefined
}

/** Of the kernel's command line the words that the early tables depend on. */
function commandLine(text: string): string | undefined {
  const line = /^(?:Kernel c|C)ommand line: ?(.*)$/m.exec(text)?.[1]
  const words = line?.split(/\s+/).filter((word) => /^(?:mem|memmap|memtest)=[ -~]+$|^acpi=off$/.test(word))
  return words?.join(' ')
}

function outsideOf(
  lines: readonly string[],
  linux: LinuxRelease | undefined,
  map: LogMap | undefined,
  append: string | undefined,
  text: string,
): string[] {
  const reasons: string[] = []
  const other = /GUEST_OS = "(?!linux")([\w .-]{1,30})"/.exec(text)?.[1]
  if (other) reasons.push(`The guest is ${other}; the model kernel is Linux.`)
  if (/Dom0 kernel: 32-bit/.test(text)) reasons.push('The kernel is a 32-bit one; the model is of x86-64.')
  if (/Hypervisor detected: Xen HVM|Booting paravirtualized kernel on Xen HVM/.test(text))
    reasons.push('The guest is an HVM guest; its page tables are its own affair.')
  if (!lines.some((line) => PARAVIRTUAL.test(line)))
    reasons.push('No line shows that the kernel ran under Xen.')
  if (linux && before(linux, [2, 6, 37]))
    reasons.push(
      `Linux ${linux.text} is older than 2.6.37, where Xen's hook for early page tables begins; the model has no older code.`,
    )
  if (linux && !before(linux, [3, 9, 0]))
    reasons.push(
      `Linux ${linux.text} has the early page-table code of 3.9 and later, which has no buffer of tables to be refused.`,
    )
  if (map && isCut(lines, map, text)) reasons.push('The memory map in the log is cut short.')
  for (const word of append?.split(' ') ?? []) {
    if (addsTo(word) > MOST_BYTES)
      reasons.push(`${word.slice(0, 80)} adds memory beyond 64 GiB, more than the model boots.`)
    if (Number(/^memtest=(\d+)/.exec(word)?.[1] ?? 0) > MEMTEST_PASSES)
      reasons.push(`${word.slice(0, 80)} is more passes than the model runs.`)
  }
  return reasons
}

/** Where the RAM ends that a `memmap=SIZE@START` adds, bytes; 0 of other words. */
function addsTo(word: string): number {
  const match = /^memmap=(0x[0-9a-f]+|\d+)([kmgtpe]?)@(0x[0-9a-f]+|\d+)([kmgtpe]?)/i.exec(word)
  if (match === null) return 0
  const bytes = (digits: string, suffix: string) =>
    Number(digits) * 1024 ** ' kmgtpe'.indexOf(suffix.toLowerCase() || ' ')
  return bytes(match[1], match[2]) + bytes(match[3], match[4])
}

/** Lines left out by whoever pasted the log, or less RAM than Xen counted in the same map. */
function isCut(lines: readonly string[], map: LogMap, text: string): boolean {
  const block = lines.slice(map.lines[0] - 2, map.lines.at(-1)! + 1)
  if (block.some((line) => /^(?:\(XEN\))?\s*(?:\[?\.{2,}\]?|…|[[<]?snip)/i.test(line))) return true
  const counted = map.kind === 'host' ? /System RAM: \d+MB \((\d{1,12})kB\)/.exec(text)?.[1] : undefined
  if (counted === undefined) return false
  const kib = map.entries
    .filter((entry) => entry.type === 'usable')
    .reduce((sum, entry) => sum + (entry.end - entry.start) / 1024, 0)
  return Number(counted) > kib + 1024
}

function before(linux: LinuxRelease, than: readonly [number, number, number]): boolean {
  const at = linux.numbers.findIndex((n, i) => n !== than[i])
  return at !== -1 && linux.numbers[at] < than[at]
}
