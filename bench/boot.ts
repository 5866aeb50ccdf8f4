import type { BootOptions } from '../src/run/boot/boot.ts'
import { prepareNative } from './boot/native.ts'
import { growthExponent, inChild, interleaved, median, milliseconds, spread, timed } from './measure.ts'

export const name = 'boot'
export const about =
  'boots: time cold and warm, time an entry, peak memory, growth with the size of the guest'

/** A boot to measure, each time in a process of its own: once cold, then warm. */
type Case = {
  readonly key: string
  readonly options: BootOptions
  readonly outcome: 'booted' | 'refused'
  readonly warmUps: number
  readonly runs: number
}

type Sample = {
  /** Loading the library from its TypeScript. */
  readonly importMs: number
  /** The first boot of the process. */
  readonly coldMs: number
  readonly warmMs: readonly number[]
  readonly outcome: string
  /** Frames that the direct map maps: the guest's, without those that it gave back first. */
  readonly frames: number
}

const ROUNDS = 3
const GIB_PAGES = 2 ** 18
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128]

/** A domU of generation D, the first that boots whole on any of them; it has one hole, below 4 GiB. */
function domU(gib: number): Case {
  const options: BootOptions = { linux: 'D', domain: 'domU', memory: gib * GIB_PAGES }
  const few = gib > 16
  return { key: `domu_${gib}gib`, options, outcome: 'booted', warmUps: few ? 1 : 3, runs: few ? 2 : 5 }
}

/** A dom0 of generation D that owns all of an 8 GiB machine. */
const DOM0_8GIB: Case = {
  key: '8gib',
  options: { linux: 'D', map: 'msi-h61m-p23-8g', memory: 0x1f_a000 },
  outcome: 'booted',
  warmUps: 3,
  runs: 7,
}

const CASES: readonly Case[] = [
  { key: 'seed', options: {}, outcome: 'refused', warmUps: 2, runs: 5 },
  DOM0_8GIB,
  { key: 'amd1thole', options: { linux: 'D', map: 'amd1thole' }, outcome: 'booted', warmUps: 1, runs: 3 },
  ...SIZES.map(domU),
]

/** Runs in a process of its own. */
export async function measureCase({ options, warmUps, runs }: Case): Promise<Sample> {
  const started = performance.now()
  const { boot } = await import('../src/run/boot/boot.ts')
  const importMs = performance.now() - started
  let result: ReturnType<typeof boot> | undefined
  const coldMs = milliseconds(() => {
    result = boot(options)
  })
  const { outcome, machine, console: lines } = result!
  const released = /^released (\d+) pages/m.exec(lines.join('\n'))
  const frames = Number(machine.nrPages) - Number(released?.[1] ?? 0)
  return { importMs, coldMs, warmMs: timed(() => boot(options), warmUps, runs), outcome, frames }
}

/** Runs in a process of its own: milliseconds of the processor for each boot, those of V8's other threads among them. */
export async function measureProcessor({ options, warmUps, runs }: Case): Promise<number[]> {
  const { boot } = await import('../src/run/boot/boot.ts')
  for (let i = 0; i < warmUps; i++) boot(options)
  return Array.from({ length: runs }, () => {
    const before = process.cpuUsage()
    boot(options)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  })
}

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const samples = await interleaved(CASES, ROUNDS, async (one, round) => {
    const sample = await inChild<Sample>(import.meta.url, 'measureCase', one)
    if (sample.value.outcome !== one.outcome)
      throw new Error(`${one.key}: the outcome is ${sample.value.outcome}, not ${one.outcome}`)
    report(`round ${round + 1} of ${ROUNDS}: ${one.key} ${median(sample.value.warmMs).toFixed(1)} ms`)
    return sample
  })
  const figure = (what: string, values: readonly number[]): number => {
    report(`${what}: ${spread(values)}`)
    return round(median(values))
  }
  const cold = (key: string) => samples.get(key)!.map(({ value }) => value.coldMs)
  const warm = (key: string) => samples.get(key)!.flatMap(({ value }) => value.warmMs)
  const peak = (key: string) => samples.get(key)!.map(({ peakMib }) => peakMib)
  const imports = [...samples.values()].flat().map(({ value }) => value.importMs)
  const frames = samples.get('8gib')![0].value.frames
  report(`frames mapped of 8 GiB: ${frames}`)
  const growth = SIZES.map((gib) => [gib, median(warm(`domu_${gib}gib`))] as const)
  for (const [gib] of growth) report(`domU of ${gib} GiB, warm ms: ${spread(warm(`domu_${gib}gib`))}`)
  const besideC = await overC(report)

  return {
    import_ms: figure('import_ms', imports),
    seed_cold_ms: figure('seed_cold_ms', cold('seed')),
    seed_warm_ms: figure('seed_warm_ms', warm('seed')),
    boot_8gib_cold_ms: figure('boot_8gib_cold_ms', cold('8gib')),
    boot_8gib_warm_ms: figure('boot_8gib_warm_ms', warm('8gib')),
    boot_64gib_ms: figure('boot_64gib_ms', warm('domu_64gib')),
    boot_128gib_ms: figure('boot_128gib_ms', warm('domu_128gib')),
    boot_128gib_cold_ms: figure('boot_128gib_cold_ms', cold('domu_128gib')),
    boot_amd1thole_ms: figure('boot_amd1thole_ms', warm('amd1thole')),
    ...besideC,
    ns_per_entry_8gib: round((median(warm('8gib')) * 1e6) / frames),
    peak_8gib_mib: figure('peak_8gib_mib', peak('8gib')),
    peak_128gib_mib: figure('peak_128gib_mib', peak('domu_128gib')),
    growth_exponent: Math.round(growthExponent(growth) * 1000) / 1000,
  }
}

const PAIRS = 7
/** So many boots until V8 has compiled all that is hot. */
const BESIDE_C: Case = { ...DOM0_8GIB, warmUps: 8, runs: 7 }

/**
 * The 8 GiB boot beside a C program that does the same stores, look-ups and checks, in turns, by the processor's time: a busy
 * machine interrupts the longer one more often. Nothing without a compiler.
 */
async function overC(report: (line: string) => void): Promise<Record<string, number>> {
  const native = await prepareNative(BESIDE_C.options)
  if (native === null) {
    report('no gcc: boot_8gib_over_c is left out')
    return {}
  }
  const [ours, theirs]: [number[], number[]] = [[], []]
  try {
    for (let pair = 0; pair < PAIRS; pair++) {
      const { warmUps, runs } = BESIDE_C
      theirs.push(median(native.run(warmUps, runs)))
      const { value } = await inChild<number[]>(import.meta.url, 'measureProcessor', BESIDE_C)
      ours.push(median(value))
      report(`pair ${pair + 1} of ${PAIRS}: ${ours[pair].toFixed(1)} ms, in C ${theirs[pair].toFixed(1)} ms`)
    }
  } finally {
    native.remove()
  }
  const ratios = ours.map((ms, pair) => ms / theirs[pair])
  report(`boot_8gib_over_c: ${spread(ratios)}`)
  return {
    boot_8gib_c_cpu_ms: round(median(theirs)),
    boot_8gib_cpu_ms: round(median(ours)),
    boot_8gib_over_c: round(median(ratios)),
  }
}

/** Four digits say all that a measurement knows. */
function round(value: number): number {
  return Number(value.toPrecision(4))
}
