import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DomainCrash, RSP } from '../../src/machine/vcpu/vcpu.ts'
import { HYPERCALL, MEMORY_OP, MMUEXT } from '../../src/xen/abi.ts'
import { eventsMasked } from '../../src/xen/sched/vcpu-info.ts'
import { PvMachine } from '../tools/pv-machine.ts'

const RW = 0x8010000000000067n
const RO = 0x8010000000000065n

const dom0 = (version = '4.17'): PvMachine => new PvMachine(version, true)

/** Handlers for #GP and #PF, so that a trap is not the guest's end. */
function handleTraps(guest: PvMachine): void {
  for (const vector of [13, 14]) guest.handle(vector, 0)
}

const hex5 = (n: number): string => n.toString(16).padStart(5, '0')

test('a GDT of a page that is mapped writable is refused; a read-only one is corrected in place', () => {
  const guest = dom0()
  const g = guest.mfn(0x200)
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.setGdt(512, g), -22)),
    [
      `arch/x86/mm.c:2940:d0v0 Bad type (saw e400000000000001 != exp a000000000000000) for mfn ${hex5(g)} (pfn 00200)`,
    ],
  )
  guest.setSlot(0x200, 1, 0x00cf9a000000ffffn)
  guest.setSlot(0x200, 2, 0x00cff2000000ffffn)
  guest.setSlot(0x200, 4, 0x0000ec00e0330000n)
  assert.equal(guest.map(0x200, RO), 0)
  assert.equal(guest.setGdt(512, g), 0)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000003/a400000000000001')
  assert.equal(guest.slot(0x200, 1), 0x00cffa000000ffffn)
  assert.equal(guest.slot(0x200, 4), 0x00008c00e0330000n)
  assert.equal(guest.map(0x200, RW), -16)

  assert.equal(guest.loadSegment(0x13), 'loaded')
  assert.equal(guest.loadSegment(0xe02b), 'loaded')
  assert.equal(guest.setGdt(0), 0)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000002/a400000000000000')
  assert.equal(guest.setGdt(7169, g), -22)
})

test('a GDT is taken whole or not at all', () => {
  const guest = dom0()
  for (const pfn of [0x200, 0x201, 0x202]) guest.setSlot(pfn, 0, 0n)
  guest.setSlot(0x202, 2, 0x00008b0000000000n)
  for (const pfn of [0x200, 0x201, 0x202]) guest.map(pfn, RO)
  assert.equal(guest.setGdt(512, guest.mfn(0x200)), 0)
  const bad = guest.mfn(0x202)
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.setGdt(1024, guest.mfn(0x201), bad), -22)),
    [
      `arch/x86/mm.c:2649:d0v0 Error while validating mfn ${hex5(bad)} (pfn 00202) for type a000000000000000: caf=8000000000000003 taf=a000000000000001`,
    ],
  )
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000003/a400000000000001')
  assert.equal(guest.counts(guest.mfn(0x201)), '8000000000000002/a400000000000000')
  assert.equal(guest.counts(guest.mfn(0x202)), '8000000000000002/0000000000000000')
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.setGdt(1024, guest.mfn(0x201), 0), -22)),
    ['d0v0 Error mfn 00000: rd=d0 od=d[IO] caf=8000000000000001 taf=e400000000000001'],
  )
})

