import * as v from 'valibot'
import { BadInput, nearest } from '../../bits/bad-input.ts'
import { checked, listOf, text } from '../../files/checked.ts'
import { bootOptions, type RawBootOptions } from '../../run/boot/boot-options.ts'
import { planBoot } from '../../run/boot/boot-plan.ts'
import { parseSize } from '../../run/boot/numbers.ts'
import { checkMap, findMap, type MemoryMap } from '../../run/maps/maps.ts'
import { DEFAULT_XEN } from '../../run/xen-versions.ts'
import { mapsOf, numbers, unique, words } from './axes.ts'
import { machineCount, type RealKernels, type Space } from './space.ts'

/** The axes of a sweep as they are typed, or stand in a sweep file under the same names. */
export type RawSpace = {
  readonly map?: readonly (string | MemoryMap)[]
  readonly memory?: readonly string[]
  readonly memoryCap?: string
  readonly vEnd?: readonly string[]
  readonly kernelSize?: readonly string[]
  readonly initrdSize?: readonly string[]
  readonly append?: readonly string[]
  readonly xen?: readonly string[]
  readonly linux?: readonly string[]
  readonly with?: readonly string[]
  readonly without?: readonly string[]
  readonly holes?: string
  readonly dom0?: boolean
  readonly domu?: boolean
  readonly firmwareMap?: boolean
  readonly config?: string
  readonly maxmem?: string
  readonly noE820?: boolean
  readonly kernel?: readonly string[]
  readonly ramdisk?: string
  readonly dom0Mem?: readonly string[]
  readonly noAcpi?: boolean
  readonly until?: string
  readonly timeout?: string
}

/** What only real kernels have, beside their files. */
const OF_KERNELS = [
  ['ramdisk', '--ramdisk'],
  ['dom0Mem', '--dom0-mem'],
  ['noAcpi', '--no-acpi'],
  ['until', '--until'],
  ['timeout', '--timeout'],
] as const

/**
 * The space of models that was typed. Every complaint names the option, the value and the way out. Lists may also be commas inside
 * one string, except those of `append`.
 *
 * @param load gives the map in a file; shipped maps and the words for several are known here
 */
export function readSpace(raw: RawSpace, load: (name: string) => MemoryMap): Space {
  const stray = OF_KERNELS.find(([field]) => raw[field] !== undefined && raw[field] !== false)
  if (stray !== undefined) throw new BadInput(`${stray[1]} is for real kernels; give --kernel FILE, too`)
  const sizes = raw.kernelSize !== undefined
  if (sizes && raw.vEnd !== undefined)
    throw new BadInput(
      '--v-end and --kernel-size exclude each other: v_end follows from the sizes; keep one of them',
    )
  if (!sizes && raw.initrdSize !== undefined)
    throw new BadInput(
      "--initrd-size needs --kernel-size too: v_end follows from both; give the kernel's size",
    )
  const { maxMemory, hasMap, ...common } = bootOptions(pick(raw))
  const space: Space = {
    maps: mapsOf(raw.map ?? ['hosts'], load),
    memory: numbers('--memory', raw.memory, memoryPages),
    memoryCap: raw.memoryCap === undefined ? null : memoryPages(raw.memoryCap),
    vEnd: numbers('--v-end', raw.vEnd, (text) => bootOptions({ vEnd: text }).vEnd!),
    kernelSize: numbers('--kernel-size', raw.kernelSize, (t) => bootOptions({ kernelSize: t }).kernelSize!),
    initrdSize: numbers('--initrd-size', raw.initrdSize, initrdBytes),
    append: appendsOf(raw.append),
    xen: unique(raw.xen === undefined ? [DEFAULT_XEN.model] : words(raw.xen)),
    linux: unique(raw.linux === undefined ? ['B'] : words(raw.linux)),
    common,
    ...(maxMemory === undefined && hasMap === undefined
      ? {}
      : {
          toolstack: {
            ...(maxMemory === undefined ? {} : { maxMemory }),
            ...(hasMap === undefined ? {} : { hasMap }),
          },
        }),
  }
  checkSpace(space)
  return space
}

/**
 * What is said of a space once, and not of every machine: axes without values, kernels, profiles of Xen and maps that
 * there are not, and too many machines. Throws BadInput.
 */
export function checkSpace(space: Space): void {
  for (const [axis, values] of Object.entries(space))
    if (Array.isArray(values) && values.length === 0)
      throw new BadInput(`--${dashed(axis)} is empty; give a value`)
  if (space.maps.includes(null) && space.common.domain === 'dom0')
    throw new BadInput('--map none with --dom0: a dom0 needs a machine; name a map')
  const { maxMemory, hasMap } = space.toolstack ?? {}
  const option = maxMemory !== undefined ? '--maxmem' : hasMap === false ? '--no-e820' : null
  if (option !== null && !space.maps.includes(null))
    throw new BadInput(`${option} is for guests without a map of their own; add --map none`)
  if (maxMemory !== undefined && hasMap === false)
    throw new BadInput('--no-e820 and --maxmem exclude each other; keep one of them')
  for (const map of space.maps) {
    if (typeof map === 'string') findMap(map)
    else if (map !== null) checkMap(map)
  }
  if (space.real === undefined)
    for (const linux of space.linux) planBoot({ ...space.common, domain: 'domU', linux })
  else checkReal(space, space.real)
  for (const xen of space.xen) planBoot({ ...space.common, domain: 'domU', xen })
  machineCount(space)
}

