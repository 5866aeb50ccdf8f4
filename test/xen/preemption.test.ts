import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE, vaHigh } from '../../src/bits/address.ts'
import { entryLo } from '../../src/bits/pte.ts'
import { Abandoned, StopFlag } from '../../src/machine/stop-flag.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { CALLBACK, HYPERCALL, MEMORY_OP, MMUEXT, VIRQ } from '../../src/xen/abi.ts'
import { PvMachine } from '../tools/pv-machine.ts'

/** Far more requests than Xen carries out at a time. */
const MANY = 50_000
/** MMU_UPDATE_PREEMPTED. */
const GOES_ON = 0x8000_0000
/** What each part of a call takes. */
const PART_NS = 1000

/**
 * A window of 512 GiB in which every page is the machine's data page: an L1, an L2 and an L3 whose 512 entries are all alike,
 * behind a free entry of the root. Lists of any length lie in it.
 */
function window(m: PvMachine): number {
  const pages = [1, 2, 3].map((n) => m.data + n * PAGE)
  let below = m.mfnOf(m.data)
  for (const [level, va] of pages.entries()) {
    const mfn = m.mfnOf(va)
    for (let slot = 0; slot < 512; slot++) m.vcpu.store64(va + slot * 8, entryLo(below, 0x67), 0)
    assert.equal(m.call(HYPERCALL.update_va_mapping, va, entryLo(mfn, 0x65), 1), 0, `level ${level + 1}`)
    below = mfn
  }
  const SLOT = 300
  m.vcpu.store64(m.data, m.vcpu.root * PAGE + SLOT * 8, 0)
  m.vcpu.store64(m.data + 8, entryLo(below, 0x67), 0)
  assert.equal(m.call(HYPERCALL.mmu_update, m.data, 1, 0, 0x7ff0), 0)
  return SLOT * 2 ** 39
}

/** Fill the data page with a record of words, over and over. */
function fill(m: PvMachine, words: readonly number[]): void {
  for (let at = 0; at < 1024; at++) m.vcpu.store32(m.data + at * 4, words[at % words.length])
}

/** Clock ticks of a thousand: in how many parts a call was carried out. */
function parts(m: PvMachine, call: () => void): number {
  const before = m.xen.clock.now
  call()
  return (m.xen.clock.now - before) / PART_NS
}

test('a long mmu_update is carried out in parts, and counts what it has done', () => {
  const m = new PvMachine()
  const list = window(m)
  const mfn = m.mfnOf(m.data)
  fill(m, [entryLo(mfn, 1), 0, 0x200, 0])
  const done = m.stack - 8
  const taken = parts(m, () => assert.equal(m.call(HYPERCALL.mmu_update, list, MANY, done, 0x7ff0), 0))
  assert.ok(taken > 2, `${taken} parts`)
  assert.equal(m.vcpu.load32(done), MANY)
  // The highest bit of a count is Xen's own: a call that says it goes on adds to what is done.
  m.vcpu.store32(done, 7)
  assert.equal(m.call(HYPERCALL.mmu_update, list, GOES_ON + 3, done, 0x7ff0), 0)
  assert.equal(m.vcpu.load32(done), 10)
  assert.equal(m.call(HYPERCALL.mmu_update, list, GOES_ON, done, 0x7ff0), 0)
  assert.equal(m.vcpu.load32(done), 10)
  assert.deepEqual(recountMachine(m.xen), [])
})

test('a list that fails in a later part says where', () => {
  const m = new PvMachine()
  const list = window(m)
  // Every word the same: requests of 24 bytes lie across pages.
  fill(m, [MMUEXT.INVLPG_LOCAL])
  // The window ends where the next entry of the root is missing.
  const count = 30_000
  const start = list + 2 ** 39 - count * 24
  assert.equal(m.call(HYPERCALL.mmuext_op, list, 100, 0, 0x7ff0), 0)
  const taken = parts(m, () =>
    assert.equal(m.call(HYPERCALL.mmuext_op, start, count + 9, m.stack - 8, 0x7ff0), -14),
  )
  assert.ok(taken > 2, `${taken} parts`)
  assert.equal(m.vcpu.load32(m.stack - 8), count)
})

