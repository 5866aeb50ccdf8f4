import { directMapPfn, isDirectMap, LEVEL_SPAN } from '../decode/regions.ts'
import { hexOf } from '../decode/values.ts'
import { crashed, faultAddresses, recordsOf, walkEnd } from '../evidence.ts'
import type { Cause } from './cause.ts'

export const unmappedDirectMap: Cause = {
  class: 'unmapped-direct-map',
  name: 'Direct map lacks the address',
  match: (evidence) => {
    // An oops that Linux itself reports is a bad pointer of any kind; what Xen reports, nobody was there yet to handle.
    if (!crashed(evidence) && recordsOf(evidence, 'walk').length === 0) return undefined
    const hit = faultAddresses(evidence).find(({ address }) => isDirectMap(address))
    if (hit === undefined) return undefined
    const walk = recordsOf(evidence, 'walk').find(({ line }) => line === hit.line)
    const missing = walk === undefined ? undefined : walkEnd(walk).missing
    if (walk !== undefined && missing === undefined) return undefined
    return {
      score: missing === undefined ? 60 : 87,
      title: `The kernel used ${hexOf(hit.address)}, its direct map of pfn ${directMapPfn(hit.address)!.toString(16)}, where nothing is mapped yet.`,
      lines: [hit.line],
      details:
        missing === undefined
          ? []
          : [`The walk ends at L${missing}: the ${LEVEL_SPAN[missing]} around it have no table.`],
    }
  },
  signature: [
    'An unhandled page fault with a present bit of 0 in the error code (`ec=0000` to read, `ec=0002` to write), at an address of the direct map: `ffff88...`, slots 0x110 and above of the L4.',
    'The walk begins with a present L4 entry and ends at a lower level in an entry of all zeroes, with `ffffffffffffffff` behind it: that part of memory is not mapped.',
    'No `Bad type` line and no refused hypercall.',
  ],
  explanation: [
    'The direct map is the window in which a kernel sees its memory, pfn by pfn. It is built during the boot in steps, and holes in the memory map can stay unmapped for good. An access to a part that is not built yet is an ordinary page fault, which a kernel without a handler does not survive.',
    'Under Xen the early direct map is smaller than on hardware. Code that relies on an early mapping of a large range, or that ran too early because it had not found out that it is a PV guest, reaches beyond it.',
    'A second way is a range that ends within a page, or in a part that the builder left out: something is put across the end of the mapped memory, and the access fails where that page would begin.',
  ],
  check: [
    'Turn the address into a pfn (its offset from the start of the direct map, by 4096) and compare it with the memory map and with the ranges that the kernel has printed as mapped.',
    'Note at which level the walk ends: an empty L3 slot is a GiB without a map, an empty L2 slot 2 MiB, an empty L1 slot a single page.',
    'Resolve RIP with System.map: code for another kind of machine, such as page-table isolation, means that the detection of Xen came too late.',
    'Compare the end of RAM in the map with a page boundary.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: '59094faf3f61',
      what: 'Detects the features of the KAISER patches earlier, so that a PV guest does not use them (4.9 stable).',
    },
    {
      project: 'Linux',
      commit: '7cb31b752c7',
      what: 'Rounds the ends of RAM ranges down to a page, so that nothing is put across the end of the mapped memory.',
    },
  ],
  avoid: [],
}
