import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REGION, vaHigh } from '../../src/bits/address.ts'
import type { GuestEnd } from '../../src/guest/guest.ts'
import { CALLBACK, HYPERCALL, VCPU_INFO, VCPUOP } from '../../src/xen/abi.ts'
import { brokenInvariants } from '../cpu/stress/check-cache.ts'
import { PvMachine } from '../tools/pv-machine.ts'

/** Where in its page the vcpu_info lies: behind the code. */
const INFO = 0xf00

/** Have Xen keep what it shares with the guest, and looks at on each way into it, in the page of the guest's code. */
function shareCodePage(m: PvMachine): void {
  const mfn = m.mfnOf(m.code)
  m.vcpu.store64(m.data, mfn, 0)
  m.vcpu.store64(m.data + 8, INFO, 0)
  assert.equal(m.call(HYPERCALL.vcpu_op, VCPUOP.register_vcpu_info, 0, m.data), 0)
}

/** Registers that the walk begins with. */
const CLEARED = ['eax', 'ecx', 'edx', 'ebx', 'esi', 'edi']
/** Instructions from the round's beginning to the end of what is decoded of its page at once, with those of the pages between. */
const ROUND = 52

/**
 * A walk through three pages. What is decoded of the first at once ends behind a call, in the midst of a round; what is
 * decoded of the second follows that in the core's memory. There is a store to code on each round.
 */
const WALK = `
  start: ${CLEARED.map((name) => `mov ${name}, 0\n`).join('')}
  round: inc ecx
         ${'add eax, ecx\n'.repeat(7)}
         call there
         ${'xor edx, eax\n'.repeat(60)}
         jmp round
         .at 0x1000
  there: add eax, 7
         mov byte [rip + patched + 1], 0xc3
         jmp further
         .at 0x2000
  further: ret
         .at 0x2ffe
  patched: ${'inc ebx\n'.repeat(50)}
         ret`

function walk(shares: boolean, pieces: number): unknown {
  const m = new PvMachine()
  if (shares) shareCodePage(m)
  const guest = m.load(WALK)
  assert.equal(guest.run(CLEARED.length), 'budget')
  for (let left = 600; left > 0; left -= pieces) {
    assert.equal(guest.run(Math.min(left, pieces)), 'budget')
    assert.deepEqual(brokenInvariants(guest.cpu), [])
  }
  return [guest.cpu.instructions, guest.rip, ...m.vcpu.regs]
}

test('code in a page that Xen looks at on each way into the guest runs the same in slices of any size', () => {
  const expected = walk(false, 600)
  for (const pieces of [1, 2, 3, 48, ROUND, 75, 600]) assert.deepEqual(walk(true, pieces), expected)
})

test('what Xen writes into its own table is what a guest executes there', () => {
  // The table of old versions, in which entries are the guest's to choose, is no data alone.
  const m = new PvMachine('seed')
  const guest = m.load('nop')
  const mfn = m.mfnOf(m.code)
  for (const [low, register] of [
    [0xf4c0ff, 0],
    [0xf4c3ff, 3],
  ]) {
    m.xen.m2p.set(mfn, low, 0)
    const at = REGION.m2p + mfn * 8
    guest.cpu.setRip(at >>> 0, vaHigh(at))
    guest.cpu.setRegister(register, 7, 0)
    assert.equal(guest.run(1), 'budget')
    assert.equal(guest.cpu.register(register), 8)
  }
})

/** Guests that get nowhere: what they do for ever is nothing that a processor executes. */
const NOWHERE: Readonly<
  Record<string, { source: string; vectors?: readonly number[]; ready?: (m: PvMachine) => void }>
> = {
  'a handler of #UD that is none itself': { source: 'start: ud2', vectors: [6] },
  'the same, with a stack without end': { source: 'start: lea rsp, [rip + 0x800]\n ud2', vectors: [6] },
  'a handler of #PF that cannot be fetched': {
    source: 'start: mov eax, [0]',
    ready: (m) => m.pv.traps.set(14, { flags: 0, cs: 0xe033, address: 0x1000 }),
  },
  'a handler of #PF at an address that is none': {
    source: 'start: mov eax, [0]',
    ready: (m) => m.pv.traps.set(14, { flags: 0, cs: 0xe033, address: 2 ** 47 }),
  },
  'a stack that cannot be pushed to': { source: 'start: mov rsp, 0x1000\n ud2', vectors: [6] },
  'a handler of #GP that is privileged': { source: 'start: hlt', vectors: [13] },
  'the same, in a loop of its own': {
    source: 'start: lea rsp, [rip + 0x800]\n hlt\n jmp start',
    vectors: [13],
  },
  'single steps into a handler of single steps': {
    source: 'start: lea rsp, [rip + 0x800]\n push 0x302\n popfq\n nop\n jmp start',
    vectors: [1],
  },
  'a breakpoint in its own handler': {
    source: `start: lea rsp, [rip + 0x800]
             mov eax, ${HYPERCALL.set_debugreg}
             mov edi, 7
             mov esi, 1
             syscall
             mov eax, ${HYPERCALL.set_debugreg}
             mov edi, 0
             lea rsi, [rip + start]
             syscall
             jmp start`,
    vectors: [1],
  },
  'events whose callback cannot be fetched': {
    source: 'start: jmp start',
    ready: (m) => {
      m.pv.callbacks.set(CALLBACK.event, { flags: 0, address: 0x1000 })
      shareCodePage(m)
      m.vcpu.store8(m.code + INFO + VCPU_INFO.upcall_mask, 0)
    },
  },
  'events that are taken again at once': {
    source: `start: lea rsp, [rip + 0x800]
             mov byte [rip + start + ${INFO + VCPU_INFO.upcall_pending}], 1
             mov byte [rip + start + ${INFO + VCPU_INFO.upcall_mask}], 0
             mov eax, ${HYPERCALL.sched_op}
             mov edi, 0
             syscall
             jmp start`,
    ready: (m) => {
      shareCodePage(m)
      m.pv.callbacks.set(CALLBACK.event, { flags: 0, address: m.code })
    },
  },
  'hypercalls that there are none of': { source: 'start: mov eax, 999\n syscall\n jmp start' },
  'a store to itself in the page that is shared': {
    source: 'start: mov byte [rip + start], 0xc6\n jmp start',
    ready: shareCodePage,
  },
}

for (const [name, { source, vectors = [], ready }] of Object.entries(NOWHERE)) {
  test(`a guest ends with its budget or by itself: ${name}`, () => {
    for (const piece of [1, 7, 5000]) {
      const m = new PvMachine()
      ready?.(m)
      const guest = m.load(source)
      for (const vector of vectors) m.handle(vector, 0)
      let end: GuestEnd = 'budget'
      for (let left = 5000; left > 0 && end === 'budget'; left -= piece) {
        const before = guest.cpu.instructions
        end = guest.run(piece)
        assert.ok(guest.cpu.instructions - before <= piece)
      }
      assert.ok(end === 'budget' || end === 'crash', end)
    }
  })
}
