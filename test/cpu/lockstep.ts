import { parseArgs } from 'node:util'
import { KINDS, type Kind, lockStep, MODES } from './stress/lock-step.ts'

/**
 * Random programs on both tiers in lock step: `npm run lockstep`. `--programs` says how many, `--seed` is the first one's number,
 * `--kind` and `--mode` choose; every program is run in every mode that is chosen. Exit status 1 at the first difference.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    programs: { type: 'string', default: '200' },
    kind: { type: 'string' },
    mode: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const kinds = (Object.keys(KINDS) as Kind[]).filter(
  (kind) => values.kind === undefined || kind === values.kind,
)
const modes = MODES.filter(({ name }) => values.mode === undefined || name === values.mode)
const [first, count] = [Number(values.seed), Number(values.programs)]
if (kinds.length === 0 || modes.length === 0 || !Number.isSafeInteger(first + count) || count < 1) {
  console.error(
    `lockstep: --kind is one of ${Object.keys(KINDS).join(', ')}, --mode one of ${MODES.map(({ name }) => name).join(', ')}, --seed and --programs are whole numbers`,
  )
  process.exitCode = 2
} else process.exitCode = run()

function run(): number {
  const start = performance.now()
  let [runs, slices, steps, blocks, differing] = [0, 0, 0, 0, 0]
  for (let seed = first; seed < first + count; seed++) {
    for (const kind of kinds) {
      for (const mode of modes) {
        const result = lockStep(kind, seed, mode)
        runs++
        if (typeof result === 'string') {
          console.log(`${kind} program ${seed}, ${mode.name}: ${result}\n`)
          differing++
          if (!values.keep) return 1
        } else {
          slices += result.slices
          steps += result.steps
          blocks += result.blocks
        }
      }
    }
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(
    `${runs} runs, ${slices} slices, ${steps} instructions and exceptions, ${blocks} blocks compiled, ${differing} differ, ${seconds} s`,
  )
  return differing === 0 ? 0 : 1
}
