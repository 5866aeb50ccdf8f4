import { PAGE } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import type { CoreOptions } from '../../cpu/cpu.ts'
import { Guest } from '../../guest/guest.ts'
import { Memory } from '../../machine/memory.ts'
import { buildDomU, type StartOfDay } from '../../toolstack/build-domu.ts'
import { ConsoleRing } from '../../toolstack/console-ring.ts'
import { guestMap } from '../../toolstack/guest-map.ts'
import type { HostConsole } from '../../toolstack/host-console.ts'
import { unpackInitrd, unpackKernel } from '../../toolstack/image/bzimage.ts'
import { type Image, readImage } from '../../toolstack/image/image.ts'
import type { Dom0Layout } from '../../toolstack/layouts/dom0.ts'
import type { DomULayout } from '../../toolstack/layouts/domu.ts'
import { Xenstore } from '../../toolstack/xenstore.ts'
import type { HostMemory, Hypervisor } from '../../xen/hypervisor.ts'
import { DEFAULT_XEN, xenVersion } from '../../xen/versions/index.ts'
import { Xen } from '../../xen/xen.ts'
import type { Dom0Board, Dom0Options } from './dom0-host.ts'

/** A file that a user named, and what is in it. */
export type NamedFile = { readonly name: string; readonly bytes: Uint8Array }

/** What a real kernel's domain is made of: a domU's, but for what names dom0. */
export type KernelOptions = {
  /** ELF, the same packed by gzip, or a bzImage. */
  readonly kernel: NamedFile
  readonly ramdisk?: NamedFile
  /** It is dom0, on this machine. */
  readonly dom0?: Dom0Options
  /** Frames of 4 KiB; 512 MiB when it is left out; of a dom0 what its map's log says, or what Xen gives it then. */
  readonly memory?: number
  /** Frames that it may come to have one day, at least `memory`: where the map ends that it is given. As `memory` when left out. */
  readonly maxMemory?: number
  /** Whether the toolstack gives it a map, as xl does; without one the kernel makes its own. Default true. */
  readonly hasMap?: boolean
  /** The kernel's command line. */
  readonly append?: string
  /** What the domain is called. */
  readonly name?: string
  /** The version profile of Xen, default `4.17`. */
  readonly xen?: string
  /** When the guest's clock begins: nothing else is random to it. Default 0. */
  readonly seed?: number
}

/** How far the making of a machine has come: told before each step, which may take seconds. */
export type Progress = (step: 'unpack' | 'read' | 'build') => void

const USUAL_PAGES = 0x20000
/** Of a frame that the guest never touches: its record, and its entries in the M2P and in the guest's list of frames. */
const LEAST_FRAME_BYTES = 32
/** The domain's id; dom0, which is no guest here, has 0. */
export const DOMAIN_ID = 1
/** The first MiB of the machine is never a guest's. */
const FIRST_FRAME = 0x100
/** Xen's own: shared_info, as many frames of a grant table as any version gives, and a few tables. */
const XEN_PAGES = 0x80
/** What a kernel may have, unpacked, however small its guest is: not all of it is loaded. */
const LEAST_KERNEL_ROOM = 2 ** 28
/** A prime number of nanoseconds: many seeds, many moments. */
const SEED_STEP = 654_435_761
/** The toolstack allocates these first, in this order. */
const STORE_PORT = 1
const CONSOLE_PORT = 2

/** A machine with one domain on it, which runs the code of a real kernel. */
export type KernelMachine = DomUMachine | Dom0Machine

/** One whose domain is a guest: the toolstack has the other ends of its console and its xenstore. */
export type DomUMachine = MachineParts & {
  readonly dom0: null
  readonly start: Omit<StartOfDay, 'layout'>
  /** Where everything was put; null for a machine that a snapshot held. */
  readonly layout: DomULayout | null
  readonly console: ConsoleRing
  readonly xenstore: Xenstore
}

/** One whose domain is dom0: its console is the machine's, and nobody has a xenstore for it. */
export type Dom0Machine = MachineParts & {
  /** The machine that it was made for. */
  readonly dom0: Dom0Board
  readonly start: Pick<StartOfDay, 'domain' | 'vcpu'>
  readonly layout: Dom0Layout | null
  readonly console: HostConsole
  readonly xenstore: null
}

type MachineParts = {
  readonly xen: Hypervisor
  /** What the domain is called, whatever its guest makes of the node in xenstore. */
  readonly name: string
  readonly guest: Guest
  /** Frames of the guest's memory, as it was made. */
  readonly nrPages: number
  /** The ELF file of the kernel; null where only its symbols are known, as a System.map. */
  readonly elf: Uint8Array | null
  readonly symbols: string | null
}

/** The machine under a domU: RAM enough for it, and behind that for what Xen shares with it. */
export function hostFor(nrPages: number): HostMemory {
  const end = FIRST_FRAME + nrPages
  const xenHeap = { start: end, end: end + XEN_PAGES }
  return { ram: [{ start: 0, end: xenHeap.end }], xenHeap, map: [] }
}

