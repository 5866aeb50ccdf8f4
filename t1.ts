import { CoreMachine } from './bench/cpu/core-machine.ts'
import { buildLoops, LOOPS, readImage } from './bench/cpu/loops.ts'
const only = process.argv[2]?.split(',')
const m = new CoreMachine(readImage(buildLoops()), (process.argv[3] ?? 'region') as any)
for (const [i, { key, rounds }] of LOOPS.entries()) {
  if (only && only[0] !== 'all' && !only.includes(key)) continue
  const best: number[] = []
  let r: any
  for (let k = 0; k < 4; k++) {
    const c = process.cpuUsage().user, t = performance.now()
    r = m.run(i, rounds)
    best.push(Math.min(performance.now() - t, (process.cpuUsage().user - c) / 1000))
  }
  console.log(key.padEnd(12), r.instructions, best.map(b => (r.instructions / b / 1000).toFixed(0)).join(' '), 'MIPS')
}
console.log(JSON.stringify(m.cpu.compiled))
