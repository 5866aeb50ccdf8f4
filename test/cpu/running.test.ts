import assert from 'node:assert/strict'
import { A, D, P, RW, US } from '../../src/bits/pte.ts'
import { Cpu } from '../../src/cpu/cpu.ts'
import type { FaultingStore } from '../../src/machine/host.ts'
import { StopFlag } from '../../src/machine/stop-flag.ts'
import { type MakeMachine, onTiers } from './on-tiers.ts'
import { CODE, DATA, RAX, RBX, RCX, RDI, RDX, RSI, RSP, type SmallMachine } from './small-machine.ts'
import { brokenInvariants } from './stress/check-cache.ts'

// mov ecx, 50; loop: add rax, rcx; push rax; pop rbx; xor rbx, rdx; adc rdx, rbx; dec ecx; jnz loop; hlt
const LOOP = 'b932000000 4801c8 50 5b 4831d3 4811da ffc9 75f1 f4'

function looping(machine: MakeMachine): SmallMachine {
  const m = machine()
  m.code(LOOP)
  m.set({ [RSP]: DATA + 0x1000 })
  return m
}

const state = (m: SmallMachine): unknown => [
  [...m.cpu.words.subarray(m.cpu.state >> 2, (m.cpu.state >> 2) + 32)],
  m.cpu.getFlags(),
  m.at,
]

onTiers('a budget ends exactly where it says, and a run in pieces is the run in one', (machine) => {
  const whole = looping(machine)
  assert.equal(whole.run(100_000).reason, 'privileged')
  const total = whole.cpu.instructions
  assert.equal(total, 1 + 50 * 7)
  for (const piece of [1, 2, 3, 7, 50, 349]) {
    const m = looping(machine)
    let left = total
    while (left > 0) {
      const n = Math.min(piece, left)
      assert.equal(m.run(n).reason, 'budget')
      left -= n
      assert.equal(m.cpu.instructions, total - left)
    }
    assert.deepEqual(state(m), state(whole), `pieces of ${piece}`)
  }
})

onTiers('a run comes back early when its owner wants it to, and goes on later', (machine) => {
  const m = machine()
  // inc eax; jmp to itself
  m.code('ffc0 ebfc')
  const stop = new StopFlag()
  m.cpu.stopFlag = stop
  stop.stop()
  assert.equal(m.run(1e9).reason, 'budget')
  const { instructions } = m.cpu
  assert.ok(instructions > 0 && instructions < 1e6)
  m.run(1e9)
  assert.equal(m.cpu.instructions, 2 * instructions)
  assert.equal(m.cpu.register(RAX), instructions)
})

onTiers('whoever wants a run to end is heard soon, however long its instructions take', (machine) => {
  // fxsave; a backward copy of most of a page; a comparison of one with itself; a store to its own code
  for (const code of [
    '0fae07 ebfb',
    'fd beff0f2010 bfff1f2010 b9ff0f0000 f3a4 ebec',
    'be00002010 bf00102010 b900100000 f3a6 ebed',
    'c605f9ffffffc6 ebf7',
  ]) {
    const m = machine()
    m.code(code)
    m.set({ [RDI]: DATA })
    // Translations and decoded code are there.
    assert.equal(m.run(1000).reason, 'budget')
    m.cpu.stopFlag = new StopFlag()
    m.cpu.stopFlag.stop()
    assert.equal(m.run(1e9).reason, 'budget')
    assert.ok(m.cpu.instructions < 1010, `${code}: ${m.cpu.instructions}`)
  }
})

onTiers('rdtsc counts the instructions before it', (machine) => {
  const m = machine()
  m.code('9090 0f31 89c3 90 0f31 f4')
  m.run()
  assert.equal(m.cpu.register(RBX), 2)
  assert.equal(m.cpu.register(RAX), 5)
  m.cpu.tscOffset = 1000
  m.cpu.setRip(CODE, 0)
  m.run()
  assert.equal(m.cpu.register(RBX), 1000 + 6 + 2)
})

