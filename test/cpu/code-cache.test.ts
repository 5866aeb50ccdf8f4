import assert from 'node:assert/strict'
import { A, P, US } from '../../src/bits/pte.ts'
import { Cpu } from '../../src/cpu/cpu.ts'
import { type MakeMachine, onTiers } from './on-tiers.ts'
import { CODE, DATA, RAX, RBX, RCX, RDI, RSI, RSP, type SmallMachine } from './small-machine.ts'
import { afterInvalidations, brokenInvariants } from './stress/check-cache.ts'

/** A machine whose decoded instructions are looked at after everything that makes it forget some. */
function checked(machine: MakeMachine, codeBytes = 2 ** 18): SmallMachine {
  const m = machine({ codeBytes })
  afterInvalidations(m.cpu, () => assert.deepEqual(brokenInvariants(m.cpu), []))
  return m
}

const BUDGET = { reason: 'budget' }

onTiers(
  'a page that somebody looks at behind the end of its decoded code takes nothing of others with it',
  (machine) => {
    const m = checked(machine)
    // Two increments, behind them a jump that is decoded already: what is decoded of this page ends with the slice.
    m.code('ffc0 ffc0 ebfa')
    m.code('ffc3 ebfc', 0x1000)
    const run = (offset: number, budget: number): void => {
      m.cpu.setRip(CODE + offset, 0)
      assert.deepEqual(m.run(budget), BUDGET)
    }
    run(4, 1)
    run(0, 2)
    run(0x1000, 1)
    run(0, 2)
    m.memory.touchPage(m.pageOf(0))
    assert.deepEqual(brokenInvariants(m.cpu), [])
    run(0x1000, 100)
    assert.deepEqual([m.cpu.register(RAX), m.cpu.register(RBX)], [4, 51])
  },
)

onTiers(
  'a repeated store is seen by code behind its first byte, and counts once whatever is decoded',
  (machine) => {
    for (const isDecoded of [false, true]) {
      const m = checked(machine)
      m.code('ffc0 f4', 0x1010)
      m.code('f4', 0x1020)
      m.code('f3aa f4')
      if (isDecoded) {
        m.cpu.setRip(CODE + 0x1010, 0)
        assert.equal(m.run().reason, 'privileged')
      }
      // No operations, from bytes on that nothing is decoded from.
      m.set({ [RAX]: 0x90, [RCX]: 32, [RDI]: CODE + 0x1000 })
      m.cpu.setRip(CODE, 0)
      const before = m.cpu.instructions
      assert.deepEqual(m.run(1), BUDGET)
      assert.deepEqual([m.cpu.register(RCX), m.cpu.instructions - before], [0, 1])
      m.cpu.setRip(CODE + 0x1010, 0)
      assert.equal(m.run().reason, 'privileged')
      assert.equal(m.cpu.register(RAX), 0x90)
    }
  },
)

onTiers('a store of one core is seen by another that has decoded other bytes of the same page', (machine) => {
  const m = checked(machine)
  const other = new Cpu(m.memory, { id: 1, codeBytes: 2 ** 18 })
  other.root = m.cpu.root
  m.code('ffc0 f4', 0x100)
  // To the other's increment, from code in the same page: it becomes `inc ebx`.
  m.code('c6042501010010c3 f4')
  for (const expected of [0, 1]) {
    other.setRip(CODE + 0x100, 0)
    assert.equal(other.run(100).reason, 'privileged')
    assert.deepEqual([other.register(RAX), other.register(RBX)], [1, expected])
    m.cpu.setRip(CODE, 0)
    assert.equal(m.run().reason, 'privileged')
  }
})

onTiers('code in a page table is executed, though every walk changes or looks at the table', (machine) => {
  for (const budget of [1, 2, 1000]) runInTable(machine, budget)
})

function runInTable(machine: MakeMachine, budget: number): void {
  const m = machine({ codeBytes: 2 ** 18 })
  let forgotten = 0
  afterInvalidations(m.cpu, () => {
    forgotten++
    assert.deepEqual(brokenInvariants(m.cpu), [])
  })
  const table = CODE + 0x20_000
  // The table of all code, as a page of its own; entries that are not present hold code.
  m.map(table, -4, P | US)
  const bytes = (hex: string, slot: number): void =>
    m.memory.u8.set(Buffer.from(hex, 'hex'), m.byteOf(-4, slot * 8))
  // mov eax, [rdi]; inc ebx; jmp to the next entry
  bytes('8a078bc3ffc3eb00', 256)
  bytes('908b0ef4', 257)
  m.set({ [RDI]: CODE + 0x3000, [RSI]: CODE + 0x5000 })
  // No accessed bits yet: the loads set them, in the very page.
  m.map(CODE + 0x3000, 3, P | US)
  m.map(CODE + 0x5000, 5, P | US)
  m.cpu.setRip(table + 256 * 8, 0)
  let exit = m.run(budget)
  for (let n = 0; n < 10 && exit.reason === 'budget'; n++) exit = m.run(budget)
  assert.equal(exit.reason, 'privileged')
  assert.equal(m.cpu.register(RBX), 1)
  // Each of the six instructions forgets the page on its way, and no more often than that; a region that begins there, once more.
  assert.ok(forgotten > 0 && forgotten <= 18, `${forgotten}`)
  assert.notEqual(m.memory.u32[m.entryAt(CODE + 0x5000)] & A, 0)
}

