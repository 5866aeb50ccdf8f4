import { BadInput } from '../../bits/bad-input.ts'
import { MEMORY_MODELS, type MemoryModel } from '../../linux/generation.ts'
import type { MemoryMap } from '../maps/maps.ts'
import type { BootOptions } from './boot.ts'
import { parseHex, parseSize } from './numbers.ts'

export { BadInput, nearest } from '../../bits/bad-input.ts'
export { MEMORY_MODELS, type MemoryModel } from '../../linux/generation.ts'

/** The options of a boot as they are typed; lists may also be commas inside one string. */
export type RawBootOptions = {
  readonly linux?: string
  readonly with?: readonly string[]
  readonly without?: readonly string[]
  readonly xen?: string
  readonly holes?: string
  readonly map?: string | MemoryMap
  readonly dom0?: boolean
  readonly domu?: boolean
  readonly firmwareMap?: boolean
  /** How the kernel is configured: a name of MEMORY_MODELS. */
  readonly config?: string
  readonly memory?: string
  readonly maxmem?: string
  readonly noE820?: boolean
  readonly vEnd?: string
  readonly kernelSize?: string
  readonly initrdSize?: string
  readonly append?: string
  readonly mfn?: readonly string[]
}

const PAGE = 4096
/** The initial mapping ends at a 4 MiB boundary by the domain builder's rule. */
const V_END_STEP = 2 ** 22
/** A frame number has 40 bits: 52 bits of physical address without the 12 of a page. */
const MAX_FRAME = 2 ** 40
/** Xen's start_info has 1024 bytes for the command line, the closing zero included. */
const MAX_COMMAND_LINE = 1023

/**
 * What was typed, as what `boot` takes. Every complaint names the option, the value and the way out; whether a map,
 * a generation or a commit exists, and whether the guest fits its machine, is for `boot` to say.
 */
export function bootOptions(raw: RawBootOptions): BootOptions {
  const options: BootOptions = {}
  if (raw.linux !== undefined) options.linux = named('--linux', raw.linux, 'B or 2.6.39-rc4')
  if (raw.xen !== undefined) options.xen = named('--xen', raw.xen, 'seed')
  if (raw.holes !== undefined) options.holes = named('--holes', raw.holes, 'none or 148,182')
  if (typeof raw.map === 'string') options.map = named('--map', raw.map, "a name that 'xenolith maps' lists")
  else if (raw.map !== undefined) options.map = raw.map

  const added = commits('--with', raw.with)
  const left = commits('--without', raw.without)
  const both = added.find((hash) => left.includes(hash))
  if (both !== undefined) throw new BadInput(`--with and --without both name ${both}; keep one of them`)
  if (added.length > 0) options.with = added
  if (left.length > 0) options.without = left

  if (raw.dom0 && raw.domu) throw new BadInput('--dom0 and --domu exclude each other; keep one of them')
  if (raw.dom0) options.domain = 'dom0'
  if (raw.firmwareMap) options.firmwareMap = true
  if (raw.domu) options.domain = 'domU'

  if (raw.config !== undefined) options.memoryModel = memoryModel(raw.config)
  if (raw.memory !== undefined) options.memory = memoryPages('--memory', raw.memory)
  if (raw.maxmem !== undefined) options.maxMemory = memoryPages('--maxmem', raw.maxmem)
  if (raw.noE820) options.hasMap = false
  if (raw.vEnd !== undefined) options.vEnd = initialMappingEnd(raw.vEnd)
  if (raw.kernelSize !== undefined) options.kernelSize = imageSize('--kernel-size', raw.kernelSize, 1)
  if (raw.initrdSize !== undefined) options.initrdSize = imageSize('--initrd-size', raw.initrdSize, 0)
  if (options.vEnd !== undefined && (options.kernelSize ?? options.initrdSize) !== undefined) {
    const other = options.kernelSize === undefined ? '--initrd-size' : '--kernel-size'
    throw new BadInput(
      `--v-end and ${other} exclude each other: v_end follows from the sizes; keep one of them`,
    )
  }
  if (options.initrdSize !== undefined && options.kernelSize === undefined) {
    throw new BadInput(
      "--initrd-size needs --kernel-size too: v_end follows from both; give the kernel's size",
    )
  }

  if (raw.append !== undefined) options.append = commandLine(raw.append)
  if (raw.mfn !== undefined) options.mfn = swaps(raw.mfn)
  return options
}

