import { hex, PAGE } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import type { Generation } from '../../linux/generation.ts'
import { resolveGeneration } from '../../linux/generations.ts'
import { DEFAULT_KERNEL_BYTES, LEAST_KERNEL_BYTES } from '../../linux/symbols.ts'
import type { FrameRange } from '../../machine/memory.ts'
import { guestMap } from '../../toolstack/guest-map.ts'
import { type DomainLayout, KERNEL_WINDOW, layoutEndingAt, layoutFor } from '../../toolstack/layouts/model.ts'
import { deniedMmio, hostMapForDom0 } from '../../toolstack/machine-map.ts'
import type { E820Entry } from '../../xen/abi.ts'
import type { HostMemory } from '../../xen/hypervisor.ts'
import { holesOf, withHoles } from '../../xen/versions/holes.ts'
import { DEFAULT_XEN, xenVersion } from '../../xen/versions/index.ts'
import type { XenVersion } from '../../xen/versions/version.ts'
import { checkMap, findMap, type MemoryMap } from '../maps/maps.ts'
import { ramFrames } from '../maps/ram-frames.ts'
import type { BootOptions } from './boot.ts'

const MIB_4 = 4 << 20
/** v_end when nothing says otherwise: a kernel of the time with a middling initrd. */
const USUAL_V_END = 64 << 20
/** Memory of a domU when nothing says otherwise: 1 GiB, in frames. */
const USUAL_DOMU_PAGES = 0x40000
/** One MiB in frames: what lies below is never a domain's. */
const FIRST_FRAME = 0x100

/**
 * The scenario of `xenolith boot` without arguments. The seed does not say which machine it was: this is a real
 * machine's map, with the one free input, v_end, chosen so that the refused frame is the seed's; the p2m is swapped
 * so that the machine frame is too.
 */
export const SEED_SCENARIO = {
  map: 'msi-h61m-p23-8g',
  memory: 0x1acb65,
  vEnd: 0x1040_0000,
  mfn: [[0xbacf7, 0xb1d89]],
} as const

/** Everything that a boot needs, decided and checked. */
export type BootPlan = {
  readonly scenario: 'seed' | null
  readonly generation: Generation
  readonly version: XenVersion
  readonly mapName: string | null
  readonly dom0: boolean
  readonly nrPages: number
  readonly layout: DomainLayout
  readonly commandLine: string
  readonly host: HostMemory
  readonly memoryMap: readonly E820Entry[] | null
  readonly swaps: readonly (readonly [pfn: number, mfn: number])[]
}

/** Decide what the options leave open. Throws BadInput, in one line, for what cannot be. */
export function planBoot(options: BootOptions): BootPlan {
  checkNumbers(options)
  const kernel = resolveGeneration(options.linux ?? 'B', options.with, options.without)
  const generation = { ...kernel, memoryModel: options.memoryModel ?? kernel.memoryModel }
  const named = xenVersion(options.xen ?? DEFAULT_XEN.model)
  const version = withHoles(named, holesOf(named, options.holes))
  const usesSeed = options.map === undefined && options.domain !== 'domU'
  const map = chooseMap(options, usesSeed)
  const dom0 = options.domain === undefined ? map === null || map.kind === 'host' : options.domain === 'dom0'
  const nrPages = options.memory ?? (usesSeed ? SEED_SCENARIO.memory : ownPages(map))
  checkToolstackMap(options, dom0, map, nrPages)
  const layout = chooseLayout(options, usesSeed, map, nrPages)
  if (layout.vEnd > KERNEL_WINDOW) {
    throw new BadInput(
      `a p2m list of ${hex(nrPages)} pages does not fit the kernel's window of ${hex(KERNEL_WINDOW)} bytes; give the guest less memory`,
    )
  }
  const host = dom0 ? dom0Host(map, options.firmwareMap === true, version) : domUHost(map, nrPages)
  const seedSwap = usesSeed && nrPages > SEED_SCENARIO.mfn[0][0] ? SEED_SCENARIO.mfn : []
  return {
    scenario: usesSeed && Object.keys(options).every((k) => k === 'linux' || k === 'mfn') ? 'seed' : null,
    generation,
    version,
    mapName: map?.name ?? null,
    dom0,
    nrPages,
    layout,
    commandLine: options.append ?? map?.append ?? '',
    host,
    memoryMap: dom0 ? null : (map?.entries ?? toolstackMap(options, nrPages)),
    swaps: options.mfn ?? seedSwap,
  }
}

/** Options that were typed are checked where they are read; those of a program may hold any number. */
function checkNumbers({ memory, maxMemory, vEnd, kernelSize, initrdSize, mfn }: BootOptions): void {
  const frames = mfn?.flat()
  const numbers = { memory, maxMemory, vEnd, kernelSize, initrdSize, mfn: frames }
  for (const [name, value] of Object.entries(numbers)) {
    const bad = [value].flat().find((n) => n !== undefined && !(Number.isSafeInteger(n) && n >= 0))
    if (bad !== undefined) throw new BadInput(`${name} ${bad} is not a whole number`)
  }
}

/** The map that the options name, sorted; null where they name none. Throws BadInput for a map that no kernel starts in. */
export function chooseMap(options: BootOptions, usesSeed: boolean): MemoryMap | null {
  if (usesSeed) return findMap(SEED_SCENARIO.map)
  if (options.map === undefined) return null
  const map = typeof options.map === 'string' ? findMap(options.map) : checkMap(options.map)
  const low = map.entries.some((e) => e.type === 'usable' && e.start < 2 ** 32 && e.end > 0x10_0000)
  if (!low)
    throw new BadInput(`${map.name}: the map has no RAM between 1 MiB and 4 GiB; a kernel cannot start there`)
  return { ...map, entries: map.entries.toSorted((a, b) => a.start - b.start) }
}

