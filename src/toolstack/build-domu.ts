import { PAGE } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import { START_INFO } from '../xen/abi.ts'
import { type Domain, LAST_PORT } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import type { XenVersion } from '../xen/versions/version.ts'
import { buildDomain, type DomainSource } from './build-domain.ts'
import { type DomULayout, layoutDomU } from './layouts/domu.ts'

/** What a domU with a real kernel is to be made of. */
export type DomUPlan = Required<
  Pick<
    DomainSource,
    | 'id'
    | 'nrPages'
    | 'image'
    | 'imageName'
    | 'initrd'
    | 'commandLine'
    | 'storePort'
    | 'consolePort'
    | 'memoryMap'
  >
>

/** A domU that is about to run its first instruction. */
export type StartOfDay = {
  readonly domain: Domain
  readonly vcpu: Vcpu
  readonly layout: DomULayout
  /** Frames of the pages by which the guest talks to xenstore and console. */
  readonly storeMfn: number
  readonly consoleMfn: number
}

/** What the toolstack lets a guest have beyond its memory: LIBXL_MAXMEM_CONSTANT. */
const SPARE_PAGES = (1 << 20) / PAGE

/** The highest event channel of a domU: xl's `event_channels` when nothing is said, where Xen lets it be said. */
export function portLimit(version: XenVersion): number {
  return version.abi.limitsPorts ? 1023 : LAST_PORT
}

/**
 * Lay out and build a domU from a kernel's image.
 *
 * @throws BadInput when it does not fit into its memory or the machine's
 */
export function buildDomU(xen: Hypervisor, plan: DomUPlan): StartOfDay {
  const { image, initrd, nrPages, commandLine } = plan
  const layout = layoutDomU(image, initrd?.length ?? 0, nrPages)
  if (commandLine.length >= START_INFO.cmd_line_bytes) {
    throw new BadInput(
      `the command line has ${commandLine.length} characters; a guest takes at most ${START_INFO.cmd_line_bytes - 1}`,
    )
  }
  const maxPages = nrPages + SPARE_PAGES
  const { domain, vcpu, p2m } = buildDomain(xen, layout, { ...plan, privileged: false, maxPages })
  domain.maxPort = portLimit(xen.version)
  return {
    domain,
    vcpu,
    layout,
    storeMfn: p2m.get(layout.xenstore),
    consoleMfn: p2m.get(layout.console),
  }
}
