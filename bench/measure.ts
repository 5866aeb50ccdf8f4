import { spawn } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { BadInput } from '../src/bits/bad-input.ts'

/**
 * What the benches share. A bench is a file of this folder that exports `name`, `about` and `run`. Cases are measured in
 * rounds, each case once a round (A B C A B C), so that a machine that grows slower or busier does so for all of them; a
 * figure is the median.
 */
export type Bench = {
  readonly name: string
  /** What it measures, in a line. */
  readonly about: string
  /** @param report takes a line about how it goes: progress, and the spread behind each figure */
  run(report: (line: string) => void): Promise<Record<string, number>>
}

/** Whose figures they are. */
export type MachineInfo = { readonly cpu: string; readonly cores: number; readonly node: string }

export function machineInfo(): MachineInfo {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
  }
}

/** Milliseconds that an action takes. */
export function milliseconds(action: () => void): number {
  const start = process.hrtime.bigint()
  action()
  return Number(process.hrtime.bigint() - start) / 1e6
}

/** Milliseconds of each of `runs` runs, after `warmUps` that nobody counts. */
export function timed(action: () => void, warmUps: number, runs: number): number[] {
  for (let i = 0; i < warmUps; i++) action()
  return Array.from({ length: runs }, () => milliseconds(action))
}

/** Measure every case once a round. The samples of a case, in the order of the rounds, under its key. */
export async function interleaved<Case extends { readonly key: string }, Sample>(
  cases: readonly Case[],
  rounds: number,
  measure: (one: Case, round: number) => Promise<Sample>,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(cases.map(({ key }) => [key, []]))
  for (let round = 0; round < rounds; round++) {
    for (const one of cases) samples.get(one.key)!.push(await measure(one, round))
  }
  return samples
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** How many rounds a bench takes: `BENCH_ROUNDS` of the environment, for a quick look, or as many as are usual. */
export function roundCount(usual: number): number {
  const rounds = Number(process.env.BENCH_ROUNDS ?? usual)
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new BadInput(`BENCH_ROUNDS is ${process.env.BENCH_ROUNDS}; give a whole number from 1 on`)
  return rounds
}

/** A figure with what lies behind it: `245.1 (241.0 to 307.2, 15 runs)`. */
export function spread(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return `${median(values).toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)}, ${values.length} runs)`
}

/**
 * The power k of `value = c · size^k` that fits best: least squares of the logarithms. 1 is linear, 2 is quadratic.
 */
export function growthExponent(points: readonly (readonly [size: number, value: number])[]): number {
  const logs = points.map(([size, value]) => [Math.log(size), Math.log(value)] as const)
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / logs.length
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / logs.length
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return covariance / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}

/** What a function returned that ran in a process of its own, and the most memory that the process had, in MiB. */
export type FromChild<T> = { readonly value: T; readonly peakMib: number }

/**
 * Call a function that a module exports, in a fresh process: nothing is compiled yet there, nothing is cached, and the
 * peak of its memory is its own. (Linux hands a parent's peak on to its children, so whoever calls this must stay small.)
 *
 * @param module address of the module, as `import.meta.url`
 * @param argument is passed as JSON; what the function returns comes back the same way
 */
export async function inChild<T>(module: string, name: string, argument: unknown): Promise<FromChild<T>> {
  const words = [fileURLToPath(import.meta.url), module, name, JSON.stringify(argument)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (status !== 0) throw new Error(`${name}(${JSON.stringify(argument)}) ended with ${status}`)
  return JSON.parse(text)
}

/** The other side of `inChild`. Nothing awaits it here: the module that it loads imports this one. */
async function serve([module, name, argument]: string[]): Promise<void> {
  const value = await (await import(module))[name](JSON.parse(argument))
  const peakMib = process.resourceUsage().maxRSS / 1024
  process.stdout.write(JSON.stringify({ value, peakMib } satisfies FromChild<unknown>))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  void serve(process.argv.slice(2))
}