test('an LDT page becomes a page of descriptors when a selector of it is first loaded', () => {
  const guest = dom0()
  handleTraps(guest)
  const d = guest.mfn(0x200)
  guest.setSlot(0x200, 0, 0x00cff2000000ffffn)
  assert.equal(guest.mmuext(MMUEXT.SET_LDT, guest.va(0x200), 512), 0)
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.loadSegment(7), `14:0:${guest.at(0x200).toString(16)}`)),
    [
      `arch/x86/mm.c:2940:d0v0 Bad type (saw e400000000000001 != exp a000000000000000) for mfn ${hex5(d)} (pfn 00200)`,
    ],
  )
  guest.map(0x200, RO)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000002/e400000000000000')
  assert.equal(guest.loadSegment(7), 'loaded')
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000003/a400000000000001')

  const machine = (BigInt(d) << 12n) + 16n
  assert.equal(guest.call(HYPERCALL.update_descriptor, machine, 0x00cff2000000ffffn), 0)
  assert.equal(guest.loadSegment(0x17), 'loaded')
  assert.equal(guest.call(HYPERCALL.update_descriptor, machine, 0x00008b0000000000n), -22)
  assert.equal(guest.call(HYPERCALL.update_descriptor, machine + 4n, 0n), -22)

  assert.equal(guest.mmuext(MMUEXT.SET_LDT, guest.va(0x200), 2), 0)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000002/a400000000000000')
  assert.equal(guest.loadSegment(0x17), '13:14:0')
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.mmuext(MMUEXT.SET_LDT, 0xffff800000000000n, 10), -22)),
    ['arch/x86/mm.c:3837:d0v0 Bad args to SET_LDT: ptr=ffff800000000000, ents=a'],
  )
})

test('the seed takes the first page of an LDT at once, and drops it when the page is unmapped', () => {
  const guest = dom0('seed')
  guest.map(0x200, RO)
  assert.equal(guest.mmuext(MMUEXT.SET_LDT, guest.va(0x200), 512), 0)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000003/5400000000000001')
  guest.map(0x200, 0)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000001/5400000000000000')
})

test('a new root drops the pages of the LDT', () => {
  const guest = dom0()
  guest.map(0x200, RO)
  assert.equal(guest.mmuext(MMUEXT.SET_LDT, guest.va(0x200), 512), 0)
  guest.vcpu.store64(guest.at(0x201), 0, 0)
  const old = guest.vcpu.root
  const at = guest.xen.memory.frameWords(old) + 511 * 2
  const l3 = (BigInt(guest.xen.memory.u32[at + 1]) << 32n) | BigInt(guest.xen.memory.u32[at])
  guest.setSlot(0x201, 511, l3)
  guest.map(0x201, RO)
  handleTraps(guest)
  assert.equal(guest.loadSegment(4), '13:4:0')
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000003/a400000000000001')
  assert.equal(guest.mmuext(MMUEXT.NEW_BASEPTR, guest.mfn(0x201)), 0)
  assert.equal(guest.counts(guest.mfn(0x200)), '8000000000000002/a400000000000000')
  assert.equal(guest.counts(guest.mfn(0x201)), '8000000000000003/8400000000000001')
})

test('a frame that goes is the next to come, with its contents and without a type', () => {
  const guest = dom0()
  const a = guest.mfn(0x200)
  guest.setSlot(0x200, 0, 0x55n)
  assert.equal(guest.reserve(MEMORY_OP.decrease_reservation, a).rc, 1)
  assert.equal(guest.counts(a), '00000001/e400000000000001')
  guest.map(0x200, 0)
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.reserve(MEMORY_OP.decrease_reservation, a).rc, 0)),
    [
      `d0v0 Error mfn ${hex5(a)}: rd=d0 od=NULL caf=c00000000000000 taf=040000010007ffff`,
      `common/memory.c:404:d0v0 Bad page free for Dom0 GFN ${a.toString(16)}`,
    ],
  )
  assert.deepEqual(guest.reserve(MEMORY_OP.populate_physmap, 0x200), { rc: 1, frame: a })
  assert.equal(guest.counts(a), '8000000000000001/0000000000000000')
  assert.equal(guest.xen.m2p.get(a), 0x200)
  assert.equal(guest.map(0x200, RW), 0)
  assert.equal(guest.slot(0x200, 0), 0x55n)
  assert.deepEqual(
    guest.lines(() => guest.reserve(MEMORY_OP.decrease_reservation, 0x1000000)),
    ['common/memory.c:370:d0v0 Domain 0 page number 1000000 invalid'],
  )
})

test('a recorded choice of frames can be given; a domU stops at its limit', () => {
  const guest = dom0()
  guest.xen.heap.wishes = [0x4321]
  assert.deepEqual(guest.reserve(MEMORY_OP.increase_reservation, 0), { rc: 1, frame: 0x4321 })

  const domU = new PvMachine('4.17')
  assert.deepEqual(
    domU.lines(() => assert.equal(domU.reserve(MEMORY_OP.populate_physmap, 0x3000).rc, 0)),
    ['common/memory.c:277:d1v0 Could not allocate order=0 extent: id=1 memflags=0 (0 of 1)'],
  )
})

