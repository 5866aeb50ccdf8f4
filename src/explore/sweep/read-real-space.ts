import { basename } from 'node:path'
import { BadInput } from '../../bits/bad-input.ts'
import { readBytes } from '../../files/read.ts'
import { bootOptions, memoryPages } from '../../run/boot/boot-options.ts'
import { type SharedFile, type SharedFiles, shareFiles } from '../../run/kernel/kernel-files.ts'
import { checkKind, kernelOptions } from '../../run/kernel/kernel-options.ts'
import type { MemoryMap } from '../../run/maps/maps.ts'
import { DEFAULT_XEN } from '../../run/xen-versions.ts'
import { mapsOf, numbers, unique, words } from './axes.ts'
import { appendsOf, checkSpace, type RawSpace } from './read-space.ts'
import type { FileIdentity, RealKernels, Space } from './space.ts'

/** Far above any kernel's or initrd's file. */
const LARGEST_IMAGE = 2 ** 30
/** The most of its own time that a guest takes when nothing is said, seconds: today's kernels need three to run /init. */
const USUAL_TIME = 60

/**
 * The space of real kernels that was typed, and the files that its boots need.
 *
 * @param load gives the map in a file
 * @throws BadInput for what is for models, and for files that are no kernel
 */
export function readRealSpace(
  raw: RawSpace,
  load: (name: string) => MemoryMap,
): { readonly space: Space; readonly files: SharedFiles } {
  const { kernel = [], ramdisk, memoryCap, config, dom0 = false, memory, dom0Mem, maxmem, noE820 } = raw
  const names = unique(kernel)
  if (names.length === 0) throw new BadInput('--kernel is empty; give a value')
  checkKind(raw)
  for (const [value, option] of [
    [memoryCap, '--memory-cap'],
    [config, '--config'],
  ] as const)
    if (value !== undefined)
      throw new BadInput(`${option} is for model kernels, --kernel for a real one; keep one of them`)
  if (dom0 && maxmem !== undefined)
    throw new BadInput('--maxmem is for guests, and --dom0 for none; keep one of them')
  const { until, timeLimit = USUAL_TIME } = kernelOptions(
    {
      ...(raw.until === undefined ? {} : { until: raw.until }),
      ...(raw.timeout === undefined ? {} : { timeout: raw.timeout }),
    },
    null,
  )
  const { maxMemory } = bootOptions(maxmem === undefined ? {} : { maxmem })
  const sizes = dom0 ? (['--dom0-mem', dom0Mem] as const) : (['--memory', memory] as const)
  const toolstack = {
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(noE820 === true ? { hasMap: false } : {}),
  }
  const axes = {
    maps: dom0 ? mapsOf(raw.map ?? ['hosts'], load) : [null],
    memory: numbers(sizes[0], sizes[1], (text) => memoryPages(sizes[0], text)),
    append: appendsOf(raw.append),
    xen: unique(raw.xen === undefined ? [DEFAULT_XEN.others] : words(raw.xen)),
    common: { domain: dom0 ? ('dom0' as const) : ('domU' as const), ...firmware(raw) },
    ...(Object.keys(toolstack).length === 0 ? {} : { toolstack }),
  }
  const files = readFilesOf(names, ramdisk ?? null, dom0)
  const space: Space = {
    maps: axes.maps,
    memory: axes.memory,
    memoryCap: null,
    vEnd: [null],
    kernelSize: [null],
    initrdSize: [null],
    append: axes.append,
    xen: axes.xen,
    linux: shortNames(names),
    common: axes.common,
    ...(axes.toolstack === undefined ? {} : { toolstack: axes.toolstack }),
    real: {
      files: files.kernels.map(identity),
      ramdisk: files.ramdisk === null ? null : identity(files.ramdisk),
      until: until ?? null,
      timeLimit,
      acpi: raw.noAcpi !== true,
    },
  }
  checkSpace(space)
  return { space, files }
}

/**
 * The files of a sweep that goes on.
 *
 * @throws BadInput where one is another by now
 */
export function filesAgain({ common }: Space, { files, ramdisk }: RealKernels): SharedFiles {
  const read = readFilesOf(
    files.map(({ file }) => file),
    ramdisk?.file ?? null,
    common.domain === 'dom0',
  )
  const all = [...read.kernels, ...(read.ramdisk === null ? [] : [read.ramdisk])]
  const known = [...files, ...(ramdisk === null ? [] : [ramdisk])]
  const changed = all.find(({ sha256 }, i) => sha256 !== known[i].sha256)
  if (changed !== undefined)
    throw new BadInput(`${changed.name} is not what it was when the sweep began; begin it again`)
  return read
}

function readFilesOf(kernels: readonly string[], ramdisk: string | null, isDom0: boolean): SharedFiles {
  const read = (name: string) => ({ name, bytes: readBytes(name, LARGEST_IMAGE) })
  return shareFiles(kernels.map(read), ramdisk === null ? null : read(ramdisk), isDom0)
}

function identity({ name, sha256 }: SharedFile): FileIdentity {
  return { file: name, sha256 }
}

/** What kernels are called in tables: their files' names, with the folders where two have the same. */
function shortNames(files: readonly string[]): string[] {
  const names = files.map((file) => basename(file))
  return new Set(names).size === names.length ? names : [...files]
}

function firmware({ firmwareMap }: RawSpace): { readonly firmwareMap?: true } {
  return firmwareMap === true ? { firmwareMap } : {}
}
