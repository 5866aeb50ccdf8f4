import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EVTCHNOP, GNTTABOP, HYPERCALL, SHARED_INFO, VCPU_INFO, VCPUOP, XENVER } from '../../src/xen/abi.ts'
import { HYPERCALL_PAGE } from '../../src/xen/pv/hypercall-page.ts'
import { setPending } from '../../src/xen/sched/event-channels.ts'
import { fireTimers, nextDeadline } from '../../src/xen/sched/timers.ts'
import { eventsMasked, eventsPending, vcpuInfoWords } from '../../src/xen/sched/vcpu-info.ts'
import { PvMachine } from '../tools/pv-machine.ts'

const SELF = 0x7ff0
const { event_channel_op, grant_table_op, sched_op, set_timer_op, vcpu_op, xen_version } = HYPERCALL

test('a channel of a domain with itself: what one end sends is pending at the other', () => {
  const m = new PvMachine()
  const unbound = m.op(event_channel_op, EVTCHNOP.alloc_unbound, [SELF | (SELF << 16)])
  assert.deepEqual([unbound.rc, unbound.words[1]], [0, 1])
  const bound = m.op(event_channel_op, EVTCHNOP.bind_interdomain, [SELF, 1])
  assert.deepEqual([bound.rc, bound.words[2]], [0, 2])
  assert.deepEqual(m.op(event_channel_op, EVTCHNOP.status, [SELF, 2]).words.slice(2, 6), [2, 0, 1, 1])
  assert.equal(m.op(event_channel_op, EVTCHNOP.send, [2]).rc, 0)
  const [pending] = m.frame(m.domain.sharedInfo, SHARED_INFO.evtchn_pending, 1)
  // Binding makes the own end pending, sending the other.
  assert.equal(pending, (1 << 1) | (1 << 2))
  assert.equal(eventsPending(m.xen, m.pv), true)
  assert.equal(m.frame(m.domain.sharedInfo, VCPU_INFO.pending_sel, 1)[0], 1)
  assert.equal(m.op(event_channel_op, EVTCHNOP.close, [2]).rc, 0)
  assert.deepEqual(m.op(event_channel_op, EVTCHNOP.status, [SELF, 1]).words.slice(2, 3), [1])
  assert.equal(m.op(event_channel_op, EVTCHNOP.close, [2]).rc, -22)
})

test('a port that the guest has masked waits until it is unmasked', () => {
  const m = new PvMachine()
  const { words } = m.op(event_channel_op, EVTCHNOP.bind_ipi, [0])
  const at = m.xen.memory.frameWords(m.domain.sharedInfo) + SHARED_INFO.evtchn_mask / 4
  m.xen.memory.u32[at] = 1 << words[1]
  assert.equal(m.op(event_channel_op, EVTCHNOP.send, [words[1]]).rc, 0)
  assert.equal(eventsPending(m.xen, m.pv), false)
  assert.equal(m.op(event_channel_op, EVTCHNOP.unmask, [words[1]]).rc, 0)
  assert.equal(eventsPending(m.xen, m.pv), true)
})

test('interrupts of Xen have one port each, and what is not there has none', () => {
  const m = new PvMachine()
  const bind = (virq: number, vcpu = 0): number => m.op(event_channel_op, EVTCHNOP.bind_virq, [virq, vcpu]).rc
  assert.deepEqual([bind(0), bind(0), bind(1), bind(24), bind(1, 1), bind(2, 1)], [0, -17, 0, -22, -2, -22])
  // FIFO event channels are refused, so that guests take the two-level ones.
  assert.equal(m.op(event_channel_op, 11, []).rc, -38)
  assert.equal(m.op(event_channel_op, EVTCHNOP.bind_pirq, [1]).rc, -1)
  assert.equal(m.op(event_channel_op, EVTCHNOP.send, [1]).rc, -22)
  assert.equal(m.call(event_channel_op, EVTCHNOP.send, 0x1000), -14)
})

test('ports run out', () => {
  const m = new PvMachine()
  for (let i = 1; i < 4096; i++) m.domain.ports[i] = { kind: 'ipi', vcpu: 0 }
  assert.equal(m.op(event_channel_op, EVTCHNOP.bind_ipi, [0]).rc, -28)
})

