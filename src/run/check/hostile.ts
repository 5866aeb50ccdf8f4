import { PAGE } from '../../bits/address.ts'
import { randomNumbers } from '../../bits/random.ts'
import { ARGUMENTS, DomainCrash, GuestTrap, RSP, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { PROBE } from '../../script/layout.ts'
import { Probe } from '../../script/probe.ts'
import { Symbols } from '../../script/symbols.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { scriptMachine } from '../script/script-machine.ts'

/** Hypercall numbers that are tried: all that there are, and some that there are not. */
const NUMBERS = 48
/** Numbers that the hypercalls of the memory subsystem have, which get most of the calls. */
const FAVOURED = [1, 1, 1, 1, 1, 1, 2, 10, 12, 12, 12, 13, 14, 14, 14, 22, 26, 26, 26, 26, 26, 26, 26, 21]
const SCRATCH_PAGES = 24
/** Traps in a row after which a guest is given up. */
const MOST_STUCK = 3

/** A guest that makes random hypercalls with random arguments, in its registers and in its memory. */
export type HostileMachine = {
  readonly xen: Hypervisor
  /** How often a hypercall of a number came back with a result, by number and the sign of the result. */
  readonly calls: ReadonlyMap<string, number>
  /** Make one hypercall. A domain that dies is replaced. Throws what is our own mistake. */
  call(): void
}

/** @param seed of the sequence, which is the same for the same seed */
export function hostileMachine(profile: string, domain: 'dom0' | 'domU', seed: number): HostileMachine {
  const random = randomNumbers(seed)
  const calls = new Map<string, number>()
  let state = start(profile, domain)
  let stuck = 0
  return {
    get xen() {
      return state.xen
    },
    calls,
    call() {
      const { vcpu, frames } = state
      const nr = random(8) === 0 ? random(NUMBERS) : FAVOURED[random(FAVOURED.length)]
      try {
        writeArguments(vcpu, frames, random)
        for (const register of ARGUMENTS) {
          const [lo, hi] = argument(frames, random)
          vcpu.set(register, lo, hi)
        }
        favour(vcpu, nr, random)
        const rc = vcpu.hypercall(nr)
        stuck = 0
        const key = `${nr} ${Math.sign(rc)}`
        calls.set(key, (calls.get(key) ?? 0) + 1)
        // The guest goes on: it fetches, and it looks at what it may have changed.
        vcpu.fetch(PROBE.code)
        if (random(4) === 0) vcpu.store64(PROBE.pool + random(SCRATCH_PAGES) * PAGE + random(512) * 8, 0, 0)
      } catch (error) {
        if (!(error instanceof DomainCrash || error instanceof GuestTrap)) throw error
        // A guest that is in a process of its own, or has unmapped itself, makes no more hypercalls: begin again.
        stuck++
        vcpu.setVa(RSP, PROBE.stack)
        if (error instanceof DomainCrash || stuck > MOST_STUCK) {
          state = start(profile, domain)
          stuck = 0
        }
      }
      state.xen.console.lines.length = 0
    },
  }
}

type State = { readonly xen: Hypervisor; readonly vcpu: Vcpu; readonly frames: readonly number[] }

function start(profile: string, domain: 'dom0' | 'domU'): State {
  const { xen, vcpu } = scriptMachine({ xen: profile, domain })
  const probe = new Probe(vcpu, new Symbols(() => {}))
  probe.start()
  for (let i = 0; i < SCRATCH_PAGES; i++) probe.takePage(`p${i}`)
  return { xen, vcpu, frames: probe.symbols.all.map((symbol) => symbol.mfn) }
}

/** A 64-bit argument: a number that means something, near to one, or anything. */
function argument(frames: readonly number[], random: (n: number) => number): readonly [number, number] {
  const frame = frames[random(frames.length)]
  switch (random(10)) {
    case 0:
      return [random(2 ** 32), random(2 ** 32)]
    case 1:
      return [random(64), 0]
    case 2:
      return [frame, Math.floor(frame / 2 ** 32)]
    case 3:
      return [((frame << 12) | (random(512) * 8) | random(4)) >>> 0, frame >>> 20]
    case 4:
      return [
        ((frame << 12) | random(512)) >>> 0,
        ((frame >>> 20) | (random(4) === 0 ? 0x8000_0000 : 0)) >>> 0,
      ]
    case 5:
      return [(0x8020_0000 + random(SCRATCH_PAGES) * PAGE) >>> 0, 0xffff_ffff]
    case 6:
      return [random(2 ** 32), [0, 0xffff_8000, 0xffff_8300, 0xffff_ffff, 0x8000][random(5)]]
    case 7:
      return [[0x7ff0, 0x7ff1, 0x7ff2, 0, 1, 0xffff_ffff][random(6)], 0]
    case 8:
      return [0xffff_ffff, [0, 0xffff_ffff][random(2)]]
    default:
      return DATA
  }
}

const DATA = [PROBE.data % 2 ** 32, 0xffff_ffff] as const

/** Fill the page that pointers usually point to with arguments. */
function writeArguments(vcpu: Vcpu, frames: readonly number[], random: (n: number) => number): void {
  for (let i = 0; i < 12; i++) {
    const [lo, hi] = argument(frames, random)
    vcpu.store64(PROBE.data + i * 8, lo, hi)
  }
}

/** Most calls get a pointer that can be read and a small count, or nothing would ever come of them. */
function favour(vcpu: Vcpu, nr: number, random: (n: number) => number): void {
  if (random(8) === 0) return
  const [first, second, , fourth] = ARGUMENTS
  const isBatch = nr === 1 || nr === 26
  if (isBatch || nr === 2 || nr === 13 || nr === 0) vcpu.set(first, DATA[0], DATA[1])
  if (isBatch) {
    vcpu.set(second, random(4))
    vcpu.set(fourth, 0x7ff0)
    if (nr === 26) vcpu.store32(PROBE.data, random(24))
  }
  if (nr === 13) vcpu.set(second, random(8))
  if (nr === 12) {
    vcpu.set(first, random(14))
    vcpu.set(second, DATA[0], DATA[1])
    vcpu.store64(PROBE.data, DATA[0] + 64, DATA[1])
    vcpu.store64(PROBE.data + 8, random(3), 0)
    vcpu.store64(PROBE.data + 16, random(2), 0)
    vcpu.store64(PROBE.data + 24, 0x7ff0, 0)
  }
}
