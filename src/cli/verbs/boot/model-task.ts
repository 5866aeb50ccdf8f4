import type { Here } from '../../thread/thread.ts'
import { type BootFlags, runModel } from './boot-model.ts'

/** Boot a model on this thread, for `--wall`. Its exit status. */
export function run(flags: BootFlags, { io }: Here): number {
  return runModel(flags, io)
}
