import type { Io } from '../../io.ts'
import { runWithin } from '../../thread/run-within.ts'
import type { BootFlags } from './boot-model.ts'
import { isKernelBoot } from './kernel-flags.ts'

/** Boots a real kernel, or a model. Neither loads what only the other needs. */
export async function run(options: BootFlags, io: Io): Promise<number> {
  if (isKernelBoot(options)) {
    const { runKernel } = await import('./boot-kernel.ts')
    return runKernel(options, io)
  }
  if (options.wall !== undefined) return runWithin({ task: 'model', options, wall: options.wall }, io)
  const { runModel } = await import('./boot-model.ts')
  return runModel(options, io)
}
