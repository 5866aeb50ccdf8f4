import { vaHigh } from '../src/bits/address.ts'
import { entryLo } from '../src/bits/pte.ts'
import { ARGUMENTS } from '../src/machine/vcpu.ts'
import { hostileMachine } from '../src/run/hostile.ts'
import { recountMachine } from '../src/run/recount.ts'
import { runScript } from '../src/run/script.ts'
import { scriptMachine } from '../src/run/script-machine.ts'
import { PROBE } from '../src/script/layout.ts'
import { Probe } from '../src/script/probe.ts'
import { Symbols } from '../src/script/symbols.ts'

/** Xen's memory interface: how fast it answers, and whether it answers everything. */
export const name = 'xen'

const SCRIPT_OPS = 4000
const UPDATES = 5_000_000
/** Random hypercalls; all of them with XENOLITH_LONG=1, else a tenth. */
const RANDOM_CALLS = process.env.XENOLITH_LONG === '1' ? 10_000_000 : 1_000_000

/** Figures: operations and updates a second of their best run, and random hypercalls a second. */
export async function run(): Promise<Record<string, number>> {
  return {
    'script operations per second': best(scriptRate, 12),
    'single-entry mmu_updates per second': best(updateRate, 4),
    'random hypercalls': RANDOM_CALLS,
    'random hypercalls per second': randomRate(),
  }
}

/** The best of several runs: the first ones are the compiler's. */
function best(rate: () => number, runs: number): number {
  return Math.round(Math.max(...Array.from({ length: runs }, rate)))
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
  const { vcpu } = scriptMachine('4.17', false, 0, null, new Set())
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

function randomRate(): number {
  const machine = hostileMachine('4.17', 'dom0', 1)
  const start = performance.now()
  for (let i = 0; i < RANDOM_CALLS; i++) machine.call()
  const seconds = (performance.now() - start) / 1000
  const wrong = recountMachine(machine.xen)
  if (wrong.length > 0) throw new Error(`counts are wrong: ${JSON.stringify(wrong)}`)
  return Math.round(RANDOM_CALLS / seconds)
}
