import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE } from '../../src/bits/address.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { ConsoleRing } from '../../src/toolstack/console-ring.ts'
import { Xenstore } from '../../src/toolstack/xenstore.ts'
import { CALLBACK, HYPERCALL } from '../../src/xen/abi.ts'
import { code } from '../tools/assemble.ts'
import { PvMachine } from '../tools/pv-machine.ts'
import { Random } from '../tools/random.ts'
import { howMany } from '../tools/sample.ts'

const RUNS = howMany({ all: 200, few: 60 })
const CODE_BYTES = 1500
const INSTRUCTIONS = 3000
const VECTORS = [0, 1, 3, 6, 7, 11, 12, 13, 14, 0x40]

/** Instructions that are Xen's business: system calls, control and debug registers, MSRs, segments, iret, ports, traps. */
const INSTRUCTIONS_OF_XEN = [
  'syscall',
  'syscall',
  'syscall',
  'mov cr3, rax',
  'mov rax, cr0',
  'mov dr7, rax',
  'wrmsr',
  'rdmsr',
  'mov fs, ax',
  'mov fs, [rbx]',
  'lar ecx, eax',
  'lsl eax, [rbx]',
  'str eax',
  'retfq',
  'iretq',
  'iret',
  'in al, dx',
  'out dx, eax',
  'int 0x40',
  'ud2',
  // Xen's own prefix.
  'ud2\n .text "xen"\n cpuid',
  'addps xmm0, xmm1',
  'popfq',
].map((source) => code(source))
const CALLS = Object.values(HYPERCALL)

/** Frames that dom0 has mapped: of the console's ring and of xenstore's, behind the page of arguments. */
function withBackends(m: PvMachine): number[] {
  const frames = [1, 2].map((n) => m.mfnOf(m.data + n * PAGE))
  new Xenstore(m.xen, m.domain, frames[0], new Map([['name', 'me']]))
  new ConsoleRing(m.xen, m.domain, frames[1], () => {})
  return frames
}

/** Code that asks Xen for anything, with numbers that may mean something. */
function hostileCode(random: Random, m: PvMachine, frames: readonly number[]): Uint8Array {
  const bytes: number[] = []
  /** Sign-extended from 32 bits, so that the guest's addresses may be among the values. */
  const load = (register: string, value: number): void => {
    bytes.push(...code(`mov ${register}, ${value | 0}`))
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
  while (bytes.length < CODE_BYTES) {
    load('rax', random.between(0, 5) > 0 ? random.pick(CALLS) : random.between(0, 300))
    for (const register of ['rdi', 'rsi', 'rdx']) load(register, argument())
    if (random.between(0, 3) === 0)
      load('rcx', random.pick([0xc000_0080, 0xc000_0100, 0x4000_0000, random.between(0, 2 ** 32)]))
    if (random.between(0, 8) === 0) bytes.push(random.between(0, 256))
    else bytes.push(...random.pick(INSTRUCTIONS_OF_XEN))
  }
  return Uint8Array.from(bytes)
}

test('whatever code a guest executes, it ends in the guest’s own end, and no count is wrong', () => {
  const random = new Random(20260102)
  const ends = new Set<string>()
  for (let run = 0; run < RUNS; run++) {
    const m = new PvMachine(random.pick(['4.17', 'seed', '4.17-release']))
    const frames = withBackends(m)
    const hostile = hostileCode(random, m, frames)
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
    const guest = m.load(hostile)
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
