import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86'
import { P } from '../../../src/bits/pte.ts'
import { PAGE, type Program } from './program.ts'
import { type Manner, ProgramRun } from './run-program.ts'

/** Instructions that are told of a way, the last ones. */
const MOST_TOLD = 60
const MAX_LENGTH = 15

/**
 * The way of the interpreter through a slice, instruction by instruction, as iced-x86 reads them.
 *
 * @param before budgets of the slices before it
 */
export function pathOf(
  program: Program,
  manner: Omit<Manner, 'budget'>,
  before: readonly number[],
  budget: number,
): string[] {
  const run = new ProgramRun(program, { ...manner, core: { ...manner.core, tier: 'interpreter' } })
  for (const n of before) run.slice(n)
  const lines: string[] = []
  const { exits } = run
  const end = run.clock + budget
  const count = exits.length
  while (run.clock < end && exits.length === count && lines.length < 100_000) {
    const { ripLow } = run.machine.cpu
    lines.push(`  ${ripLow.toString(16)}  ${instructionAt(run, ripLow)}`)
    run.slice(1)
  }
  return [...lines.slice(-MOST_TOLD), ...exits.slice(count).map((exit) => `  exit: ${exit}`)]
}

function instructionAt({ machine }: ProgramRun, va: number): string {
  const bytes: number[] = []
  for (let i = 0; i < MAX_LENGTH; i++) {
    const { memory } = machine
    const entry = va + i < 0x1000_0000 || va + i >= 0x1040_0000 ? 0 : memory.u32[machine.entryAt(va + i)]
    if ((entry & P) === 0) break
    bytes.push(memory.u8[machine.byteOf((entry >>> 12) - machine.frameOf(0), (va + i) % PAGE)])
  }
  const decoder = new Decoder(64, Uint8Array.from(bytes), DecoderOptions.None)
  const formatter = new Formatter(FormatterSyntax.Intel)
  decoder.ip = BigInt(va)
  const instruction = decoder.decode()
  const text = `${Buffer.from(bytes.slice(0, instruction.length)).toString('hex').padEnd(22)} ${formatter.format(instruction)}`
  instruction.free()
  decoder.free()
  formatter.free()
  return text
}