test('a multicall is put off between its calls, and inside them', () => {
  const m = new PvMachine()
  const list = window(m)
  // Each entry is a list of flushes: 64 bytes, of which the result is written by Xen.
  const flushes = m.stack - PAGE
  for (let i = 0; i < 60; i++) m.vcpu.store32(flushes + i * 24, MMUEXT.TLB_FLUSH_LOCAL)
  fill(m, [HYPERCALL.mmuext_op, 0, 0, 0, flushes >>> 0, vaHigh(flushes), 60, 0, 0, 0, 0x7ff0, 0, 0, 0, 0, 0])
  const between = parts(m, () => assert.equal(m.call(HYPERCALL.multicall, list, 500), 0))
  assert.ok(between > 20, `${between} parts`)

  const seed = new PvMachine('seed')
  const long = window(seed)
  fill(seed, [0x4141_4141])
  const entry = seed.stack - 256
  const words = [HYPERCALL.console_io, 0, 1, 1, 0, 0, 400_000, 0, long >>> 0, vaHigh(long)]
  seed.setWords(entry, [...words, 0, 0, 0, 0, 0, 0])
  const inside = parts(seed, () => assert.equal(seed.call(HYPERCALL.multicall, entry, 1), 0))
  assert.ok(inside > 2, `${inside} parts`)
  // The entry had the rest of the text in it; the result is that of the last part.
  assert.deepEqual(seed.words(entry + 8, 2), [0, 0])
  assert.ok(seed.words(entry + 24, 1)[0] < 400_000)
  const said = seed.xen.console.lines.map(({ text }) => text).join('') + seed.domain.consoleLine
  assert.equal(said, 'A'.repeat(400_000))
})

test('reservations, exchanges, grants and trap tables are put off, too', () => {
  const m = new PvMachine()
  const list = window(m)
  const reservation = (count: number, at: number): void => {
    const words = [at >>> 0, vaHigh(at), count, 0, 0, 0, 0x7ff0, 0]
    m.setWords(m.stack - 256, words)
  }
  // Frames that nobody has: none is done.
  fill(m, [0xffff_ffff, 0])
  reservation(MANY, list)
  assert.equal(m.call(HYPERCALL.memory_op, MEMORY_OP.decrease_reservation, m.stack - 256), 0)
  // And a list that begins where it ends.
  assert.equal(m.call(HYPERCALL.memory_op, MEMORY_OP.decrease_reservation + MANY * 64, m.stack - 256), MANY)
  m.domain.maxPages += 0x8000
  reservation(0x8000, list)
  const taken = parts(m, () =>
    assert.equal(m.call(HYPERCALL.memory_op, MEMORY_OP.increase_reservation, m.stack - 256), 0x8000),
  )
  assert.ok(taken > 1, `${taken} parts`)
  assert.deepEqual(recountMachine(m.xen), [])

  const grants = parts(m, () => assert.equal(m.call(HYPERCALL.grant_table_op, 1, list, MANY), 0))
  assert.ok(grants > 2, `${grants} parts`)

  fill(m, [0xe033_0003, 0, m.code >>> 0, 0xffff_ffff])
  // The end of the window ends the list.
  const traps = parts(m, () =>
    assert.equal(m.call(HYPERCALL.set_trap_table, list + 2 ** 39 - MANY * 16), -14),
  )
  assert.ok(traps > 2, `${traps} parts`)
})

