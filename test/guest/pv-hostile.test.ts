import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE } from '../../src/bits/address.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { ConsoleRing } from '../../src/toolstack/console-ring.ts'
import { Xenstore } from '../../src/toolstack/xenstore.ts'
import { CALLBACK, HYPERCALL } from '../../src/xen/abi.ts'
import { bytes, PvMachine } from '../tools/pv-machine.ts'
import { Random } from '../tools/random.ts'

const RUNS = 200
const CODE_BYTES = 1500
const INSTRUCTIONS = 3000
const VECTORS = [0, 1, 3, 6, 7, 11, 12, 13, 14, 0x40]

/** Instructions that are Xen's business: system calls, control and debug registers, MSRs, segments, iret, ports, traps. */
const INSTRUCTIONS_OF_XEN = [
  [0x0f, 0x05],
  [0x0f, 0x05],
  [0x0f, 0x05],
  [0x0f, 0x22, 0xd8],
  [0x0f, 0x20, 0xc0],
  [0x0f, 0x23, 0xf8],
  [0x0f, 0x30],
  [0x0f, 0x32],
  [0x8e, 0xe0],
  [0x8e, 0x23],
  [0x0f, 0x02, 0xc8],
  [0x0f, 0x03, 0x03],
  [0x0f, 0x00, 0xc8],
  [0x48, 0xcb],
  [0x48, 0xcf],
  [0xcf],
  [0xec],
  [0xef],
  [0xcd, 0x40],
  [0x0f, 0x0b],
  [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2],
  [0x0f, 0x58, 0xc1],
  [0x9d],
]
const CALLS = Object.values(HYPERCALL)
const [RAX, RCX, RDX, RSI, RDI] = [0, 1, 2, 6, 7]

/** Frames that dom0 has mapped: of the console's ring and of xenstore's, behind the page of arguments. */
function withBackends(m: PvMachine): number[] {
  const frames = [1, 2].map((n) => m.mfnOf(m.data + n * PAGE))
  new Xenstore(m.xen, m.domain, frames[0], new Map([['name', 'me']]))
  new ConsoleRing(m.xen, m.domain, frames[1], () => {})
  return frames
}

/** Code that asks Xen for anything, with numbers that may mean something. */
function hostileCode(random: Random, m: PvMachine, frames: readonly number[]): number[] {
  const code: number[] = []
  const load = (register: number, value: number): void => {
    code.push(0x48, 0xc7, 0xc0 + register, ...bytes(value >>> 0, 4))
  }
  const argument = (): number =>
    random.pick([
      random.between(0, 40),
      random.between(0, 2 ** 32),
      m.data + random.between(0, 4096),
      m.data - (m.data % 2 ** 20) + random.between(0, 0x200) * 4096,
      0x7ff0,
      random.between(0, 4),
      random.pick(frames),
      random.pick(frames) * PAGE + random.pick([0, 0x65, 0x67]),
      m.data + random.between(1, 3) * PAGE,
    ])
  while (code.length < CODE_BYTES) {
    load(RAX, random.between(0, 5) > 0 ? random.pick(CALLS) : random.between(0, 300))
    for (const register of [RDI, RSI, RDX]) load(register, argument())
    if (random.between(0, 3) === 0)
      load(RCX, random.pick([0xc000_0080, 0xc000_0100, 0x4000_0000, random.between(0, 2 ** 32)]))
    if (random.between(0, 8) === 0) code.push(random.between(0, 256))
    else code.push(...random.pick(INSTRUCTIONS_OF_XEN))
  }
  return code
}

test('whatever code a guest executes, it ends in the guest’s own end, and no count is wrong', () => {
  const random = new Random(20260102)
  const ends = new Set<string>()
  for (let run = 0; run < RUNS; run++) {
    const m = new PvMachine(random.pick(['4.17', 'seed', '4.17-release']))
    const frames = withBackends(m)
    const code = hostileCode(random, m, frames)
    for (let i = 0; i < 200; i++) {
      const value = random.pick([
        random.between(0, 8),
        random.between(0, 2 ** 32),
        m.data >>> 0,
        0xffff_ffff,
        0x7ff0,
        random.pick(frames),
      ])
      m.vcpu.store32(m.data + random.between(0, 1020) * 4, value)
      // And in the rings, where indices and headers lie.
      const ring = m.data + random.between(1, 3) * PAGE
      m.vcpu.store32(ring + random.pick([0, 4, 8, 12, 16, 2048, 2052, 2056, 2060, 3080, 3084]), value & 0x3ff)
    }
    const guest = m.load(...code)
    for (const vector of VECTORS) {
      if (random.between(0, 3) > 0) m.handle(vector, random.between(0, CODE_BYTES), random.between(0, 8))
    }
    for (const type of [CALLBACK.event, CALLBACK.syscall]) {
      if (random.between(0, 2) > 0) {
        m.pv.callbacks.set(type, {
          flags: random.between(0, 2),
          address: m.code + random.between(0, CODE_BYTES),
        })
      }
    }
    ends.add(guest.run(INSTRUCTIONS))
    assert.deepEqual(auditMachine(m.xen), [], `run ${run}`)
  }
  assert.ok(ends.has('crash') && ends.has('budget'))
})