test('timers: the earliest is the deadline, and going off makes the port of the timer pending', () => {
  const m = new PvMachine()
  assert.equal(nextDeadline(m.pv), Infinity)
  m.op(event_channel_op, EVTCHNOP.bind_virq, [0, 0])
  assert.equal(nextDeadline(m.pv), 10_000_000)
  assert.equal(m.call(vcpu_op, VCPUOP.stop_periodic_timer, 0, 0), 0)
  assert.equal(nextDeadline(m.pv), Infinity)
  m.vcpu.store64(m.data, 500_000, 0)
  assert.equal(m.call(vcpu_op, VCPUOP.set_periodic_timer, 0, m.data), -22)
  // Nor a quarter of all times and more, today.
  m.vcpu.store64(m.data, 0, 0x4000_0000)
  assert.equal(m.call(vcpu_op, VCPUOP.set_periodic_timer, 0, m.data), -22)
  m.vcpu.store64(m.data, 5_000_000, 0)
  assert.equal(m.call(vcpu_op, VCPUOP.set_singleshot_timer, 0, m.data), 0)
  assert.equal(nextDeadline(m.pv), 5_000_000)
  m.xen.clock.now = 4_999_999
  fireTimers(m.xen, m.pv)
  assert.equal(eventsPending(m.xen, m.pv), false)
  m.xen.clock.now = 5_000_000
  fireTimers(m.xen, m.pv)
  assert.equal(eventsPending(m.xen, m.pv), true)
  assert.equal(nextDeadline(m.pv), Infinity)
  assert.equal(m.call(set_timer_op, 7_000_000), 0)
  assert.equal(nextDeadline(m.pv), 7_000_000)
  assert.equal(m.call(set_timer_op, 0), 0)
  assert.equal(nextDeadline(m.pv), Infinity)
})

test('a deadline that has passed is due at once in 4.17; in 2011 a guest could ask to be told', () => {
  for (const [version, rc] of [
    ['4.17', 0],
    ['seed', -62],
  ] as const) {
    const m = new PvMachine(version)
    m.xen.clock.now = 1_000_000
    m.setWords(m.data, [5, 0, 1])
    assert.equal(m.call(vcpu_op, VCPUOP.set_singleshot_timer, 0, m.data), rc)
  }
})

test('the guest moves its vcpu_info once, to a page of its own that can be written', () => {
  const m = new PvMachine()
  const mfn = m.mfnOf(m.data + 0x1000)
  const register = (frame: number, offset: number): number => {
    m.setWords(m.data, [frame, 0, offset, 0])
    return m.call(vcpu_op, VCPUOP.register_vcpu_info, 0, m.data)
  }
  assert.equal(register(mfn, 4096 - 56), -6)
  assert.equal(register(mfn, 4), -6)
  // A page table is no place for it.
  assert.equal(register(m.vcpu.root, 0), -22)
  assert.equal(register(0x7fff_ffff, 0), -22)
  assert.equal(register(mfn, 0x40), 0)
  assert.equal(register(mfn, 0x40), -22)
  assert.equal(vcpuInfoWords(m.xen, m.pv), m.xen.memory.frameWords(mfn) + 0x10)
  assert.deepEqual(m.frame(mfn, 0x40 + VCPU_INFO.pending_sel, 2), [0xffff_ffff, 0xffff_ffff])
  assert.equal(eventsMasked(m.xen, m.pv), true)
  // What becomes pending now shows there, to a guest that has looked at its events.
  m.xen.memory.u8[m.xen.memory.frameWords(mfn) * 4 + 0x40] = 0
  m.xen.memory.u32[m.xen.memory.frameWords(mfn) + (0x40 + VCPU_INFO.pending_sel) / 4] = 0
  m.domain.ports[9] = { kind: 'ipi', vcpu: 0 }
  setPending(m.xen, m.domain, 9)
  assert.equal(m.vcpu.load8(m.data + 0x1040), 1)
})

test('vcpu_op knows one vCPU, and tells how long it ran and waited', () => {
  const m = new PvMachine()
  assert.equal(m.call(vcpu_op, VCPUOP.is_up, 0, 0), 1)
  assert.equal(m.call(vcpu_op, VCPUOP.is_up, 1, 0), -2)
  assert.equal(m.call(vcpu_op, VCPUOP.initialise, 0, 0), -17)
  m.xen.clock.now = 9_000_000
  m.pv.blockedNs = 2_000_000
  assert.equal(m.call(vcpu_op, VCPUOP.get_runstate_info, 0, m.data), 0)
  // The hypercalls have taken a microsecond each.
  const now = m.xen.clock.now
  assert.deepEqual(m.words(m.data, 12), [0, 0, now, 0, now - 2_000_000, 0, 0, 0, 2_000_000, 0, 0, 0])
  assert.equal(m.call(vcpu_op, 99, 0, 0), -38)
})