test('only a frame that nobody uses can be exchanged', () => {
  const guest = dom0()
  const a = guest.mfn(0x200)
  assert.deepEqual(
    guest.lines(() => assert.deepEqual(guest.exchange(a, 0x200), { rc: -22, done: 0, mfn: 0x200 })),
    [
      `arch/x86/mm.c:4454:d0v0 Bad steal mfn ${hex5(a)} from d0 (owner d0) caf=8000000000000002 taf=e400000000000001`,
    ],
  )
  const pages = guest.domain.totPages
  guest.map(0x200, 0)
  const { rc, done, mfn } = guest.exchange(a, 0x200)
  assert.deepEqual([rc, done, mfn === a], [0, 1, false])
  assert.equal(guest.counts(mfn), '8000000000000001/0000000000000000')
  assert.equal(guest.counts(a), '00000000/0000000000000000')
  assert.equal(guest.xen.m2p.get(mfn), 0x200)
  assert.equal(guest.domain.totPages, pages)
})

test('a new frame has an address of no more bits than its guest has asked for', () => {
  const guest = dom0()
  guest.map(0x200, 0)
  let given = guest.mfn(0x200)
  const seen = { none: 0, some: 0 }
  for (let bits = 12; bits <= 40; bits++) {
    const populated = guest.reserve(MEMORY_OP.populate_physmap, 0x3000 + bits, bits)
    const { rc, mfn } = guest.exchange(given, 0x200, bits)
    assert.equal(rc, populated.rc === 1 ? 0 : -12, `${bits} bits`)
    seen[rc === 0 ? 'some' : 'none']++
    if (rc !== 0) continue
    given = mfn
    assert.ok(Math.max(mfn, populated.frame) < 2 ** (bits - 12), `${bits} bits: ${mfn.toString(16)}`)
    assert.equal(guest.counts(mfn), '8000000000000001/0000000000000000')
  }
  // The first MiB is Xen's own.
  assert.ok(seen.none >= 8 && seen.some > 0, JSON.stringify(seen))
})

test('pages are cleared and copied only where they can be writable', () => {
  const guest = dom0()
  guest.setSlot(0x200, 5, 0x55n)
  assert.equal(guest.mmuext(MMUEXT.COPY_PAGE, guest.mfn(0x201), guest.mfn(0x200)), 0)
  assert.equal(guest.slot(0x201, 5), 0x55n)
  assert.equal(guest.mmuext(MMUEXT.CLEAR_PAGE, guest.mfn(0x200)), 0)
  assert.equal(guest.slot(0x200, 5), 0n)
  guest.map(0x202, RO)
  const p = guest.mfn(0x202)
  assert.equal(guest.mmuext(MMUEXT.PIN_L1_TABLE, p), 0)
  assert.deepEqual(
    guest.lines(() => assert.equal(guest.mmuext(MMUEXT.CLEAR_PAGE, p), -22)),
    [
      `arch/x86/mm.c:2940:d0v0 Bad type (saw 2c00000000000001 != exp e000000000000000) for mfn ${hex5(p)} (pfn 00202)`,
      `arch/x86/mm.c:3865:d0v0 Error clearing mfn ${hex5(p)}`,
    ],
  )
})

test('flushes: what dom0 may, a domU may not', () => {
  const answers = (guest: PvMachine): number[] => [
    guest.mmuext(MMUEXT.TLB_FLUSH_MULTI, 0, guest.va(0x200)),
    guest.mmuext(MMUEXT.TLB_FLUSH_MULTI, 0, 0),
    guest.mmuext(MMUEXT.FLUSH_CACHE, 0),
    guest.mmuext(MMUEXT.FLUSH_CACHE_GLOBAL, 0),
    guest.mmuext(MMUEXT.MARK_SUPER, guest.mfn(0x200)),
    guest.mmuext(14, 0),
  ]
  assert.deepEqual(answers(dom0()), [0, -22, 0, 0, -95, -38])
  assert.deepEqual(answers(new PvMachine('4.17')), [0, -22, -13, -22, -95, -38])
  const seed = new PvMachine('seed')
  assert.deepEqual(
    seed.lines(() => assert.equal(seed.mmuext(MMUEXT.FLUSH_CACHE, 0), -22)),
    ['mm.c:3177:d1 Non-physdev domain tried to FLUSH_CACHE.'],
  )
})