onTiers('breakpoints stop at instructions across pages, and each time around', (machine) => {
  const m = checked(machine)
  // mov ecx, 2, which lies across; inc eax; a store to the hlt, so that all is decoded again; dec ebx; jnz to the first.
  m.code('b902000000 ffc0 c6042510100010f4 ffcb 75ed f4', 0xffd)
  m.set({ [RBX]: 3 })
  m.cpu.setBreakpoints([CODE + 0xffd])
  let stops = 0
  while (m.run(10_000).reason === 'breakpoint') {
    assert.equal(m.at, 0xffd)
    stops++
  }
  assert.equal(stops, 3)
  assert.equal(m.cpu.register(RAX), 3)
})

onTiers('an instruction that would go on behind the lower half of the addresses is #GP', (machine) => {
  const m = checked(machine)
  // The last page of the lower half: tables of its own, and page 1 of the code.
  const tables = [1, 24, 25, 26]
  for (const [i, slot] of [255, 511, 511, 511].entries()) {
    const at = m.memory.frameWords(tables[i]) + slot * 2
    m.memory.u32[at] = (tables[i + 1] ?? m.frameOf(1)) * 4096 + (P | US)
  }
  m.code('90 b801000000', 0x1ffc)
  m.cpu.setRip(0xffff_fffc, 0x7fff)
  assert.deepEqual(m.run(), { reason: 'exception', vector: 13, error: 0, va: 0 })
  assert.deepEqual([m.cpu.ripLow, m.cpu.ripHigh, m.cpu.instructions], [0xffff_fffd, 0x7fff, 1])
})

onTiers('a breakpoint stops each time around, also where its page is decoded again in between', (machine) => {
  const m = checked(machine)
  // inc eax; jump to the next page; there the increment is stored again, and what it is; dec ebx; jnz back; hlt
  m.code('66c7042520000010ffc0 ffcb 0f850ef0ffff f4', 0x1000)
  m.code('ffc0 e9d90f0000', 0x20)
  m.set({ [RBX]: 3 })
  m.cpu.setBreakpoints([CODE + 0x20])
  for (let stops = 0; stops < 3; stops++) {
    assert.equal(m.run().reason, 'breakpoint')
    assert.deepEqual([m.at, m.cpu.register(RAX)], [0x20, stops])
  }
  assert.equal(m.run().reason, 'privileged')
})

onTiers('an instruction that faulted behind its breakpoint stops there again', (machine) => {
  const m = checked(machine)
  m.code('8b07 f4')
  m.code('90 0f0b', 0x20)
  m.cpu.setBreakpoints([CODE])
  m.set({ [RDI]: DATA + 0x10000 })
  for (let n = 0; n < 2; n++) {
    m.cpu.setRip(CODE, 0)
    assert.equal(m.run().reason, 'breakpoint')
    assert.equal(m.run().reason, 'exception')
    // Its handler executes something, and faults itself.
    m.cpu.setRip(CODE + 0x20, 0)
    assert.equal(m.run().reason, 'exception')
    assert.equal(m.at, 0x21)
  }
})

onTiers('a repeated instruction is stopped at once, however often its slice ends', (machine) => {
  const m = checked(machine)
  m.code('90 f3ac ebfb')
  m.set({ [RSI]: DATA, [RCX]: 20 })
  m.cpu.setBreakpoints([CODE + 1])
  for (let n = 0; n < 3; n++) {
    assert.equal(m.run(2).reason, 'breakpoint')
    // All of its repeats, and the jump back to it.
    for (let i = 0; i < 7; i++) assert.equal(m.run(3).reason, 'budget')
    assert.equal(m.cpu.register(RCX), 0)
    m.set({ [RCX]: 20 })
    m.cpu.setRip(CODE, 0)
  }
})

onTiers('breakpoints stop before what is no instruction', (machine) => {
  for (const at of [0x10, 0xfff]) {
    const m = checked(machine)
    m.code('0f0b', at)
    m.cpu.setBreakpoints([CODE + at])
    assert.equal(m.run().reason, 'breakpoint')
    assert.equal(m.run().reason, 'exception')
  }
})

onTiers('an instruction that forgets everything is finished first, and it is heard at once', (machine) => {
  const m = checked(machine)
  // inc eax; addsd xmm0, [rdi]; inc eax; inc eax: a denormal number, so that TypeScript finishes the addition.
  m.code('ffc0 f20f5807 ffc0 ffc0 f4')
  m.memory.u32[m.byteOf(8) >> 2] = 5
  m.set({ [RDI]: DATA })
  m.map(DATA, 8, null)
  // Whoever handles the fault of its load has execution stop at the third increment from now on.
  m.cpu.port.onPageFault = () => {
    m.map(DATA, 8)
    m.cpu.setBreakpoints([CODE + 8])
    return 'retry'
  }
  assert.equal(m.run().reason, 'breakpoint')
  assert.deepEqual([m.at, m.cpu.register(RAX), m.cpu.xmm(0)[0]], [8, 2, 5])
  assert.equal(m.run().reason, 'privileged')
  assert.equal(m.cpu.register(RAX), 3)
})