onTiers('a repeated copy counts once for each page, can be interrupted, and goes on', (machine) => {
  const m = machine()
  m.code('f3a4 f4')
  for (let i = 0; i < 4096; i++) m.memory.u8[m.byteOf(8, i)] = i * 7
  m.set({ [RSI]: DATA + 0x100, [RDI]: DATA + 0x2800, [RCX]: 0x1800 })
  assert.equal(m.run(1).reason, 'budget')
  // The destination's page ends first.
  assert.deepEqual([m.at, m.cpu.register(RCX), m.cpu.register(RDI)], [0, 0x1000, DATA + 0x3000])
  assert.equal(m.run().reason, 'privileged')
  // 800 bytes to the end of the destination's page, 700 to that of the source's, 900 that are left.
  assert.equal(m.cpu.instructions, 3)
  assert.equal(m.cpu.register(RCX), 0)
  assert.equal(m.memory.u8[m.byteOf(10, 0x800)], (0x100 * 7) & 0xff)
})

onTiers('a repeated store that faults half-way leaves its registers where it stopped', (machine) => {
  const m = machine()
  m.code('f348ab f4')
  m.set({ [RDI]: DATA + 0x7ff0, [RCX]: 10, [RAX]: 0x55 })
  const exit = m.run()
  assert.deepEqual(exit, { reason: 'exception', vector: 14, error: 6, va: DATA + 0x8000 })
  assert.deepEqual([m.cpu.register(RCX), m.cpu.register(RDI), m.at], [8, DATA + 0x8000, 0])
})

onTiers('a store to the next instruction is seen by it', (machine) => {
  const m = machine()
  // mov byte [rip], 0x43: the `inc eax` that follows becomes `inc ebx`.
  m.code('c6050100000 0c3 ffc0 f4'.replace('0 0', '00'))
  m.set({ [RAX]: 5, [RBX]: 5 })
  m.run()
  assert.deepEqual([m.cpu.register(RAX), m.cpu.register(RBX)], [5, 6])
})

onTiers('code that somebody else changes is decoded anew', (machine) => {
  const m = machine()
  m.code('ffc0 f4')
  m.run()
  m.memory.touchPage(m.pageOf(0))
  m.memory.u8[m.byteOf(0, 1)] = 0xc3
  m.cpu.setRip(CODE, 0)
  m.run()
  assert.deepEqual([m.cpu.register(RAX), m.cpu.register(RBX)], [1, 1])
})

onTiers('a store of one core is seen by another', (machine) => {
  const m = machine()
  const other = new Cpu(m.memory, { id: 1, codeBytes: 2 ** 18 })
  other.root = m.cpu.root
  m.code('c6042501000010c3 f4', 0x1000)
  m.code('ffc0 f4')
  for (const expected of [0, 1]) {
    other.setRip(CODE, 0)
    assert.equal(other.run(100).reason, 'privileged')
    assert.deepEqual([other.register(RAX), other.register(RBX)], [1, expected])
    // The first core makes `inc ebx` of the other's `inc eax`.
    m.cpu.setRip(CODE + 0x1000, 0)
    assert.equal(m.run().reason, 'privileged')
  }
})

onTiers('an instruction across pages is another one when its second page is', (machine) => {
  const m = machine()
  m.code('b801000000 f4', 0xffd)
  m.memory.u8.set(Buffer.from('0200f4', 'hex'), m.byteOf(5))
  m.run()
  assert.equal(m.cpu.register(RAX), 1)
  m.map(CODE + 0x1000, 5)
  m.cpu.tlb.flushPage(CODE + 0x1000, 0)
  m.cpu.setRip(CODE + 0xffd, 0)
  m.run()
  assert.equal(m.cpu.register(RAX), 0x20001)
})

onTiers('a translation stays until it is flushed', (machine) => {
  const m = machine()
  m.code('8b07 8b07 f4')
  m.set({ [RDI]: DATA })
  assert.equal(m.run(1).reason, 'budget')
  m.map(DATA, 8, null)
  assert.equal(m.run().reason, 'privileged')
  m.cpu.setRip(CODE, 0)
  m.cpu.tlb.flush()
  assert.deepEqual(m.run(), { reason: 'exception', vector: 14, error: 4, va: DATA })
})

