import { hex, PAGE } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import { RSI, RSP, type Vcpu } from '../machine/vcpu/vcpu.ts'
import type { E820Entry } from '../xen/abi.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { FLAT_SS } from '../xen/pv/exceptions.ts'
import { HYPERCALL_PAGE } from '../xen/pv/hypercall-page.ts'
import { initSharedInfo } from '../xen/sched/vcpu-info.ts'
import { ownFrames, takeFrames } from './domain-frames.ts'
import { type Image, loadImage } from './image/image.ts'
import type { StartOfDayLayout } from './layouts/start-of-day.ts'
import type { P2m } from './p2m.ts'
import { writeP2mList } from './p2m-list.ts'
import { takeTables, writeTables } from './page-tables.ts'
import { writeStartInfo } from './start-info.ts'

/** What a domain is made of; where it goes says its layout. */
export type DomainSource = {
  readonly id: number
  /** It is dom0. */
  readonly privileged: boolean
  readonly nrPages: number
  /** The most pages that it may come to have; `nrPages` when it is left out. */
  readonly maxPages?: number
  /** Takes its frames out of the heap. Without it the initial mapping is one row, as far as there is one. */
  readonly frames?: (xen: Hypervisor) => P2m
  /** The frame of its shared_info; Xen chooses one when it is left out. */
  readonly sharedInfo?: number | undefined
  /** A kernel to load; without one the driver is the kernel. */
  readonly image?: Image
  /** What the image is called in errors. */
  readonly imageName?: string
  /** The bytes of the initrd that the layout has a place for; nothing is written when they are left out. */
  readonly initrd?: Uint8Array | null
  readonly commandLine?: string
  /** Of a domU: the map that the toolstack gives it; null for none. A dom0 is given the machine's. */
  readonly memoryMap?: readonly E820Entry[] | null
  /** Event channels of the xenstore and console pages: the toolstack allocates them first, in this order. */
  readonly storePort?: number
  readonly consolePort?: number
}

/** A domain that is about to run its first instruction. */
export type BuiltDomain = { readonly domain: Domain; readonly vcpu: Vcpu; readonly p2m: P2m }

/**
 * Build a domain as Xen builds dom0 and the toolstack a domU: memory and what is loaded into it, p2m list, start info, page
 * tables, the types that frames have by them, and one vCPU. Xen: dom0_construct_pv(); xc_dom_boot_image(), bootlate_pv(),
 * vcpu_x86_64().
 *
 * @throws BadInput when it does not fit into its memory or the machine's
 */
export function buildDomain(xen: Hypervisor, layout: StartOfDayLayout, source: DomainSource): BuiltDomain {
  const { nrPages } = source
  checkSize(xen, layout, nrPages)
  const domain = addDomain(xen, source)
  const p2m = source.frames?.(xen) ?? takeFrames(xen, nrPages, layout.end)
  ownFrames(xen, domain, p2m, nrPages)
  load(xen, p2m, layout, source)
  writeP2mList(xen, p2m, layout, nrPages)
  const { commandLine = '', storePort = 0, consolePort = 0 } = source
  writeStartInfo(xen, domain, p2m, layout, { nrPages, commandLine, storePort, consolePort })
  const root = writeTables(xen, p2m, layout)

  const vcpu = xen.addVcpu(domain)
  xen.current = vcpu
  takeTables(xen, p2m, layout)
  const { port } = vcpu
  port.root = root
  port.setVa(RSP, layout.stack)
  port.setVa(RSI, layout.virtBase + layout.startInfo * PAGE)
  if (!domain.privileged) {
    // A domU's first context has them; dom0 has none before its stack_switch.
    vcpu.kernelSs = FLAT_SS
    vcpu.kernelSp = layout.stack
  }
  return { domain, vcpu: port, p2m }
}

function checkSize(xen: Hypervisor, { end }: StartOfDayLayout, nrPages: number): void {
  if (end > nrPages) {
    throw new BadInput(
      `v_end ${hex(end * PAGE)} lies beyond the guest's memory of ${hex(nrPages)} pages; give it more memory or a smaller v_end`,
    )
  }
  if (nrPages > xen.heap.most) {
    throw new BadInput(
      `a guest of ${hex(nrPages)} pages is too large for the machine, which has ${hex(xen.heap.most)} pages of RAM`,
    )
  }
}

/** A domain that owns nothing yet but its shared_info. */
function addDomain(xen: Hypervisor, source: DomainSource): Domain {
  const domain = xen.addDomain(source.id, source.privileged)
  domain.totPages = source.nrPages
  domain.maxPages = source.maxPages ?? source.nrPages
  domain.memoryMap = source.memoryMap ?? null
  domain.sharedInfo = xen.allocateXenFrame(domain.owner, source.sharedInfo)
  initSharedInfo(xen, domain.sharedInfo)
  return domain
}

/** What the builder loads: the image, Xen's code for hypercalls where the image wants it, and the initrd. */
function load(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout, source: DomainSource): void {
  const { u8 } = xen.memory
  const byteOf = (pfn: number): number => xen.memory.frameWords(p2m.get(pfn)) * 4
  const { image, initrd } = source
  if (image !== undefined) {
    const [{ pages }] = layout.mappings
    const pageAt = (va: number): number => {
      const pfn = (va - layout.virtBase) / PAGE
      return pfn >= 0 && pfn < pages ? byteOf(pfn) : -1
    }
    loadImage(image, u8, pageAt, source.imageName)
    if (image.hypercallPage !== null) u8.set(HYPERCALL_PAGE, pageAt(image.hypercallPage))
  }
  if (initrd === undefined || initrd === null || layout.initrd === null) return
  for (let done = 0; done < initrd.length; done += PAGE) {
    u8.set(initrd.subarray(done, done + PAGE), byteOf(layout.initrd.pfn + done / PAGE))
  }
}
