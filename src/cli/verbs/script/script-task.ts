import type { Here } from '../../thread/thread.ts'
import { runScriptHere, type ScriptFlags } from './script.ts'

/** Run a script on this thread, for `--wall`. Its exit status. */
export function run(flags: ScriptFlags, { io }: Here): number {
  return runScriptHere(flags, io)
}
