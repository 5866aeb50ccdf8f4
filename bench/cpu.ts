import { TIERS, type Tier } from '../src/cpu/tier.ts'
import { CoreMachine } from './cpu/core-machine.ts'
import { buildLoops, LOOPS, readImage } from './cpu/loops.ts'
import { type QemuLoop, qemuVersion, runUnderQemu } from './cpu/qemu.ts'
import { runRandomBytes } from './cpu/random-bytes.ts'
import { median, roundCount, spread } from './measure.ts'

/** The x86-64 core, on loops that QEMU runs in the same rounds. */
export const name = 'cpu'
export const about =
  'guest code on the core and, the same bytes, under QEMU; then random bytes, about five minutes'

const ROUNDS = 5
const RANDOM_INSTRUCTIONS_A_ROUND = 20_000_000

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const rounds = roundCount(ROUNDS)
  const figures = await loops(rounds, report)
  const { instructions, exceptions, seconds } = runRandomBytes(
    1,
    rounds * RANDOM_INSTRUCTIONS_A_ROUND,
    report,
  )
  return {
    ...figures,
    random_bytes_instructions: instructions,
    random_bytes_exceptions: exceptions,
    random_bytes_mips: round(instructions / seconds / 1e6),
  }
}

/** A round of the loops that copy moves this much. */
const COPY_MIB = 1
/** Rounds of a loop that nobody counts: what is hot is compiled, by the core and by the engine. */
const WARM_UP = 20

/** A loop's milliseconds, a sample a round, on each tier and under QEMU, and the instructions that it takes. */
type Samples = Record<Tier | 'qemu', number[]> & { instructions: number }

/**
 * Millions of guest instructions a second on each tier, a repeated string instruction counted as one, MiB a second of those that
 * copy, and how many times as long as QEMU the core takes.
 */
async function loops(rounds: number, report: (line: string) => void): Promise<Record<string, number>> {
  const version = qemuVersion()
  report(version === null ? 'no qemu-system-x86_64: nothing to compare with' : `QEMU ${version}, -accel tcg`)
  const elf = buildLoops()
  const image = readImage(elf)
  const machines = TIERS.map((tier) => [tier, new CoreMachine(image, { tier })] as const)
  for (const [, machine] of machines) for (const [i] of LOOPS.entries()) machine.run(i, WARM_UP)
  const samples = LOOPS.map((): Samples => ({ interpreter: [], region: [], qemu: [], instructions: 0 }))
  for (let n = 0; n < rounds; n++) {
    const theirs = version === null ? null : await runUnderQemu(elf)
    for (const [i, loop] of LOOPS.entries()) {
      for (const [tier, machine] of machines) {
        const start = performance.now()
        const ours = machine.run(i, loop.rounds)
        samples[i][tier].push(performance.now() - start)
        samples[i].instructions = ours.instructions
        agreeing(loop.key, ours.checksum, theirs?.[i])
      }
      if (theirs !== null) samples[i].qemu.push(theirs[i].milliseconds)
    }
  }
  const { blocks, regions, bytes, milliseconds } = machines[1][1].cpu.compiled
  report(`compiled: ${regions} regions of ${blocks} blocks, ${bytes} bytes, ${milliseconds.toFixed(0)} ms`)
  return Object.assign({}, ...LOOPS.map((loop, i) => figuresOf(loop, samples[i], report)))
}

function figuresOf(
  { key, rounds }: (typeof LOOPS)[number],
  samples: Samples,
  report: (line: string) => void,
): Record<string, number> {
  const { instructions, qemu } = samples
  const figures: Record<string, number> = {}
  const mips = (times: readonly number[]): number[] => times.map((ms) => instructions / ms / 1000)
  for (const tier of TIERS) {
    const times = samples[tier]
    report(`${key}, ${tier}: ${spread(mips(times))} MIPS, ${instructions} instructions`)
    figures[`${tier}_mips${key === 'mixed' ? '' : `_${key}`}`] = round(median(mips(times)))
    if (key.startsWith('copy'))
      figures[`${tier}_${key}_mib_per_s`] = round((1000 * rounds * COPY_MIB) / median(times))
    if (qemu.length > 0) figures[`${tier}_over_qemu_${key}`] = round(median(times) / median(qemu))
  }
  figures[`region_over_interpreter_${key}`] = round(median(samples.region) / median(samples.interpreter))
  if (qemu.length === 0) return figures
  report(`${key} under QEMU: ${spread(mips(qemu))} MIPS`)
  return { ...figures, [`qemu_mips_${key}`]: round(median(mips(qemu))) }
}

/** Throws where two machines did not do the same work. */
function agreeing(key: string, checksum: string, theirs: QemuLoop | undefined): void {
  if (theirs !== undefined && checksum !== theirs.checksum)
    throw new Error(`${key} gives ${checksum}, under QEMU ${theirs.checksum}`)
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}
