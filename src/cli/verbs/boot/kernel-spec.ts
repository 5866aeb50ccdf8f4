import { createHash } from 'node:crypto'
import { readBytes, readText } from '../../../files/read.ts'
import { BadInput } from '../../../run/boot/boot-options.ts'
import type { KernelRunOptions, KernelSpec, NamedFile } from '../../../run/kernel/kernel-boot.ts'
import { kernelOptions, type RawKernelOptions } from '../../../run/kernel/kernel-options.ts'
import { parseXlConfig, type XlConfig } from '../../../toolstack/xl-config.ts'

/** By what a verb says which run of a real kernel it is about. */
export type KernelSpecFlags = RawKernelOptions & {
  readonly config?: string
  readonly kernel?: string
  readonly ramdisk?: string
  readonly input?: string
  readonly systemMap?: string
  readonly restore?: string
}

/** Far above any kernel's or initrd's file. */
const LARGEST_IMAGE = 2 ** 30
const LARGEST_INPUT = 2 ** 24

/** Whether the options are those of a real kernel. */
export function isKernelBoot(flags: KernelSpecFlags): boolean {
  return flags.kernel !== undefined || flags.config !== undefined || flags.restore !== undefined
}

/** The configuration that the options name, or null. */
export function configOf(flags: KernelSpecFlags): XlConfig | null {
  return flags.config === undefined ? null : parseXlConfig(readText(flags.config), flags.config)
}

/** What a snapshot brings along. */
const IN_SNAPSHOT = ['config', 'kernel', 'ramdisk', 'memory', 'append', 'name', 'seed', 'xen'] as const

/** What was typed, with the files read. Throws BadInput. */
export function kernelSpec(flags: KernelSpecFlags, config = configOf(flags)): KernelSpec {
  const options = kernelOptions(flags, config)
  if (flags.restore !== undefined) {
    const set = IN_SNAPSHOT.find((name) => flags[name] !== undefined)
    if (set !== undefined) throw new BadInput(`--restore has a machine already; leave out --${set}`)
    return { ...withInput(flags), ...options, restore: fileOf(flags.restore) }
  }
  const kernel = flags.kernel ?? config?.kernel
  if (kernel === undefined || kernel === '') {
    throw new BadInput(`${flags.config ?? '--kernel'}: names no kernel; give one, as in --kernel vmlinuz`)
  }
  const ramdisk = flags.ramdisk ?? config?.ramdisk
  return {
    ...withInput(flags),
    ...options,
    kernel: fileOf(kernel),
    ...(ramdisk === undefined ? {} : { ramdisk: fileOf(ramdisk) }),
  }
}

function fileOf(name: string): NamedFile {
  return { name, bytes: readBytes(name, LARGEST_IMAGE) }
}

function withInput(flags: KernelSpecFlags): KernelRunOptions {
  return {
    ...(flags.input === undefined ? {} : { input: readBytes(flags.input, LARGEST_INPUT) }),
    ...(flags.systemMap === undefined ? {} : { systemMap: readText(flags.systemMap) }),
  }
}

/** The options that make a run what it is: a trace's header has them, with what the files' contents were. */
const IN_HEADER = [
  'config',
  'kernel',
  'ramdisk',
  'restore',
  'memory',
  'append',
  'name',
  'xen',
  'seed',
  'timeout',
  'consoleLimit',
  'input',
] as const

/** What a trace of a run says of it, for `kernelOfHeader`. */
export function kernelHeader(flags: KernelSpecFlags, spec: KernelSpec): object {
  const options = Object.fromEntries(IN_HEADER.map((name) => [name, flags[name]]))
  return { kernel: { ...options, sha256: hashOf(spec) } }
}

/** A hash over all files of a run. */
function hashOf(spec: KernelSpec): string {
  const hash = createHash('sha256')
  const files = 'restore' in spec ? [spec.restore] : [spec.kernel, spec.ramdisk]
  for (const file of files) hash.update(file?.bytes ?? '')
  return hash.update(spec.input ?? '').digest('hex')
}

/** The run of a trace of a real kernel; null for a trace of something else. Throws BadInput when a file is another by now. */
export function kernelOfHeader(header: string, file: string): KernelSpec | null {
  let run: { kernel?: unknown } | undefined
  try {
    run = (JSON.parse(header) as { run?: { kernel?: unknown } }).run
  } catch {
    return null
  }
  const given = run?.kernel
  if (typeof given !== 'object' || given === null) return null
  const flags: Record<string, string> = {}
  const { sha256, ...options } = given as Record<string, unknown>
  for (const [name, value] of Object.entries(options)) {
    if (!IN_HEADER.some((known) => known === name) || typeof value !== 'string') {
      throw new BadInput(`${file}:1: the header's "${name}" is not what a kernel's run takes`)
    }
    flags[name] = value
  }
  const spec = kernelSpec(flags)
  if (hashOf(spec) === sha256) return spec
  throw new BadInput(
    `${file}:1: the kernel, its initrd or its input are not what they were when it was traced`,
  )
}
