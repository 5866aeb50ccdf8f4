import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { checked, listOf, text } from '../../../files/checked.ts'
import { fileParts, isRegularFile, readBytes, readRegularFile, readText } from '../../../files/read.ts'
import { BadInput, isMemoryModel } from '../../../run/boot/boot-options.ts'
import type {
  KernelRunOptions,
  KernelSpec,
  NamedFile,
  SnapshotFile,
} from '../../../run/kernel/kernel-boot.ts'
import { kernelOptions, type RawKernelOptions } from '../../../run/kernel/kernel-options.ts'
import type { Tier } from '../../../run/tiers.ts'
import { parseXlConfig, type XlConfig } from '../../../toolstack/xl-config.ts'
import { loadMap } from '../../files.ts'

/** By what a verb says which run of a real kernel it is about. */
export type KernelSpecFlags = RawKernelOptions & {
  /** xl's configuration of a guest, as an argument; `config` names one, too, if it is no configuration of a model. */
  readonly guest?: string
  readonly kernel?: string
  readonly ramdisk?: string
  readonly input?: string
  readonly systemMap?: string
  readonly restore?: string
}

/** Frames that somebody would want to swap by hand. */
const MOST_SWAPS = 1024
/** Far above any kernel's or initrd's file. */
const LARGEST_IMAGE = 2 ** 30
const LARGEST_INPUT = 2 ** 24
const LARGEST_TEXT = 2 ** 26

/** Reads the files of a run. Those that the user has named may be pipes; those that a file names must be files. */
type Reader = (name: string, largest: number) => Uint8Array

/** Whether the options are those of a real kernel. */
export function isKernelBoot(flags: KernelSpecFlags): boolean {
  return flags.kernel !== undefined || configFile(flags) !== undefined || flags.restore !== undefined
}

/**
 * The file of xl's configuration that the options name. One option serves both kinds of configuration: what a model's may be is a
 * handful of words, and a file that has the name of one is `./flatmem`. Throws BadInput for two of them.
 */
function configFile({ guest, config }: KernelSpecFlags): string | undefined {
  const file = config === undefined || isMemoryModel(config) ? undefined : config
  if (guest !== undefined && config !== undefined)
    throw new BadInput(`${guest} and --config ${config} exclude each other; keep one of them`)
  return guest !== undefined && isMemoryModel(guest) ? `./${guest}` : (guest ?? file)
}

