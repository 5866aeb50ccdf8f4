import { readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { BadInput } from '../src/bits/bad-input.ts'
import { type FuzzResult, fuzz, replay } from './fuzz.ts'
import { type FuzzOptions, readOptions, usage } from './options.ts'
import type { Target } from './target.ts'
import { TARGETS } from './targets.ts'

/** `npm run fuzz`: random inputs for whatever reads them. options.ts has its options, docs/testing.md the rest. */

const REGISTRY = new URL('./targets.ts', import.meta.url).href

try {
  const options = readOptions(process.argv.slice(2), TARGETS)
  if (options.help) console.log(usage(TARGETS))
  else process.exitCode = options.files === null ? await fuzzAll(options) : await replayFiles(options.files)
} catch (error) {
  if (!(error instanceof BadInput)) throw error
  console.error(`fuzz: ${error.message}`)
  process.exitCode = 2
}

async function fuzzAll(options: FuzzOptions): Promise<number> {
  const { targets, seed, seconds, jobs } = options
  const time = Number.isFinite(seconds) ? `${seconds} s` : `${options.cases} cases each`
  console.log(`fuzz: seed ${seed}, ${time}, ${jobs} processes, ${targets.length} targets`)
  const began = performance.now()
  const result = await fuzz(options, REGISTRY, (line) => console.log(line))
  report(result, (performance.now() - began) / 1000)
  return result.found.length === 0 ? 0 : 1
}

function report({ cases, found, alike, unconfirmed }: FuzzResult, seconds: number): void {
  for (const [name, n] of cases) console.log(`  ${name.padEnd(12)} ${String(n).padStart(9)} cases`)
  const all = [...cases.values()].reduce((sum, n) => sum + n, 0)
  const more = alike === 0 ? '' : ` and ${alike} more like them`
  console.log(`fuzz: ${all} cases in ${seconds.toFixed(0)} s, ${found.length} faults${more}`)
  if (unconfirmed > 0)
    console.log(`  ${unconfirmed} more once, and not when the input was run again by itself`)
  for (const { target, signature, file } of found) console.log(`  ${target}: ${signature}: ${file}`)
}

async function replayFiles(files: readonly string[]): Promise<number> {
  const inputs = files.map((file) => ({ target: targetOf(file), file, input: read(file) }))
  const failed = await replay(inputs, REGISTRY)
  for (const { file, message, stack } of failed) console.log(`${file}: ${message}\n${stack}`)
  console.log(`fuzz: ${files.length} files, ${failed.length} of them show a fault`)
  return failed.length === 0 ? 0 : 1
}

function targetOf(file: string): Target {
  const name = basename(dirname(resolve(file)))
  const target = TARGETS.find((one) => one.name === name)
  if (target === undefined) {
    throw new BadInput(
      `${file}: there is no target '${name}'; put the file into a folder with a target's name`,
    )
  }
  return target
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new BadInput(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
}
