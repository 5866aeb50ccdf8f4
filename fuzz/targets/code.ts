import { randomNumbers } from '../../src/bits/random.ts'
import { stressProgram } from '../../test/cpu/stress/run-program.ts'
import { makeProgram } from '../../test/cpu/stress/wild-program.ts'
import { inputText, type Target, textInput, Wrong } from '../target.ts'

const MOST_PROGRAMS = 20

/** Programs that store to their own code, on the core alone: a seed a line. */
export const code: Target = {
  name: 'code',
  group: 'guest',
  about:
    'programs that change themselves, in slices of all sizes, against a core that decodes everything anew',
  cut: 'lines',
  seconds: 20,
  seeds: () => [textInput('1\n')],
  make: (random) => textInput(`${random.bits()}\n`),
  run(input) {
    const lines = inputText(input).split('\n', MOST_PROGRAMS)
    for (const line of lines) {
      if (line.trim() === '') continue
      const seed = Number(line) || 0
      const random = randomNumbers(seed)
      // Both tiers: whatever is compiled at once, or nothing.
      const core = seed % 2 === 0 ? { threshold: 1 } : ({ tier: 'interpreter' } as const)
      const wrong = stressProgram(makeProgram(random), random, core)
      if (wrong !== null) throw new Wrong('decoded code', `program ${seed}: ${wrong}`)
    }
    return `${lines.length}`
  },
}
