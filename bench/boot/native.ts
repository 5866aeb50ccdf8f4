import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BootOptions } from '../../src/run/boot/boot.ts'
import { inChild } from '../measure.ts'
import type { Counts } from './plan.ts'

/** What one run of the program prints: milliseconds of the processor for each boot, and what the last one did. */
type Printed = Counts & { readonly milliseconds: readonly number[] }

/** The program and its plan, in a folder that `remove` takes away. */
export type NativeBoot = {
  /** Boot `runs` times after `warmUps`; milliseconds of the processor for each. Throws where it did not do what the model did. */
  run(warmUps: number, runs: number): number[]
  remove(): void
}

/** Compile native.c and record the plan of a boot. Null where there is no gcc. */
export async function prepareNative(options: BootOptions): Promise<NativeBoot | null> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-native-'))
  const [program, plan] = [join(folder, 'native'), join(folder, 'plan')]
  const source = fileURLToPath(new URL('native.c', import.meta.url))
  const { status, stderr, error } = spawnSync('gcc', ['-O2', '-o', program, source], { encoding: 'utf8' })
  const remove = () => rmSync(folder, { recursive: true })
  if (error !== undefined) {
    remove()
    return null
  }
  if (status !== 0) throw new Error(`native.c does not compile: ${stderr}`)
  // In a process of its own: a plan takes memory, which whoever starts others must not have.
  const module = new URL('plan.ts', import.meta.url).href
  const { value } = await inChild<Counts>(module, 'writePlan', { options, path: plan })
  return { run: (warmUps, runs) => bootNatively([program, plan], value, warmUps, runs), remove }
}

function bootNatively([program, plan]: string[], ours: Counts, warmUps: number, runs: number): number[] {
  const { status, stdout, stderr } = spawnSync(program, [plan, String(warmUps + runs)], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the native boot ended with ${status}: ${stderr}`)
  const { milliseconds, ...theirs } = JSON.parse(stdout) as Printed
  for (const [what, count] of Object.entries(ours)) {
    const other = theirs[what as keyof Counts]
    if (other !== count) throw new Error(`${what}: the model has ${count}, the native boot ${other}`)
  }
  return milliseconds.slice(warmUps)
}
