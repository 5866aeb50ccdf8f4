import { layoutConflicts, movedAway } from '../decode/layout.ts'
import { afterBoot, crashed } from '../evidence.ts'
import type { Cause } from './cause.ts'

export const e820ConflictFixed: Cause = {
  class: 'e820-conflict-fixed',
  name: 'Layout conflict that the kernel solved',
  match: (evidence) => {
    const conflicts = layoutConflicts(evidence)
    if (conflicts.length === 0 || crashed(evidence)) return undefined
    const [first] = conflicts
    if (!conflicts.every((conflict) => movedAway(evidence, conflict)) && !afterBoot(evidence))
      return undefined
    return {
      score: 86,
      title: `The host has ${first.range.type} where dom0 has ${first.placed.type}, and the kernel moved that range away: the boot goes on.`,
      lines: [...new Set(conflicts.map(({ placed }) => placed.line))],
    }
  },
  signature: [
    'The host map has a range that is not RAM under the loaded kernel or its tables, just as in e820-conflict, but the boot goes on.',
    "The map that the kernel prints as its own does not show the range at its place in the host map, and shows it elsewhere: ACPI NVS from 0x4000000 on the host appears at 0x104f1ee000 in the kernel's map.",
    'No trap, no refusal and no crash in this boot.',
  ],
  explanation: [
    "The kernel's image, or its first tables, are at addresses at which the host map has a reserved range. Older kernels stop here. This one moved the range: the pseudo-physical addresses under the kernel stay RAM, and the firmware's range was given other pseudo-physical addresses, above the rest of the memory.",
    "A range that was moved in this way is still the same machine memory. ACPI reaches it through a translation of its addresses, so that the firmware's tables work as before.",
    "The log is that of a healthy boot. The overlap in Xen's part of it is real and needs no action.",
  ],
  check: [
    'Confirm that the map printed by the kernel has the moved range, with the same size as in the host map.',
    'If something else fails later on, look at drivers that use fixed addresses of firmware ranges, as these have moved.',
    'Keep the log as a reference: the same machine with a kernel before 6.12 ends as in e820-conflict.',
  ],
  fixes: [
    {
      project: 'Linux',
      release: '6.12',
      what: 'Moves ranges that are not RAM out of the way of the kernel.',
    },
  ],
  avoid: [],
  benign: true,
}