test('a root of the caller is not set in the name of another domain', () => {
  const guest = dom0()
  assert.equal(guest.mmuext(MMUEXT.NEW_BASEPTR, guest.mfn(0x200), 0, 0x7ff1), -1)
  assert.equal(guest.mmuext(MMUEXT.TLB_FLUSH_LOCAL, 0, 0, 0x7ff1), -1)
})

test('iret takes rax and the stack pointer from the frame; without user tables it cannot leave the kernel', () => {
  const guest = dom0()
  const frame = (cs: number): (number | bigint)[] => [
    7,
    8,
    9,
    0,
    guest.va(1),
    cs,
    0x202,
    guest.va(0x300),
    0xe02b,
  ]
  guest.setSlots(0x200, frame(0xe030))
  guest.vcpu.setVa(RSP, guest.at(0x200))
  assert.equal(guest.call(HYPERCALL.iret), 7)
  assert.equal(guest.vcpu.regs[RSP * 2], Number(guest.va(0x300) & 0xffffffffn))
  assert.equal(eventsMasked(guest.xen, guest.xen.vcpuOf(guest.vcpu)), false)
  guest.setSlots(0x200, frame(0xe033))
  guest.vcpu.setVa(RSP, guest.at(0x200))
  const lines = guest.lines(() => assert.throws(() => guest.call(HYPERCALL.iret), DomainCrash))
  assert.equal(lines[0], 'd0v0 Guest switching to user mode with no user page tables')
})

test('the words on the stack are printed up to the end of its block', () => {
  const guest = dom0()
  guest.setSlots(0x207, [0, 1, 2, 3, 4, 5])
  guest.setSlot(0x207, 507, 0xabcn)
  guest.vcpu.setVa(RSP, guest.at(0x207) + 507 * 8)
  const lines = guest.lines(() => assert.throws(() => guest.vcpu.undefinedInstruction(), DomainCrash))
  const trace = lines.indexOf(`Guest stack trace from rsp=${guest.va(0x207).toString(16).slice(0, -3)}fd8:`)
  assert.deepEqual(lines.slice(trace + 1), [
    '   0000000000000abc 0000000000000000 0000000000000000 0000000000000000',
    '   0000000000000000',
    'Hardware Dom0 crashed: rebooting machine in 5 seconds.',
  ])
})

test('a frame for which there is no stack: 4.17 walks to where its first word would be', () => {
  const guest = dom0()
  guest.vcpu.set(RSP, 0x1000, 0)
  const lines = guest.lines(() => assert.throws(() => guest.vcpu.undefinedInstruction(), DomainCrash))
  assert.deepEqual(lines.slice(0, 4), [
    'd0v0 Unhandled: vec 6, #UD[ffffffff]',
    'Pagetable walk from 0000000000000ff8:',
    ' L4[0x000] = 0000000000000000 ffffffffffffffff',
    'domain_crash_sync called from entry.S: fault at ffff82d0403738d0 x86_64/entry.S#domain_crash_page_fault_6x8+0/0x4',
  ])
  assert.equal(lines.at(-2), '  Fault while accessing guest memory.')
})

test('a domain that shuts itself down is over', () => {
  const guest = new PvMachine('4.17')
  guest.setSlots(0x200, [1])
  assert.equal(guest.call(HYPERCALL.sched_op, 0, 0), 0)
  assert.throws(() => guest.call(HYPERCALL.sched_op, 2, guest.va(0x200)), /domain 1 shut down, reason 1/)
  assert.throws(() => guest.call(HYPERCALL.sched_op, 0, 0), DomainCrash)
})
