import { hex } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { type ConflictRule, hostMapConflicts } from '../../linux/memory/host-map-conflict.ts'
import { layoutWithNotes, type NotesLayout } from '../../toolstack/layouts/dom0-notes.ts'
import type { BootOptions } from './boot.ts'
import { chooseMap, ownPages } from './boot-plan.ts'
import type { Outcome } from './outcome.ts'

/** Bytes of a distribution's kernel of today, image and bss, where nothing is said. */
const USUAL_KERNEL = 48 << 20

/**
 * Whether a kernel is one of today: 4.3 or later by its version. Those look at the host's map first, and stop where what Xen
 * has loaded does not fit it.
 */
export function isLaidOutToday(linux: string | undefined): boolean {
  const version = versionOf(linux)
  return version !== null && atLeast(version, 4, 3)
}

/** What such a kernel does about the conflicts of its layout with the host's map, by its version. */
export function conflictRule(linux: string): ConflictRule {
  return { movesLists: true, movesNvs: atLeast(versionOf(linux) ?? [0, 0], 6, 12) }
}

function versionOf(linux: string | undefined): readonly [number, number] | null {
  const match = /^v?(\d+)\.(\d+)(?:[.\-+~].*)?$/.exec(linux ?? '')
  return match === null ? null : [Number(match[1]), Number(match[2])]
}

function atLeast(version: readonly [number, number], major: number, minor: number): boolean {
  return version[0] > major || (version[0] === major && version[1] >= minor)
}

/** Where Xen puts the parts of a dom0 of today, and the machine's map. */
export function layoutOf(options: BootOptions): NotesLayout & { readonly nrPages: number } {
  const map = chooseMap(options, options.map === undefined)
  const nrPages = options.memory ?? ownPages(map)
  return {
    ...layoutWithNotes(options.kernelSize ?? USUAL_KERNEL, options.initrdSize ?? 0, nrPages),
    nrPages,
  }
}

/**
 * How the layout of a dom0 of today fits its host's map. The early tables of such kernels are generation E's and never stand
 * in their own way, so that this decides: the ranges at which a firmware has put something, and the kernel's size.
 *
 * @throws BadInput for options that have no meaning here
 */
export function layoutOutcome(options: BootOptions): Outcome {
  const linux = options.linux ?? ''
  if (options.domain === 'domU')
    throw new BadInput(`Linux ${linux}: the host's map concerns a dom0 only; leave --domu out`)
  if (options.vEnd !== undefined)
    throw new BadInput(`Linux ${linux}: v_end follows from the kernel's size; give --kernel-size`)
  const map = chooseMap(options, options.map === undefined)
  if (map === null) throw new BadInput("a dom0 needs the machine's map: give --map NAME or a file")
  const layout = layoutOf(options)
  const { dies, moved } = hostMapConflicts(map.entries, layout.nrPages, layout, conflictRule(linux))
  if (dies === null)
    return {
      outcome: 'booted',
      signature: '',
      ...(moved.length > 0 ? { detail: `moves ${moved.join(', ')}` } : {}),
    }
  const what = dies.type === 'nothing' ? 'no memory' : dies.type
  return {
    outcome: 'fault',
    signature: `BUG in xen_memory_setup: ${dies.part} where the host has ${what}`,
    pfn: hex(Math.floor(dies.at / 4096)),
    detail: `${what} at ${hex(dies.at)} under the ${dies.part}`,
  }
}