onTiers('entries get their accessed and dirty bits, and page faults say why', (machine) => {
  const m = machine()
  const bits = (): number => m.memory.u32[m.entryAt(DATA)] & (A | D)
  m.map(DATA, 8, P | RW | US)
  m.code('8b07 8907 f4')
  m.set({ [RDI]: DATA })
  m.run(1)
  assert.equal(bits(), A)
  m.run(1)
  assert.equal(bits(), A | D)
  m.map(DATA, 8, P | US)
  m.cpu.tlb.flush()
  m.cpu.setRip(CODE + 2, 0)
  assert.deepEqual(m.run(), { reason: 'exception', vector: 14, error: 7, va: DATA })
  m.map(CODE, 0, P | RW | US, true)
  m.cpu.tlb.flush()
  m.cpu.setRip(CODE, 0)
  assert.deepEqual(m.run(), { reason: 'exception', vector: 14, error: 0x15, va: CODE })
  m.map(CODE, 0, P | RW)
  m.cpu.tlb.flush()
  assert.deepEqual(m.run(), { reason: 'exception', vector: 14, error: 0x15, va: CODE })
  m.cpu.setRip(0, 0x8000)
  assert.deepEqual(m.run(), { reason: 'exception', vector: 13, error: 0, va: 0 })
})

onTiers('a store across pages happens in both or in none', (machine) => {
  const m = machine()
  m.map(DATA + 0x1000, 9, P | US)
  m.code('488907 f4')
  m.set({ [RDI]: DATA + 0xffc, [RAX]: 0x12345678 })
  assert.deepEqual(m.run(), { reason: 'exception', vector: 14, error: 7, va: DATA + 0x1000 })
  assert.equal(m.memory.u32[m.byteOf(8, 0xffc) >> 2], 0)
})

onTiers('breakpoints stop before the instruction, and the next run passes', (machine) => {
  const m = looping(machine)
  m.cpu.setBreakpoints([CODE + 9])
  let stops = 0
  while (m.run(10_000).reason === 'breakpoint') {
    assert.equal(m.at, 9)
    stops++
  }
  assert.equal(stops, 50)
  assert.equal(m.cpu.instructions, 1 + 50 * 7)
  m.cpu.setBreakpoints([])
  m.cpu.setRip(CODE, 0)
  assert.equal(m.run(10_000).reason, 'privileged')
})

onTiers('watchpoints stop behind the access', (machine) => {
  const m = machine()
  m.code('8b07 894704 8b4708 f4')
  m.set({ [RDI]: DATA, [RAX]: 1 })
  const point = { va: DATA + 4, bytes: 4, read: false, write: true }
  m.cpu.setWatchpoints([point])
  assert.deepEqual(m.run(), { reason: 'watchpoint', watchpoint: point })
  assert.equal(m.at, 5)
  assert.equal(m.run().reason, 'privileged')
  const loads = { va: DATA + 8, bytes: 1, read: true, write: false }
  m.cpu.setWatchpoints([loads])
  m.cpu.setRip(CODE, 0)
  assert.deepEqual(m.run(), { reason: 'watchpoint', watchpoint: loads })
  assert.equal(m.at, 8)
})

onTiers('an instruction that faults has not met its watchpoint', (machine) => {
  const m = machine()
  // push [rdi]: the load is watched, the store to the stack faults.
  m.code('ff37 f4')
  m.set({ [RDI]: DATA, [RSP]: DATA + 0x10000 })
  m.cpu.setWatchpoints([{ va: DATA, bytes: 8, read: true, write: false }])
  assert.equal(m.run().reason, 'exception')
  m.set({ [RSP]: DATA + 0x1000 })
  assert.equal(m.run().reason, 'watchpoint')
  assert.equal(m.run().reason, 'privileged')
})

onTiers('debug registers raise #DB and say in dr6 which', (machine) => {
  const m = machine()
  m.code('90 90 890f f4')
  m.set({ [RDI]: DATA })
  m.cpu.setDebugRegister(0, CODE + 1, 0)
  m.cpu.setDebugRegister(1, DATA, 0)
  // dr0 executes; dr1 stores of four bytes.
  m.cpu.setDebugRegister(7, 0x400 | 2 | 8 | (0xd << 20), 0)
  const db = { reason: 'exception', vector: 1, error: 0, va: 0 }
  assert.deepEqual(m.run(), db)
  assert.deepEqual([m.at, m.cpu.debug.words[12] & 15], [1, 1])
  assert.deepEqual(m.run(), db)
  assert.deepEqual([m.at, m.cpu.debug.words[12] & 15], [4, 3])
})

