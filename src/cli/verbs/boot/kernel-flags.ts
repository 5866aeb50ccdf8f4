import { BadInput, isMemoryModel } from '../../../run/boot/boot-options.ts'
import type { RawKernelOptions } from '../../../run/kernel/kernel-options.ts'

/** By what a verb says which run of a real kernel it is about. */
export type KernelSpecFlags = RawKernelOptions & {
  /** xl's configuration of a guest, as an argument; `config` names one, too, if it is no configuration of a model. */
  readonly guest?: string
  readonly kernel?: string
  readonly ramdisk?: string
  readonly input?: string
  readonly systemMap?: string
  readonly restore?: string
}

/** Whether the options are those of a real kernel. */
export function isKernelBoot(flags: KernelSpecFlags): boolean {
  return flags.kernel !== undefined || configFile(flags) !== undefined || flags.restore !== undefined
}

/**
 * The file of xl's configuration that the options name. One option serves both kinds of configuration: what a model's may be is a
 * handful of words, and a file that has the name of one is `./flatmem`. Throws BadInput for two of them.
 */
export function configFile({ guest, config }: KernelSpecFlags): string | undefined {
  const file = config === undefined || isMemoryModel(config) ? undefined : config
  if (guest !== undefined && config !== undefined)
    throw new BadInput(`${guest} and --config ${config} exclude each other; keep one of them`)
  return guest !== undefined && isMemoryModel(guest) ? `./${guest}` : (guest ?? file)
}