/** The configuration that the options name, or null. */
export function configOf(flags: KernelSpecFlags, reader: Reader = readBytes): XlConfig | null {
  const file = configFile(flags)
  return file === undefined ? null : parseXlConfig(textOf(reader(file, LARGEST_TEXT)), file)
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** What makes a machine and its kernel what they are. */
const OF_MACHINE = [
  'config',
  'kernel',
  'ramdisk',
  'memory',
  'maxmem',
  'append',
  'name',
  'xen',
  'seed',
  'noE820',
  'dom0',
  'map',
  'dom0Mem',
  'firmwareMap',
  'noAcpi',
  'mfn',
] as const
/** What a snapshot brings along. */
const IN_SNAPSHOT = ['guest', ...OF_MACHINE] as const

/** The name of an option as it is typed. */
export function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** What was typed, with the files read. Throws BadInput. */
export function kernelSpec(
  flags: KernelSpecFlags,
  config: XlConfig | null = configOf(flags),
  reader: Reader = readBytes,
): KernelSpec {
  const fileOf = (name: string, by = reader): NamedFile => ({ name, bytes: by(name, LARGEST_IMAGE) })
  if (flags.config !== undefined && isMemoryModel(flags.config))
    throw new BadInput(
      `--config ${flags.config} is for model kernels, --kernel for a real one; keep one of them`,
    )
  const options = kernelOptions(withMap(flags, reader), config)
  if (flags.restore !== undefined) {
    const set = IN_SNAPSHOT.find((name) => flags[name] !== undefined)
    if (set !== undefined)
      throw new BadInput(
        `--restore has a machine already; leave out ${set === 'guest' ? flags.guest : `--${dashed(set)}`}`,
      )
    return { ...withInput(flags, reader), ...options, restore: snapshotFile(flags.restore, reader) }
  }
  const given = (typed: string | undefined, inConfig: string | undefined): NamedFile | undefined => {
    if (typed !== undefined) return fileOf(typed)
    return inConfig === undefined ? undefined : fileOf(inConfig, readRegularFile)
  }
  if ((flags.kernel ?? config?.kernel ?? '') === '') {
    throw new BadInput(
      `${configFile(flags) ?? '--kernel'}: names no kernel; give one, as in --kernel vmlinuz`,
    )
  }
  const kernel = given(flags.kernel, config?.kernel) as NamedFile
  const ramdisk = given(flags.ramdisk, config?.ramdisk)
  return {
    ...withInput(flags, reader),
    ...options,
    kernel,
    ...(ramdisk === undefined ? {} : { ramdisk }),
  }
}

/** What was typed with the map that it names; a snapshot has its own. */
function withMap(flags: KernelSpecFlags, reader: Reader): KernelSpecFlags {
  if (typeof flags.map !== 'string' || flags.dom0 !== true || flags.restore !== undefined) return flags
  return { ...flags, map: loadMap(flags.map, (name) => textOf(reader(name, LARGEST_TEXT))) }
}

/** A snapshot is read part by part, where it can be read more than once: as large as a guest's memory, it need not be in ours. */
function snapshotFile(name: string, reader: Reader): SnapshotFile {
  const isFile = reader === readRegularFile || isRegularFile(name)
  return isFile ? { name, parts: () => fileParts(name) } : { name, bytes: reader(name, LARGEST_IMAGE) }
}

function withInput(flags: KernelSpecFlags, reader: Reader): KernelRunOptions {
  return {
    ...(flags.input === undefined ? {} : { input: reader(flags.input, LARGEST_INPUT) }),
    ...(flags.systemMap === undefined ? {} : { systemMap: readText(flags.systemMap) }),
  }
}

/** The options that make a run what it is: a trace's header has them, with what the files' contents were. */
const IN_HEADER = [...OF_MACHINE, 'restore', 'timeout', 'consoleLimit', 'until', 'input'] as const

/** What a trace of a run says of it, for `kernelOfHeader`. */
export function kernelHeader(flags: KernelSpecFlags, spec: KernelSpec): object {
  const typed = { ...flags, config: configFile(flags) }
  const options = Object.fromEntries(IN_HEADER.map((name) => [name, typed[name]]))
  return { kernel: { ...options, sha256: hashOf(spec) } }
}

/** A hash over all files of a run. */
function hashOf(spec: KernelSpec): string {
  const hash = createHash('sha256')
  const files = 'restore' in spec ? [spec.restore] : [spec.kernel, spec.ramdisk]
  for (const file of files) {
    if (file === undefined) continue
    for (const part of 'bytes' in file ? [file.bytes] : file.parts()) hash.update(part)
  }
  if ('dom0' in spec) hash.update(JSON.stringify(spec.dom0))
  return hash.update(spec.input ?? '').digest('hex')
}

/** Options as `kernelHeader` writes them. */
const Word = text(4096)
const HeaderForm = v.record(
  v.picklist([...IN_HEADER, 'sha256']),
  v.union([Word, v.literal(true), listOf(Word, MOST_SWAPS)]),
)
const Typed = v.exactOptional(v.literal(true))
/** By option what it can be: most are words. */
const FlagsForm = v.objectWithRest(
  {
    noE820: Typed,
    dom0: Typed,
    firmwareMap: Typed,
    noAcpi: Typed,
    mfn: v.exactOptional(listOf(Word, MOST_SWAPS)),
  },
  Word,
)

/**
 * The run of a trace of a real kernel; null for a trace of something else. Throws BadInput when a file is another by now.
 *
 * @param tier how its code is executed, which a trace does not say
 */
export function kernelOfHeader(header: string, file: string, tier?: Tier): KernelSpec | null {
  const kernel = v.safeParse(v.object({ run: v.object({ kernel: v.looseObject({}) }) }), parsed(header))
  if (!kernel.success) return null
  const value = kernel.output.run.kernel
  const what = `${file}:1: the header's kernel`
  checked({ value, schema: HeaderForm, what })
  const { sha256, ...flags } = checked({ value, schema: FlagsForm, what })
  const typed = tier === undefined ? flags : { ...flags, tier }
  const spec = kernelSpec(typed, configOf(flags, readRegularFile), readRegularFile)
  if (hashOf(spec) === sha256) return spec
  throw new BadInput(
    `${file}:1: the kernel, its initrd or its input are not what they were when it was traced`,
  )
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