onTiers('with TF every instruction is followed by #DB', (machine) => {
  const m = machine()
  m.code('9c 810c2400010000 9d ffc0 ffc0 f4')
  m.set({ [RSP]: DATA + 0x1000 })
  for (const at of [11, 13]) {
    assert.deepEqual(m.run(), { reason: 'exception', vector: 1, error: 0, va: 0 })
    assert.equal(m.at, at)
  }
  assert.equal(m.cpu.register(RAX), 2)
})

onTiers('a system call leaves rip and rflags in rcx and r11', (machine) => {
  const m = machine()
  m.code('f9 0f05')
  assert.equal(m.run().reason, 'syscall')
  assert.deepEqual([m.cpu.register(RCX), m.at], [CODE + 3, 3])
  assert.equal(m.cpu.register(11), 0x203)
  assert.equal(m.cpu.instructions, 2)
})

onTiers('whoever handles page faults may carry a store out, and sees what it would store', (machine) => {
  const m = machine()
  m.map(DATA, 8, P | US)
  m.memory.u32[m.byteOf(8) >> 2] = 5
  m.code('890f f00fb10f 010f f4')
  m.set({ [RDI]: DATA, [RCX]: 7, [RAX]: 5 })
  const seen: (FaultingStore | undefined)[] = []
  m.cpu.port.onPageFault = (_va, _error, store) => {
    seen.push(store)
    return seen.length < 3 ? 'emulated' : 'deliver'
  }
  assert.deepEqual(m.run(), { reason: 'exception', vector: 14, error: 7, va: DATA })
  assert.equal(m.at, 6)
  assert.deepEqual(seen, [
    { va: DATA, bytes: 4, lo: 7, hi: 0 },
    { va: DATA, bytes: 4, lo: 7, hi: 0, expected: { lo: 5, hi: 0 } },
    { va: DATA, bytes: 4, lo: 12, hi: 0 },
  ])
})

onTiers('what is no instruction is #UD, and what is too long #GP', (machine) => {
  const m = machine()
  for (const [hex, vector] of [
    ['0f0b', 6],
    ['c5f877', 6],
    ['0f38f0c0', 6],
    ['f0ffc0', 6],
    ['06', 6],
    [`${'66'.repeat(15)}90`, 13],
  ] as const) {
    m.code(hex)
    m.memory.touchPage(m.pageOf(0))
    assert.deepEqual(m.run(), { reason: 'exception', vector, error: 0, va: 0 }, hex)
    assert.equal(m.at, 0)
  }
})

onTiers('a memory full of decoded code is forgotten and decoded again', (machine) => {
  const m = machine({ codeBytes: 2 ** 18 })
  // Each page jumps to the next one, the last to the first; every change has one decoded again, behind what is there.
  for (let i = 0; i < 8; i++) m.code(i < 7 ? 'ffc0 e9f90f0000' : 'ffc0 e9f98fffff', i * 4096)
  m.cpu.setRip(CODE, 0)
  for (let n = 0; n < 3000; n++) {
    m.run(16)
    m.memory.touchPage(m.pageOf(n % 8))
  }
  assert.equal(m.cpu.register(RAX), 24_000)
  assert.equal(m.cpu.register(RDX), 0)
})

onTiers('what was decoded leaves nothing behind where the next is decoded', (machine) => {
  const m = machine({ codeBytes: 2 ** 18 })
  m.code(LOOP)
  m.set({ [RSP]: DATA + 0x1000 })
  m.run(20)
  // biome-ignore lint/complexity/useLiteralKeys: the cache is the core's own
  const { start, next } = m.cpu['cache'] as unknown as { start: number; next: number }
  assert.ok(next > start)
  // The page that is running, too, is forgotten; whatever lay where its records were means nothing.
  m.cpu.setBreakpoints([])
  m.memory.u8.fill(0xa5, start, next)
  assert.equal(m.run(100_000).reason, 'privileged')
  assert.deepEqual(brokenInvariants(m.cpu), [])
  assert.deepEqual(state(m), state(finished(looping(machine))))
})

function finished(m: SmallMachine): SmallMachine {
  m.run(100_000)
  return m
}