/** Code that would keep a processor busy for ever: each is executed as far as the budget goes. */
const ENDLESS: Readonly<
  Record<string, { code: string; at?: number; set?: Readonly<Record<number, number>> }>
> = {
  'a jump to itself': { code: 'ebfe' },
  'a repeated string instruction with nothing to do': { code: 'f3a4 ebfc' },
  'a repeated string instruction without end': { code: 'f2ac ebfc', set: { [RSI]: DATA } },
  'a count down from 0': { code: 'e2fe' },
  'a page of repeated stores to itself': {
    code: `f3abf3ab ${'f3abf3ab'.repeat(4)} ebea`,
    set: { [RAX]: 0xabf3_abf3, [RCX]: 0xffff_ffff, [RDI]: CODE },
  },
  'a copy of code over itself': { code: 'be00000010 bf00000010 b900010000 f3a4 ebed' },
  'an instruction that stores to itself': { code: 'c605f9ffffffc6 ebf7' },
  'an instruction across pages that stores to both': { code: 'c70425fd0f0010c70425fd ebf3', at: 0xffd },
  'a call to itself': { code: 'e8fbffffff', set: { [RSP]: DATA + 0x8000 } },
  'a return to itself': { code: 'bc00002010 48c7042400000010 c3', set: { [RSP]: DATA } },
}

for (const [name, { code, at = 0, set = {} }] of Object.entries(ENDLESS)) {
  onTiers(`${name} ends with the budget, or in a fault`, (machine) => {
    for (const piece of [1, 3, 1000]) {
      const m = checked(machine, 1)
      m.code(code, at)
      m.set(set)
      let left = 3000
      while (left > 0) {
        const before = m.cpu.instructions
        const exit = m.run(Math.min(piece, left))
        const done = m.cpu.instructions - before
        assert.ok(done <= Math.min(piece, left))
        if (exit.reason !== 'budget') {
          // Nothing of the faulting instruction happened: it faults for ever, and its owner counts.
          assert.equal(exit.reason, 'exception')
          left--
        } else assert.equal(done, Math.min(piece, left))
        left -= done
      }
    }
  })
}

onTiers(
  'a core whose code, translations and decoded instructions lie above 2 GiB of the machine runs as any other',
  (machine) => {
    const m = machine({ codeBytes: 2 ** 18 }, 2 ** 31 / 4096)
    // A loop with a load and a store, and behind it cpuid, which somebody looks up by its record.
    m.code('8b06 ffc0 8906 ffc9 75f6 0fa2 f4')
    m.set({ [RAX]: 0, [RCX]: 100, [RSI]: DATA })
    const walks = countedWalks(m)
    assert.equal(m.run(10_000).reason, 'privileged')
    assert.ok(m.byteOf(8) >= 2 ** 31)
    assert.equal(m.memory.u32[m.byteOf(8) / 4], 100)
    // What has been translated once is found again.
    assert.ok(walks() < 10, `${walks()} walks`)
  },
)

onTiers('above 2 GiB, too, stores to decoded code are seen, and a changed entry is forgotten', (machine) => {
  const m = machine({ codeBytes: 2 ** 18 }, 2 ** 31 / 4096)
  // Twice: mov [rsi], al; call the next page; add ecx, ebx. In between inc al. In the next page: mov ebx, ?; ret.
  m.code('8806 e8f90f0000 01d9 fec0 8806 e8ee0f0000 01d9 f4')
  m.code('bb00000000 c3', 0x1000)
  m.cpu.setRip(CODE, 0)
  m.set({ [RAX]: 7, [RCX]: 0, [RSI]: CODE + 0x1001, [RSP]: DATA + 0x1000 })
  assert.equal(m.run(1000).reason, 'privileged')
  assert.equal(m.cpu.register(RCX), 7 + 8)

  // mov eax, [rsi]
  m.code('8b06 f4')
  m.memory.u32[m.byteOf(8) / 4] = 1
  m.memory.u32[m.byteOf(9) / 4] = 2
  const load = (): number => {
    m.cpu.setRip(CODE, 0)
    m.set({ [RSI]: DATA })
    assert.equal(m.run(1000).reason, 'privileged')
    return m.cpu.register(RAX)
  }
  assert.equal(load(), 1)
  m.map(DATA, 9)
  m.cpu.tlb.flushEntry(m.entryAt(DATA))
  assert.equal(load(), 2)
})

/** How often an address has been looked up in the tables. */
function countedWalks(m: SmallMachine): () => number {
  const before = m.cpu.tlb.fill.bind(m.cpu.tlb)
  let count = 0
  m.cpu.tlb.fill = (...words: Parameters<typeof before>) => {
    count++
    return before(...words)
  }
  return () => count
}
