import { PAGE } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { Guest } from '../../guest/guest.ts'
import { Memory } from '../../machine/memory.ts'
import { buildDomU, type StartOfDay } from '../../toolstack/build-domu.ts'
import { ConsoleRing } from '../../toolstack/console-ring.ts'
import { guestMap } from '../../toolstack/guest-map.ts'
import { unpackInitrd, unpackKernel } from '../../toolstack/image/bzimage.ts'
import { readImage } from '../../toolstack/image/image.ts'
import type { DomULayout } from '../../toolstack/layouts/domu.ts'
import { Xenstore } from '../../toolstack/xenstore.ts'
import type { HostMemory, Hypervisor } from '../../xen/hypervisor.ts'
import { DEFAULT_XEN, xenVersion } from '../../xen/versions/index.ts'
import { Xen } from '../../xen/xen.ts'

/** A file that a user named, and what is in it. */
export type NamedFile = { readonly name: string; readonly bytes: Uint8Array }

/** What a real kernel's domU is made of. */
export type KernelOptions = {
  /** ELF, the same packed by gzip, or a bzImage. */
  readonly kernel: NamedFile
  readonly ramdisk?: NamedFile
  /** Frames of 4 KiB; 512 MiB when it is left out. */
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

/** A machine with one domU on it, which runs the code of a real kernel. */
export type KernelMachine = {
  readonly xen: Hypervisor
  /** What the domain is called, whatever its guest makes of the node in xenstore. */
  readonly name: string
  readonly start: Omit<StartOfDay, 'layout'>
  /** Where everything was put; null for a machine that a snapshot held. */
  readonly layout: DomULayout | null
  readonly guest: Guest
  readonly console: ConsoleRing
  readonly xenstore: Xenstore
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
 * @throws BadInput for files that are no kernel, and for what does not fit
 */
export function buildKernelMachine(
  options: KernelOptions,
  onOutput: (bytes: Uint8Array) => void,
  progress: Progress = () => {},
  memory = new Memory(),
): KernelMachine {
  const { kernel, ramdisk, append = '', name = 'guest' } = options
  const nrPages = options.memory ?? USUAL_PAGES
  const maxPages = options.maxMemory ?? nrPages
  if (maxPages < nrPages) {
    throw new BadInput(`the guest's memory of ${nrPages} pages is more than the ${maxPages} that it may have`)
  }
  const version = xenVersion(options.xen ?? DEFAULT_XEN.others)
  progress('unpack')
  const memoryBytes = nrPages * PAGE
  const elf = unpackKernel(kernel.bytes, kernel.name, Math.max(memoryBytes, LEAST_KERNEL_ROOM))
  progress('read')
  const image = readImage(elf, kernel.name)
  const initrd =
    ramdisk === undefined || ramdisk.bytes.length === 0
      ? null
      : unpackInitrd(ramdisk.bytes, ramdisk.name, memoryBytes)
  const least = nrPages * LEAST_FRAME_BYTES
  if (least > memory.size) {
    const [needs, has] = [least, memory.size].map((n) => Math.ceil(n / 2 ** 20))
    throw new BadInput(
      `the notes on the guest's frames alone take ${needs} MiB, and this machine has ${has} MiB; give the guest less memory`,
    )
  }
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
  // Two seeds give two moments of the first second.
  xen.clock.advance(((options.seed ?? 0) * SEED_STEP) % 1_000_000_000)
  const guest = new Guest(xen, start.vcpu, image.entry)
  return { xen, name, start, guest, console, xenstore, nrPages, layout: start.layout, elf, symbols: null }
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