test('poll returns when a port is pending, and waits for it or its timeout otherwise', () => {
  const m = new PvMachine()
  const { words } = m.op(event_channel_op, EVTCHNOP.bind_ipi, [0])
  const list = m.data + 0x100
  m.vcpu.store32(list, words[1])
  const poll = (): number => {
    m.vcpu.store64(m.data, list >>> 0, 0xffff_ffff)
    m.vcpu.store64(m.data + 8, 1, 0)
    m.vcpu.store64(m.data + 16, 8_000_000, 0)
    return m.call(sched_op, 3, m.data)
  }
  assert.equal(poll(), 0)
  assert.deepEqual([m.pv.blocked, nextDeadline(m.pv)], [true, 8_000_000])
  m.op(event_channel_op, EVTCHNOP.send, [words[1]])
  assert.equal(m.pv.blocked, false)
  m.pv.timers.poll = Infinity
  assert.equal(poll(), 0)
  assert.equal(m.pv.blocked, false)
})

test('xen_version: numbers, features and texts by version', () => {
  for (const [version, number, features, after] of [
    ['4.1', 0x4_0001, 0xe0, '\0'],
    ['seed', 0x4_0002, 0xe0, '\0'],
    ['4.14', 0x4_000e, 0x20e0, 'h'],
    ['4.17', 0x4_0011, 0x2_20e0, 'h'],
    ['4.20', 0x4_0014, 0x1e_20e0, 'h'],
    ['4.21', 0x4_0015, 0x1e_20e0, 'h'],
  ] as const) {
    const m = new PvMachine(version)
    assert.equal(m.call(xen_version, XENVER.version, 0), number)
    assert.deepEqual(m.op(xen_version, XENVER.get_features, [0]).words[1], features)
    assert.equal(m.op(xen_version, XENVER.get_features, [1]).rc, -22)
    assert.deepEqual(m.op(xen_version, XENVER.platform_parameters, []).words.slice(0, 2), [0, 0xffff8000])
    assert.equal(m.call(xen_version, XENVER.pagesize, 0), 4096)
    assert.equal(m.call(xen_version, XENVER.capabilities, m.data), 0)
    const text = m.words(m.data, 4).flatMap((w) => [w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24])
    assert.equal(String.fromCharCode(...text), `xen-3.0-x86_64 ${after}`)
    assert.equal(m.call(xen_version, 77, 0), -38)
  }
})

test('a grant table grows to what the guest asks for, and no further than Xen allows', () => {
  const m = new PvMachine()
  const one = (command: number, words: readonly number[]): { rc: number; words: number[] } => {
    m.setWords(
      m.data,
      Array.from({ length: 8 }, (_, i) => words[i] ?? 0),
    )
    const rc = m.call(grant_table_op, command, m.data, 1)
    return { rc, words: m.words(m.data, 8) }
  }
  assert.deepEqual(one(GNTTABOP.query_size, [SELF]).words.slice(1, 4), [1, 64, 0])
  // Of these there is one a call.
  assert.equal(m.call(grant_table_op, GNTTABOP.query_size, m.data, 2), -22)
  const list = m.data + 0x100
  const setup = (frames: number): number => {
    const { rc, words } = one(GNTTABOP.setup_table, [SELF, frames, 0, 0, list >>> 0, 0xffff_ffff])
    assert.equal(rc, 0)
    return (words[2] << 16) >> 16
  }
  assert.equal(setup(65), -1)
  assert.equal(setup(3), 0)
  const frames = [0, 8, 16].map((offset) => m.vcpu.load32(list + offset))
  assert.deepEqual(frames, m.domain.grantFrames)
  assert.equal(new Set(frames).size, 3)
  assert.equal(one(GNTTABOP.set_version, [2]).rc, -38)
  assert.equal(one(GNTTABOP.set_version, [1]).rc, 0)
  // There is nobody whose pages could be mapped: each request is told so, and nothing else of it changes.
  for (let i = 0; i < 8; i++) m.vcpu.store32(m.data + i * 4, 0x1111_1111)
  assert.equal(m.call(grant_table_op, GNTTABOP.map_grant_ref, m.data, 1), 0)
  assert.equal(m.vcpu.load32(m.data + 16), 0xfffe_1111)
})

test('hypercalls of the toolstack are refused a guest, and numbers that are none do not exist', () => {
  const m = new PvMachine()
  const { platform_op, sysctl, domctl } = HYPERCALL
  assert.deepEqual(
    [platform_op, sysctl, domctl].map((nr) => m.call(nr, m.data)),
    [-13, -13, -13],
  )
  assert.equal(m.call(55, 0), -38)
})

test('the hypercall page has a stub for every number, and iret’s does not return', () => {
  const stub = (nr: number): number[] => [...HYPERCALL_PAGE.subarray(nr * 32, nr * 32 + 16)]
  assert.deepEqual(
    stub(12),
    [0x51, 0x41, 0x53, 0xb8, 12, 0, 0, 0, 0x0f, 5, 0x41, 0x5b, 0x59, 0xc3, 0xcc, 0xcc],
  )
  assert.deepEqual(stub(23).slice(0, 11), [0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 5])
})
