import { BadInput } from '../../bits/bad-input.ts'
import { impossible } from '../../run/boot/outcome.ts'
import { bootKernel, type KernelSpec } from '../../run/kernel/kernel-boot.ts'
import type { SharedFiles } from '../../run/kernel/kernel-files.ts'
import { type KernelEnd, kernelEnd } from '../../run/kernel/kernel-outcome.ts'
import { findMap } from '../../run/maps/maps.ts'
import type { Tier } from '../../run/tiers.ts'
import { machinesIn, type Row } from './piece.ts'
import { machineAt, type RealKernels, type Space } from './space.ts'

/** A sweep of real kernels as its threads get it. */
export type RealSweepSpec = {
  readonly space: Space
  readonly files: SharedFiles
  /** The most memory of the host that a machine may have, bytes. */
  readonly hostMemory: number
  /** How the guests' code is executed. */
  readonly tier?: Tier
}

/** Boot the real kernels of one piece, in order. */
export function run(spec: RealSweepSpec, piece: number): Row[] {
  const { real } = spec.space
  if (real === undefined) throw new Error('a sweep of models among those of real kernels')
  return machinesIn(spec.space, piece).map((n) => ({ n, ...endOf(spec, real, n) }))
}

/** Options that cannot be are an outcome here, not an error. */
function endOf(spec: RealSweepSpec, real: RealKernels, n: number): KernelEnd {
  try {
    return kernelEnd(bootKernel(kernelAt(spec, real, n)), real.until === null ? 'poweroff' : 'reached')
  } catch (error) {
    if (error instanceof BadInput) return impossible(error)
    throw error
  }
}

/** What boots machine number n: as `xenolith boot` has it. */
function kernelAt(
  { space, files, hostMemory, tier }: RealSweepSpec,
  real: RealKernels,
  n: number,
): KernelSpec {
  const {
    linux,
    map: given,
    domain,
    firmwareMap,
    memory,
    maxMemory,
    hasMap,
    append,
    xen,
  } = machineAt(space, n)
  const map = typeof given === 'string' ? findMap(given) : given
  const commandLine = append ?? map?.append
  return {
    kernel: files.kernels[space.linux.indexOf(linux ?? '')],
    ...(files.ramdisk === null ? {} : { ramdisk: files.ramdisk }),
    ...(domain === 'dom0' && map !== undefined
      ? { dom0: { map, acpi: real.acpi, ...(firmwareMap === true ? { firmwareMap } : {}) } }
      : {}),
    ...(memory === undefined ? {} : { memory }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(hasMap === undefined ? {} : { hasMap }),
    ...(commandLine === undefined ? {} : { append: commandLine }),
    ...(xen === undefined ? {} : { xen }),
    ...(real.until === null ? {} : { until: real.until }),
    timeLimit: real.timeLimit,
    hostMemory,
    ...(tier === undefined ? {} : { core: { tier } }),
    explain: true,
  }
}