/** Frames that a guest has when nobody says otherwise: the log's, or all the RAM of the map. */
export function ownPages(map: MemoryMap | null): number {
  return map?.nrPages ?? allMemory(map)
}

/** All the RAM of a map, the first MiB's included, in whole frames: what a guest has when nobody says otherwise. */
function allMemory(map: MemoryMap | null): number {
  if (map === null) return USUAL_DOMU_PAGES
  return ramFrames(map.entries).reduce((sum, r) => sum + r.end - r.start, 0)
}

function chooseLayout(
  options: BootOptions,
  usesSeed: boolean,
  map: MemoryMap | null,
  nrPages: number,
): DomainLayout {
  if (options.kernelSize === undefined && options.initrdSize !== undefined) {
    throw new BadInput('an initrd size without a kernel size gives no v_end; give both, or v_end')
  }
  if (options.kernelSize !== undefined) {
    if (options.vEnd !== undefined) {
      throw new BadInput('a kernel size and a v_end exclude each other: v_end follows from the sizes')
    }
    if (options.kernelSize < LEAST_KERNEL_BYTES) {
      throw new BadInput(
        `a kernel of ${hex(options.kernelSize)} bytes has no room for its own tables; give at least ${hex(LEAST_KERNEL_BYTES)}`,
      )
    }
    return layoutFor(options.kernelSize, options.initrdSize ?? 0, nrPages)
  }
  const { vEnd } = options
  if (vEnd === undefined) {
    // Nobody asked for it: the map's own v_end is a wish that the guest's size and the model's kernel may overrule.
    const least = layoutFor(DEFAULT_KERNEL_BYTES, 0, nrPages)
    const liked = (usesSeed ? SEED_SCENARIO.vEnd : map?.vEnd) ?? USUAL_V_END
    const wanted = Math.min(Math.max(liked, least.vEnd), roundDownTo(nrPages * PAGE, MIB_4))
    return wanted < least.vEnd ? least : layoutEndingAt(wanted, DEFAULT_KERNEL_BYTES, nrPages)
  }
  if (vEnd % MIB_4 !== 0) throw new BadInput(`v_end ${hex(vEnd)} is not a multiple of 4 MiB`)
  if (vEnd > nrPages * PAGE) {
    throw new BadInput(
      `v_end ${hex(vEnd)} lies beyond the guest's memory, which ends at ${hex(nrPages * PAGE)}`,
    )
  }
  return layoutEndingAt(vEnd, DEFAULT_KERNEL_BYTES, nrPages)
}

/** The map that a domU gets of xl, as a real kernel's does; null where its toolstack gives it none. */
function toolstackMap({ hasMap, maxMemory }: BootOptions, nrPages: number): readonly E820Entry[] | null {
  return hasMap === false ? null : guestMap(maxMemory ?? nrPages)
}

/** What is said of a toolstack's map makes sense for a domU that has no other, which is no smaller than the guest. */
function checkToolstackMap(
  { hasMap, maxMemory }: BootOptions,
  dom0: boolean,
  map: MemoryMap | null,
  nrPages: number,
): void {
  const option = maxMemory !== undefined ? '--maxmem' : hasMap === false ? '--no-e820' : null
  if (option === null) return
  if (dom0) throw new BadInput(`${option} is for a domU; a dom0 has its machine's map: leave it out`)
  if (map !== null) throw new BadInput(`${option} and --map exclude each other; keep one of them`)
  if (maxMemory === undefined) return
  if (hasMap === false) throw new BadInput('--no-e820 and --maxmem exclude each other; keep one of them')
  if (maxMemory < nrPages) {
    throw new BadInput(
      `the guest's memory of ${nrPages} pages is more than the ${maxMemory} that it may have; give a larger --maxmem`,
    )
  }
}

function roundDownTo(n: number, unit: number): number {
  return n - (n % unit)
}

function dom0Host(map: MemoryMap | null, isFirmware: boolean, version: XenVersion): HostMemory {
  if (map === null) throw new BadInput("a dom0 needs the machine's map: give --map NAME or a file")
  const denied = deniedMmio(version.rules.deniedLapicPages)
  const seen = isFirmware ? hostMapForDom0(map.entries, denied) : map.entries
  return { ram: ramFrames(map.entries), map: seen, passedThrough: [] }
}

/**
 * The machine under a domU, of which its map says nothing: RAM enough, from 1 MiB up. Where the guest's own map has
 * holes, the machine has them too and the guest may map what is there, as with the toolstack's e820_host.
 */
function domUHost(map: MemoryMap | null, nrPages: number): HostMemory {
  const ram = map === null ? [] : ramFrames(map.entries)
  const passedThrough: FrameRange[] = []
  const ranges: FrameRange[] = []
  let left = nrPages + FIRST_FRAME
  let at = 0
  for (const range of ram) {
    if (at < range.start) passedThrough.push({ start: Math.max(at, FIRST_FRAME), end: range.start })
    ranges.push(range)
    left -= range.end - range.start
    at = range.end
  }
  if (left > 0) ranges.push({ start: at, end: at + left })
  const real = passedThrough.filter((r) => r.end > r.start)
  return { ram: ranges, map: [], passedThrough: real }
}
