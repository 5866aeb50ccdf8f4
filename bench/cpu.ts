import { CoreMachine } from './cpu/core-machine.ts'
import { buildLoops, LOOPS, readImage } from './cpu/loops.ts'
import { type QemuLoop, qemuVersion, runUnderQemu } from './cpu/qemu.ts'
import { runRandomBytes } from './cpu/random-bytes.ts'
import { median, spread } from './measure.ts'

/** The x86-64 core, on loops that QEMU runs in the same rounds. */
export const name = 'cpu'
export const about =
  'guest code on the core and, the same bytes, under QEMU; then random bytes, about five minutes'

const ROUNDS = 5
const RANDOM_INSTRUCTIONS = 100_000_000

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const figures = await loops(report)
  const { instructions, exceptions, seconds } = runRandomBytes(1, RANDOM_INSTRUCTIONS, report)
  return {
    ...figures,
    random_bytes_instructions: instructions,
    random_bytes_exceptions: exceptions,
    random_bytes_mips: round(instructions / seconds / 1e6),
  }
}

/** A round of the loops that copy moves this much. */
const COPY_MIB = 1

/**
 * Millions of guest instructions a second, a repeated string instruction counted as one, MiB a second of those that copy, and
 * how many times as long as QEMU the core takes.
 */
async function loops(report: (line: string) => void): Promise<Record<string, number>> {
  const version = qemuVersion()
  report(version === null ? 'no qemu-system-x86_64: nothing to compare with' : `QEMU ${version}, -accel tcg`)
  const elf = buildLoops()
  const machine = new CoreMachine(readImage(elf))
  const core: number[][] = LOOPS.map(() => [])
  const qemu: number[][] = LOOPS.map(() => [])
  const instructions: number[] = []
  for (const [i] of LOOPS.entries()) machine.run(i, 20)
  for (let round = 0; round < ROUNDS; round++) {
    const theirs = version === null ? null : await runUnderQemu(elf)
    for (const [i, { key, rounds }] of LOOPS.entries()) {
      const start = performance.now()
      const ours = machine.run(i, rounds)
      core[i].push(performance.now() - start)
      instructions[i] = ours.instructions
      if (theirs !== null) qemu[i].push(agreeing(key, ours.checksum, theirs[i]))
    }
  }
  const figures: Record<string, number> = {}
  for (const [i, { key, rounds }] of LOOPS.entries()) {
    const mips = core[i].map((ms) => instructions[i] / ms / 1000)
    report(`${key}: ${spread(mips)} MIPS, ${instructions[i]} instructions`)
    figures[key === 'mixed' ? 'interpreter_mips' : `interpreter_mips_${key}`] = round(median(mips))
    if (key.startsWith('copy'))
      figures[`interpreter_${key}_mib_per_s`] = round((1000 * rounds * COPY_MIB) / median(core[i]))
    if (version === null) continue
    const theirMips = qemu[i].map((ms) => instructions[i] / ms / 1000)
    report(`${key} under QEMU: ${spread(theirMips)} MIPS`)
    figures[`qemu_mips_${key}`] = round(median(theirMips))
    figures[`interpreter_over_qemu_${key}`] = round(median(core[i]) / median(qemu[i]))
  }
  return figures
}

/** QEMU's time for a loop, once it is seen that both did the same work. */
function agreeing(key: string, checksum: string, theirs: QemuLoop): number {
  if (checksum !== theirs.checksum) throw new Error(`${key} gives ${checksum}, under QEMU ${theirs.checksum}`)
  return theirs.milliseconds
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}