test('code is led back to its instruction, and takes its events in between', () => {
  const m = new PvMachine()
  const list = window(m)
  fill(m, [entryLo(m.mfnOf(m.data), 1), 0, 0x200, 0])
  m.op(HYPERCALL.event_channel_op, 1, [VIRQ.TIMER, 0])
  fill(m, [entryLo(m.mfnOf(m.data), 1), 0, 0x200, 0])
  m.pv.timers.period = 0
  m.pv.timers.singleshot = m.xen.clock.now + 1500
  m.pv.callbacks.set(CALLBACK.event, { flags: 0, address: m.code + 0x100 })
  const guest = m.load(
    `       mov eax, ${HYPERCALL.mmu_update}
            mov rdi, list
            mov esi, ${MANY}
            xor edx, edx
            mov r10d, 0x7ff0
     long:  syscall
     over:  jmp over
            .at 0x100
            mov rbx, [rsp + 16]
            mov rbp, rsi
     event: jmp event`,
    { list },
  )
  m.xen.memory.u8[m.xen.memory.frameWords(m.domain.sharedInfo) * 4 + 1] = 0
  guest.run(100)
  const [low, high] = [guest.cpu.register(3), guest.cpu.registerHigh(3)]
  assert.deepEqual([low, high], [m.label('long') >>> 0, 0xffff_ffff])
  // What is left of the list, with Xen's own bit.
  assert.ok(guest.cpu.register(5) > GOES_ON && guest.cpu.register(5) < GOES_ON + MANY)
})

test('who asks for the end gets it between two parts, and the machine can go on from there', () => {
  const m = new PvMachine()
  const list = window(m)
  fill(m, [entryLo(m.mfnOf(m.data), 1), 0, 0x200, 0])
  const guest = m.load(
    `mov eax, ${HYPERCALL.mmu_update}
       mov rdi, list
       mov esi, 0x7fffffff
       xor edx, edx
       mov r10d, 0x7ff0
       syscall`,
    { list },
  )
  const stop = new StopFlag()
  guest.obey(stop)
  stop.stop(3)
  assert.equal(guest.run(1000), 'stopped')
  assert.equal(guest.cpu.instructions, 0)
  guest.obey(null)
  assert.equal(guest.run(20), 'budget')
  assert.ok(guest.cpu.register(6) > GOES_ON)
  assert.equal(stop.reason, 3)
})

test('a slow instruction hears of it, too, and does not wait for the end of its slice', () => {
  const m = new PvMachine()
  const guest = m.load('again: cpuid\n jmp again')
  const stop = new StopFlag()
  const { cpuid } = guest.cpu
  guest.cpu.cpuid = (leaf, subleaf) => {
    stop.stop()
    return cpuid(leaf, subleaf)
  }
  guest.obey(stop)
  assert.equal(guest.run(1_000_000), 'stopped')
  assert.ok(guest.cpu.instructions < 10, `${guest.cpu.instructions} instructions`)
})

test('a tree of tables is checked in one go, which can only be abandoned', () => {
  const m = new PvMachine()
  const stop = new StopFlag()
  m.xen.work.stop = stop
  stop.stop()
  window(m)
  stop.abandon()
  const other = new PvMachine()
  other.xen.work.stop = stop
  assert.throws(() => window(other), Abandoned)
})

test('work beyond what its price covers moves the clock of a guest', () => {
  const m = new PvMachine()
  const list = window(m)
  fill(m, [MMUEXT.TLB_FLUSH_LOCAL])
  const guest = m.load(
    `again: mov eax, ${HYPERCALL.mmuext_op}
            mov rdi, list
            mov esi, 1000
            xor edx, edx
            mov r10d, 0x7ff0
            syscall
            jmp again`,
    { list },
  )
  const CALLS = 1000
  const before = m.xen.clock.now
  guest.run(7 * CALLS)
  const perCall = (m.xen.clock.now - before) / CALLS
  // A thousand flushes; all but the first half second of them.
  assert.ok(perCall > 300_000 && perCall < 2_000_000, `${perCall} ns a call`)
})
