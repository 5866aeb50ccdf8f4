import type { CoreOptions } from '../../cpu/cpu.ts'
import { Guest } from '../../guest/guest.ts'
import { Memory } from '../../machine/memory.ts'
import { buildDom0, usualDom0Pages } from '../../toolstack/build-dom0.ts'
import { HostConsole } from '../../toolstack/host-console.ts'
import { DEFAULT_XEN, xenVersion } from '../../xen/versions/index.ts'
import { type Dom0Options, dom0Board, dom0Xen } from './dom0-host.ts'
import {
  checkNotes,
  type Dom0Machine,
  type KernelOptions,
  type Progress,
  readFiles,
  seedMoment,
} from './kernel-machine.ts'

/**
 * Build the machine and the dom0 of a real kernel, about to run its first instruction.
 *
 * @param onOutput gets what the guest writes to its console, as it writes it
 * @param core how its code is executed, which is no part of what the machine is
 * @throws BadInput for files that are no kernel, and for what does not fit
 */
export function buildDom0Machine(
  options: KernelOptions & { readonly dom0: Dom0Options },
  onOutput: (bytes: Uint8Array) => void,
  progress: Progress = () => {},
  memory = new Memory(),
  core: CoreOptions = {},
): Dom0Machine {
  const { kernel, append = '', name = 'dom0' } = options
  const version = xenVersion(options.xen ?? DEFAULT_XEN.others)
  const dom0 = dom0Board(options.dom0)
  const xen = dom0Xen(dom0, version, memory)
  const asked = options.memory ?? dom0.mapPages
  const { elf, image, initrd } = readFiles(options, asked ?? xen.heap.most, progress)
  const nrPages = asked ?? usualDom0Pages(xen.heap.available, image, initrd?.length ?? 0)
  checkNotes(nrPages, memory)
  progress('build')
  const { layout, ...start } = buildDom0(xen, {
    image,
    imageName: kernel.name,
    initrd,
    commandLine: append,
    nrPages,
    swaps: options.dom0.mfn ?? [],
  })
  const console = new HostConsole(xen, start.domain, onOutput)
  xen.clock.advance(seedMoment(options.seed))
  const guest = new Guest(xen, start.vcpu, image.entry, core)
  return { dom0, xen, name, start, guest, console, xenstore: null, nrPages, layout, elf, symbols: null }
}
