import { hostileMachine } from '../src/run/check/hostile.ts'
import { recountMachine } from '../src/run/check/recount.ts'

/** A guest that passes anything to any hypercall: whether Xen answers everything. */
export const name = 'hostile'
export const about = 'ten million random hypercalls, about five minutes; it fails when one breaks the machine'

const CALLS = 10_000_000

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  return { random_hypercalls_per_s: randomRate(report), random_hypercalls: CALLS }
}

/** Every call ends in a result or in a trap of the guest, and the counts are right at the end; else this throws. */
function randomRate(report: (line: string) => void): number {
  const machine = hostileMachine('4.17', 'dom0', 1)
  const start = performance.now()
  for (let i = 1; i <= CALLS; i++) {
    machine.call()
    if (i % 1_000_000 === 0) report(`${i / 1_000_000} million random hypercalls`)
  }
  const seconds = (performance.now() - start) / 1000
  const wrong = recountMachine(machine.xen)
  if (wrong.length > 0) throw new Error(`counts are wrong: ${JSON.stringify(wrong)}`)
  return Math.round(CALLS / seconds)
}
