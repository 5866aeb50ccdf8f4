import { CoreMachine } from './bench/cpu/core-machine.ts'
import { buildLoops, LOOPS, readImage } from './bench/cpu/loops.ts'
const m = new CoreMachine(readImage(buildLoops()))
for (const [i, { key, rounds }] of LOOPS.entries()) {
  m.run(i, 20)
  const t = performance.now()
  const r = m.run(i, rounds)
  const ms = performance.now() - t
  console.log(key, r.checksum, r.instructions, (r.instructions / ms / 1000).toFixed(0), 'MIPS', JSON.stringify(m.cpu.compiled))
}