/** A space that somebody has written: what belongs to models has no place beside real kernels. */
function checkReal(
  { linux, vEnd, kernelSize, initrdSize, memoryCap, common, maps }: Space,
  real: RealKernels,
): void {
  const { domain, firmwareMap: _, ...ofModels } = common
  const sizes = [vEnd, kernelSize, initrdSize].every((axis) => axis.length === 1 && axis[0] === null)
  if (!sizes || memoryCap !== null || Object.keys(ofModels).length > 0)
    throw new BadInput('a sweep of real kernels says something of models; make it again')
  if (linux.length !== real.files.length || new Set(linux).size !== linux.length)
    throw new BadInput('a sweep of real kernels has other names than files; make it again')
  if ((domain === 'dom0') === maps.includes(null))
    throw new BadInput('a sweep of real kernels has maps for guests, or none for dom0; make it again')
}

/** What all machines have in common. */
const COMMON = [
  'with',
  'without',
  'holes',
  'dom0',
  'domu',
  'firmwareMap',
  'config',
  'maxmem',
  'noE820',
] as const

function pick(raw: RawSpace): RawBootOptions {
  return Object.fromEntries(COMMON.filter((key) => raw[key] !== undefined).map((key) => [key, raw[key]]))
}

function memoryPages(text: string): number {
  return bootOptions({ memory: text }).memory!
}

function initrdBytes(text: string): number {
  return parseSize('--initrd-size', text, 'B', '26M, 27262976 or 0x1a00000')
}

/** The axis of command lines: each is a value of its own, whatever commas are in it. */
export function appendsOf(given: readonly string[] | undefined): (string | null)[] {
  return given === undefined ? [null] : unique(given.map((text) => bootOptions({ append: text }).append!))
}

function dashed(name: string): string {
  const option = name === 'maps' ? 'map' : name
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

const FILE_KEYS = [
  'map',
  'memory',
  'memory-cap',
  'v-end',
  'kernel-size',
  'initrd-size',
  'append',
  'xen',
  'linux',
  'with',
  'without',
  'holes',
  'dom0',
  'domu',
  'firmware-map',
  'config',
  'maxmem',
  'no-e820',
  'kernel',
  'ramdisk',
  'dom0-mem',
  'no-acpi',
  'until',
  'timeout',
] as const

const Value = v.pipe(v.union([text(4096), v.number()]), v.transform(String))
const Values = v.union(
  [
    listOf(Value, 10_000),
    v.pipe(
      Value,
      v.transform((one) => [one]),
    ),
  ],
  'it holds something that is neither a string nor a number, or too much',
)
const OneValue = v.union(
  [
    Value,
    v.pipe(
      v.strictTuple([Value]),
      v.transform(([one]) => one),
    ),
  ],
  'it has one value; give one',
)
const Flag = v.boolean('it is neither true nor false')

/** Options that have one value; the others are lists, and may be given as one value. */
const SINGLE: Readonly<Record<string, v.GenericSchema>> = {
  'memory-cap': OneValue,
  holes: OneValue,
  dom0: Flag,
  domu: Flag,
  'firmware-map': Flag,
  config: OneValue,
  maxmem: OneValue,
  'no-e820': Flag,
  ramdisk: OneValue,
  'no-acpi': Flag,
  until: OneValue,
  timeout: OneValue,
}

/** A sweep file: JSON with the options' names as keys. Throws BadInput, which names file and key. */
export function parseSweepFile(text: string, file: string): RawSpace {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new BadInput(
      `${file} is not JSON; a sweep file is an object such as {"map": ["hosts"], "linux": ["B", "C"]}`,
    )
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json))
    throw new BadInput(`${file}: a sweep file is an object such as {"map": ["hosts"], "linux": ["B", "C"]}`)
  const raw: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(json)) {
    if (!(FILE_KEYS as readonly string[]).includes(key)) {
      const near = nearest(key, FILE_KEYS)
      throw new BadInput(
        `${file}: no option is named "${key}"${near ? ` (did you mean ${near}?)` : ''}; there are ${FILE_KEYS.join(', ')}`,
      )
    }
    const name = key.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
    const schema = Object.hasOwn(SINGLE, key) ? SINGLE[key] : Values
    raw[name] = checked({ value, schema, what: `${file}: "${key}"` })
  }
  return raw as RawSpace
}
