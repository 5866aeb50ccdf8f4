import { DOMID } from '../bits/domid.ts'
import type { Vcpu } from '../machine/vcpu.ts'
import type { E820Entry } from './abi.ts'

/** A handler that the guest registered for a CPU exception: Xen's struct trap_info. */
export type TrapHandler = { readonly flags: number; readonly cs: number; readonly address: number }

/** A domain: who owns frames and makes hypercalls. */
export type Domain = {
  readonly id: number
  /** The number by which frame records name it. */
  readonly owner: number
  /** May act on other domains' memory, and map the machine's own devices: dom0. */
  readonly privileged: boolean
  readonly vcpus: Vcpu[]
  /** Root of the guest's user mode, an mfn; 0 when it has none. Holds one type and page reference, as each root does. */
  userRoot: number
  totPages: number
  maxPages: number
  /** Bits of vm_assist that are on. */
  assist: number
  readonly traps: Map<number, TrapHandler>
  /** Event delivery is masked: dom0 and domU both start so. */
  eventsMasked: boolean
  crashed: boolean
  /** What the guest has written to the console since its last newline. */
  consoleLine: string
  sharedInfo: number
  /** Frames of the guest's GDT, 512 entries each; each is held as a page of descriptors. */
  gdtFrames: number[]
  gdtEntries: number
  /** The guest's LDT: its 48-bit address, its size, and by page of it the frame that is held for it since its first use. */
  ldtBase: number
  ldtEntries: number
  readonly ldtFrames: Map<number, number>
  /** The memory map that the toolstack gave it, or null: then the hypercall is not there. */
  memoryMap: readonly E820Entry[] | null
}

/** A domain with nothing in it. Its vCPUs and frames come from the builder. */
export function emptyDomain(id: number, owner: number, privileged: boolean): Domain {
  return {
    id,
    owner,
    privileged,
    vcpus: [],
    userRoot: 0,
    totPages: 0,
    maxPages: 0,
    assist: 0,
    traps: new Map(),
    eventsMasked: true,
    crashed: false,
    consoleLine: '',
    sharedInfo: 0,
    gdtFrames: [],
    gdtEntries: 0,
    ldtBase: 0,
    ldtEntries: 0,
    ldtFrames: new Map(),
    memoryMap: null,
  }
}

/** The owners of frames that no guest owns: MMIO and the first MiB, and Xen itself. They have no vCPU. */
export const DOM_IO_ID = DOMID.IO
export const DOM_XEN_ID = DOMID.XEN