function named(option: string, value: string, example: string): string {
  if (value.trim() === '') throw new BadInput(`${option} is empty; write for example ${example}`)
  return value.trim()
}

/** Whether a word is a kernel's configuration, by which models tell each other apart. */
export function isMemoryModel(word: string): word is MemoryModel {
  return (MEMORY_MODELS as readonly string[]).includes(word)
}

function memoryModel(word: string): MemoryModel {
  if (isMemoryModel(word)) return word
  throw new BadInput(
    `--config '${word}' is no configuration of a model; there are ${MEMORY_MODELS.join(', ')}`,
  )
}

/** A domain's memory as it is typed, in frames. Throws BadInput. */
export function memoryPages(option: string, text: string): number {
  const bytes = parseSize(option, text, 'K', '3072M, 1572896K or 0x60008p')
  if (bytes === 0) throw new BadInput(`${option} ${text} leaves the guest no page; give it some, as in 3072M`)
  if (bytes % PAGE !== 0) {
    const near = Math.max(1, Math.floor(bytes / PAGE))
    throw new BadInput(`${option} ${text} is not a whole number of 4 KiB pages; round it to ${near}p`)
  }
  return bytes / PAGE
}

function initialMappingEnd(text: string): number {
  const bytes = parseSize('--v-end', text, 'B', '0x10400000 or 260M')
  if (bytes === 0 || bytes % V_END_STEP !== 0) {
    const above = Math.floor(bytes / V_END_STEP + 1) * V_END_STEP
    throw new BadInput(
      `--v-end ${text} is not a multiple of 4 MiB above 0; the next is 0x${above.toString(16)}`,
    )
  }
  return bytes
}

function imageSize(option: string, text: string, least: number): number {
  const bytes = parseSize(option, text, 'B', '26M, 27262976 or 0x1a00000')
  if (bytes < least) throw new BadInput(`${option} ${text}: an image has at least one byte; give its size`)
  return bytes
}

function commandLine(text: string): string {
  if ([...text].some((character) => character < ' ' || character > '~')) {
    throw new BadInput(
      "--append has a character that is not printable ASCII; a kernel's command line has no other",
    )
  }
  if (text.length > MAX_COMMAND_LINE) {
    throw new BadInput(
      `--append has ${text.length} characters; Xen hands over ${MAX_COMMAND_LINE} at most, shorten it`,
    )
  }
  return text
}

function commits(option: string, given: readonly string[] = []): string[] {
  const hashes = given.flatMap((list) => list.split(',')).map((hash) => hash.trim().toLowerCase())
  for (const hash of hashes) {
    if (!/^[0-9a-f]{7,40}$/.test(hash)) {
      throw new BadInput(`${option} '${hash}' is not a commit; write 7 to 40 hex digits, as in a38647837a41`)
    }
  }
  return [...new Set(hashes)]
}

function swaps(given: readonly string[]): (readonly [pfn: number, mfn: number])[] {
  const pairs = given
    .flatMap((list) => list.split(','))
    .map((text): readonly [number, number] => {
      const frames = text.split('=').map((part) => parseHex(part.trim()))
      const [pfn, mfn] = frames
      if (frames.length !== 2 || pfn === undefined || mfn === undefined) {
        throw new BadInput(`--mfn '${text}' is not PFN=MFN in hex; write for example bacf7=b1d89`)
      }
      const large = [pfn, mfn].find((frame) => frame >= MAX_FRAME)
      if (large !== undefined)
        throw new BadInput(`--mfn ${text}: a frame number has 40 bits at most; check the digits`)
      return [pfn, mfn]
    })
  pairs.forEach(([pfn, mfn], i) => {
    const twin = pairs.slice(0, i).find((pair) => pair[0] === pfn || pair[1] === mfn)
    if (twin === undefined) return
    const what = twin[0] === pfn ? `pfn ${pfn.toString(16)}` : `mfn ${mfn.toString(16)}`
    throw new BadInput(`--mfn names ${what} twice; each frame may stand in one pair only`)
  })
  return pairs
}
