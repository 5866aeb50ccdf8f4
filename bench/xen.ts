import { vaHigh } from '../src/bits/address.ts'
import { entryLo } from '../src/bits/pte.ts'
import { ARGUMENTS } from '../src/machine/vcpu/vcpu.ts'
import { runScript } from '../src/run/script/script.ts'
import { scriptMachine } from '../src/run/script/script-machine.ts'
import { PROBE } from '../src/script/layout.ts'
import { Probe } from '../src/script/probe.ts'
import { Symbols } from '../src/script/symbols.ts'
import { median } from './measure.ts'

/** Xen's memory interface: how fast it answers. */
export const name = 'xen'
export const about =
  "Xen's memory interface: a script of all kinds of operations, and single updates of an entry"

const SCRIPT_OPS = 4000
const UPDATES = 2_000_000
/** Runs of each; the first ones are the compiler's and do not count. */
const RUNS = 12
const WARM_UPS = 5

/** Operations and updates a second: medians of interleaved runs. */
export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const scripts: number[] = []
  const updates: number[] = []
  for (let i = 0; i < RUNS; i++) {
    scripts.push(scriptRate())
    updates.push(updateRate())
    report(`round ${i + 1} of ${RUNS}: ${Math.round(scripts[i])} and ${Math.round(updates[i])} a second`)
  }
  return {
    script_ops_per_s: Math.round(median(scripts.slice(WARM_UPS))),
    mmu_updates_per_s: Math.round(median(updates.slice(WARM_UPS))),
  }
}

/** A script of 4 000 operations of all kinds, from its text to its transcript. */
function scriptRate(): number {
  const script = mixedScript(SCRIPT_OPS)
  const start = performance.now()
  const { lines } = runScript(script)
  const seconds = (performance.now() - start) / 1000
  if (lines.length !== SCRIPT_OPS) throw new Error(`the script ended after ${lines.length} operations`)
  return SCRIPT_OPS / seconds
}

function mixedScript(count: number): string {
  const lines = ['page T D E L2', 'set T[0] = D|P|RW|US', 'ro T', 'pin1 T', 'ro L2', 'pin2 L2']
  for (let i = 0; lines.length < count; i++) {
    const slot = i % 512
    lines.push(
      `mmu T[${slot}] = D|P|RW|US|A`,
      `set T[${slot}] = E|P|US`,
      `get T[${slot}]`,
      `uvm W${i % 8} = E|P|RW`,
      `mmu T[${slot}] = T|P|RW , T[0] = 0`,
      'mmu L2[3] = T|P|US',
      'mmu L2[3] = 0',
      `xchg T[${slot}] 0`,
    )
  }
  return lines.slice(0, count).join('\n')
}

/** mmu_update of one entry that changes its frame, over and over: references move each time. */
function updateRate(): number {
  const { vcpu } = scriptMachine({ xen: '4.17', domain: 'dom0' })
  const probe = new Probe(vcpu, new Symbols(() => {}))
  probe.start()
  for (const page of ['T', 'D', 'E']) probe.takePage(page)
  const frame = (page: string): number => probe.symbol(page).mfn
  probe.updateVa([(PROBE.pool % 2 ** 32) >>> 0, vaHigh(PROBE.pool)], [entryLo(frame('T'), 0x61), 0], 2, null)
  probe.batch(
    26,
    [
      [0, 0],
      [frame('T'), 0],
      [0, 0],
    ],
    3,
    null,
  )
  const request = PROBE.data
  vcpu.store64(request, entryLo(frame('T'), 0) + 24, 0)
  const entries = [entryLo(frame('D'), 0x67), entryLo(frame('E'), 0x65)]
  const set = (): void => {
    vcpu.setVa(ARGUMENTS[0], request)
    vcpu.set(ARGUMENTS[1], 1)
    vcpu.set(ARGUMENTS[2], 0)
    vcpu.set(ARGUMENTS[3], 0x7ff0)
  }
  const start = performance.now()
  for (let i = 0; i < UPDATES; i++) {
    vcpu.store64(request + 8, entries[i & 1], 0)
    set()
    if (vcpu.hypercall(1) !== 0) throw new Error('mmu_update was refused')
  }
  return UPDATES / ((performance.now() - start) / 1000)
}