/**
 * Build the machine and the domU of a real kernel, about to run its first instruction.
 *
 * @param onOutput gets what the guest writes to its console, as it writes it
 * @param core how its code is executed, which is no part of what the machine is
 * @throws BadInput for files that are no kernel, and for what does not fit
 */
export function buildKernelMachine(
  options: KernelOptions,
  onOutput: (bytes: Uint8Array) => void,
  progress: Progress = () => {},
  memory = new Memory(),
  core: CoreOptions = {},
): DomUMachine {
  const { kernel, append = '', name = 'guest' } = options
  const nrPages = options.memory ?? USUAL_PAGES
  const maxPages = options.maxMemory ?? nrPages
  if (maxPages < nrPages) {
    throw new BadInput(`the guest's memory of ${nrPages} pages is more than the ${maxPages} that it may have`)
  }
  const version = xenVersion(options.xen ?? DEFAULT_XEN.others)
  const { elf, image, initrd } = readFiles(options, nrPages, progress)
  checkNotes(nrPages, memory)
  progress('build')
  const xen = new Xen(version, hostFor(nrPages), memory)
  const start = buildDomU(xen, {
    id: DOMAIN_ID,
    image,
    imageName: kernel.name,
    initrd,
    commandLine: append,
    nrPages,
    storePort: STORE_PORT,
    consolePort: CONSOLE_PORT,
    memoryMap: options.hasMap === false ? null : guestMap(maxPages),
  })
  const nodes = storeNodes(name, { nrPages, maxPages }, start)
  const xenstore = new Xenstore(xen, start.domain, start.storeMfn, nodes)
  const console = new ConsoleRing(xen, start.domain, start.consoleMfn, onOutput)
  xen.clock.advance(seedMoment(options.seed))
  const guest = new Guest(xen, start.vcpu, image.entry, core)
  const { layout } = start
  return { dom0: null, xen, name, start, guest, console, xenstore, nrPages, layout, elf, symbols: null }
}

/** A kernel and its initrd, unpacked and read. */
export type KernelFiles = {
  readonly elf: Uint8Array
  readonly image: Image
  readonly initrd: Uint8Array | null
}

/**
 * Unpack and read a run's files. The toolstack unpacks a domU's initrd; dom0 gets its own as it is.
 *
 * @param nrPages frames of the memory that they are for, which bounds what they may come to
 * @throws BadInput for files that are no kernel
 */
export function readFiles(options: KernelOptions, nrPages: number, progress: Progress): KernelFiles {
  const { kernel, ramdisk, dom0 } = options
  progress('unpack')
  const memoryBytes = nrPages * PAGE
  const elf = unpackKernel(kernel.bytes, kernel.name, Math.max(memoryBytes, LEAST_KERNEL_ROOM))
  progress('read')
  const image = readImage(elf, kernel.name)
  if (ramdisk === undefined || ramdisk.bytes.length === 0) return { elf, image, initrd: null }
  const { name, bytes } = ramdisk
  return { elf, image, initrd: dom0 === undefined ? unpackInitrd(bytes, name, memoryBytes) : bytes }
}

/** Whether the machine has room for what is noted of each of so many frames. Throws BadInput. */
export function checkNotes(nrPages: number, memory: Memory): void {
  const least = nrPages * LEAST_FRAME_BYTES
  if (least <= memory.size) return
  const [needs, has] = [least, memory.size].map((n) => Math.ceil(n / 2 ** 20))
  throw new BadInput(
    `the notes on the guest's frames alone take ${needs} MiB, and this machine has ${has} MiB; give the guest less memory`,
  )
}

/** Two seeds give two moments of the first second: nanoseconds. */
export function seedMoment(seed = 0): number {
  return (seed * SEED_STEP) % 1_000_000_000
}

/** What the toolstack writes of a domain without devices, relative to its home. Xen: libxl__domain_build(). */
function storeNodes(
  name: string,
  { nrPages, maxPages }: { readonly nrPages: number; readonly maxPages: number },
  start: StartOfDay,
): ReadonlyMap<string, string> {
  return new Map([
    ['name', name],
    ['domid', String(DOMAIN_ID)],
    ['vm', '/vm/00000000-0000-0000-0000-000000000001'],
    ['memory/static-max', String(maxPages * 4)],
    ['memory/target', String(nrPages * 4)],
    ['memory/videoram', '0'],
    ['cpu/0/availability', 'online'],
    ['store/port', String(STORE_PORT)],
    ['store/ring-ref', String(start.storeMfn)],
    ['console/port', String(CONSOLE_PORT)],
    ['console/ring-ref', String(start.consoleMfn)],
    ['console/type', 'xenconsoled'],
    ['console/limit', '1048576'],
    ['control/shutdown', ''],
    ['control/platform-feature-multiprocessor-suspend', '1'],
    ['control/platform-feature-xs_reset_watches', '1'],
  ])
}
