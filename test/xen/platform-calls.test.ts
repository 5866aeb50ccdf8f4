import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DomainCrash } from '../../src/machine/vcpu/vcpu.ts'
import { portLimit } from '../../src/toolstack/build-domu.ts'
import {
  CALLBACK,
  EVTCHNOP,
  HYPERCALL,
  PHYSDEV_OP,
  SCHED_OP,
  SHARED_INFO,
  VCPU_INFO,
  VCPUOP,
} from '../../src/xen/abi.ts'
import { setPending } from '../../src/xen/sched/event-channels.ts'
import { fireTimers, nextDeadline } from '../../src/xen/sched/timers.ts'
import { setEventsMasked, vcpuInfoWords } from '../../src/xen/sched/vcpu-info.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { FOREVER, hypercall, PvMachine } from '../tools/pv-machine.ts'

const SELF = 0x7ff0
const [ENOSYS, EINVAL, EFAULT, ENOSPC] = [-38, -22, -14, -28]
const { event_channel_op, event_channel_op_compat, physdev_op, sched_op, vcpu_op } = HYPERCALL
/** Where nothing is mapped. */
const NOWHERE = 0x1000

const bindIpi = (m: PvMachine): number => m.op(event_channel_op, EVTCHNOP.bind_ipi, [0]).words[1]

const poll = (m: PvMachine, ports: readonly number[], timeout = 0): number => {
  const list = m.data + 0x100
  m.setWords(list, ports)
  m.setWords(m.data, [list >>> 0, 0xffff_ffff, ports.length, 0, timeout, 0])
  return m.call(sched_op, SCHED_OP.poll, m.data)
}

test('the old event_channel_op has its structure at 4, reads all of it, and knows no later command', () => {
  const m = new PvMachine()
  m.setWords(m.data, [EVTCHNOP.bind_ipi, 0, 0xdead, 0, 0, 0, 0])
  assert.equal(m.call(event_channel_op_compat, m.data), 0)
  assert.equal(m.words(m.data, 4)[2], 1)
  // The last 28 bytes of a page hold it, the last 24 do not, however short the command's own structure is.
  const end = m.at(0x200) + 0x1000
  assert.equal(m.map(0x201, 0), 0)
  m.setWords(end - 28, [EVTCHNOP.send, 1])
  assert.equal(m.call(event_channel_op_compat, end - 28), 0)
  m.setWords(end - 24, [EVTCHNOP.send, 1])
  assert.equal(m.call(event_channel_op_compat, end - 24), EFAULT)
  m.setWords(m.data, [EVTCHNOP.reset, SELF])
  assert.equal(m.call(event_channel_op_compat, m.data), ENOSYS)
  assert.equal(m.op(event_channel_op, EVTCHNOP.reset, [SELF]).rc, 0)
})

test('a port whose number cannot be told stays bound', () => {
  const m = new PvMachine()
  m.setWords(m.data, [0, 0])
  // Read-only: what is asked for can be read, and the answer not be written.
  assert.equal(m.map(0x200, 0x5), 0)
  assert.equal(m.call(event_channel_op, EVTCHNOP.bind_ipi, m.data), EFAULT)
  assert.deepEqual(m.domain.ports[1], { kind: 'ipi', vcpu: 0 })
  const other = m.at(0x203)
  m.setWords(other, [SELF | (SELF << 16), 0])
  assert.equal(m.call(event_channel_op, EVTCHNOP.alloc_unbound, other), 0)
  assert.equal(m.words(other, 2)[1], 2)
  m.setWords(other, [SELF, 2, 0])
  assert.equal(m.map(0x203, 0x5), 0)
  assert.equal(m.call(event_channel_op, EVTCHNOP.bind_interdomain, other), EFAULT)
  assert.deepEqual([m.domain.ports[2]?.kind, m.domain.ports[3]?.kind], ['interdomain', 'interdomain'])
})

test('a domU by xl has 1023 ports where Xen lets the toolstack say so', () => {
  assert.equal(portLimit(xenVersion('4.17')), 1023)
  assert.equal(portLimit(xenVersion('4.1')), 4095)
  const m = new PvMachine()
  m.domain.maxPort = portLimit(m.xen.version)
  for (let port = 1; port < 1023; port++) m.domain.ports[port] = { kind: 'ipi', vcpu: 0 }
  assert.equal(bindIpi(m), 1023)
  assert.equal(m.op(event_channel_op, EVTCHNOP.bind_ipi, [0]).rc, ENOSPC)
})

test('an event is told anew only where its bit of the selector was clear', () => {
  const m = new PvMachine()
  const [first, second] = [bindIpi(m), bindIpi(m)]
  const info = vcpuInfoWords(m.xen, m.pv)
  setPending(m.xen, m.domain, first)
  const { u8, u32 } = m.xen.memory
  assert.deepEqual([u8[info * 4 + VCPU_INFO.upcall_pending], u32[info + VCPU_INFO.pending_sel / 4]], [1, 1])
  // A guest that looks at its events clears this first, and the selector when it is there.
  u8[info * 4 + VCPU_INFO.upcall_pending] = 0
  setPending(m.xen, m.domain, second)
  assert.equal(u8[info * 4 + VCPU_INFO.upcall_pending], 0)
  u32[info + VCPU_INFO.pending_sel / 4] = 0
  const third = bindIpi(m)
  setPending(m.xen, m.domain, third)
  assert.equal(u8[info * 4 + VCPU_INFO.upcall_pending], 1)
})

test('poll of one port waits for that one, poll of several or none for any', () => {
  const wakes = (ports: readonly number[]): boolean => {
    const m = new PvMachine()
    const all = [bindIpi(m), bindIpi(m), bindIpi(m)]
    setEventsMasked(m.xen, m.pv, true)
    assert.equal(poll(m, ports), 0)
    assert.equal(m.pv.blocked, true)
    // Masked: it is told by the poll or not at all.
    m.xen.memory.u32[m.xen.memory.frameWords(m.domain.sharedInfo) + SHARED_INFO.evtchn_mask / 4] = 0xffff_ffff
    setPending(m.xen, m.domain, all[2])
    return !m.pv.blocked
  }
  assert.deepEqual([wakes([3]), wakes([1]), wakes([1, 2]), wakes([])], [true, false, true, true])
})

test('poll looks at its ports in order, and does not wait where an event can be delivered', () => {
  const m = new PvMachine()
  const port = bindIpi(m)
  setEventsMasked(m.xen, m.pv, true)
  assert.deepEqual([poll(m, [0]), poll(m, [port, 9]), poll(m, [5000])], [EINVAL, EINVAL, EINVAL])
  assert.equal(m.pv.blocked, false)
  m.op(event_channel_op, EVTCHNOP.send, [port])
  assert.equal(poll(m, [port, 9]), 0)
  assert.equal(poll(m, [9, port]), EINVAL)
  const second = bindIpi(m)
  setEventsMasked(m.xen, m.pv, false)
  assert.equal(poll(m, [second]), 0)
  assert.equal(m.pv.blocked, false)
  m.setWords(m.data, [NOWHERE, 0, 1, 0, 0, 0])
  setEventsMasked(m.xen, m.pv, true)
  assert.equal(m.call(sched_op, SCHED_OP.poll, m.data), EFAULT)
  // In 2011 a port that is not bound could be waited for.
  const old = new PvMachine('4.1')
  setEventsMasked(old.xen, old.pv, true)
  assert.deepEqual([poll(old, [0]), poll(old, [4095]), poll(old, [4096])], [0, 0, EINVAL])
})

test('the timer of a poll that is over wakes nobody who only blocks', () => {
  const m = new PvMachine()
  const port = bindIpi(m)
  setEventsMasked(m.xen, m.pv, true)
  assert.equal(poll(m, [port], 9_000_000), 0)
  m.op(event_channel_op, EVTCHNOP.send, [port])
  assert.equal(m.pv.blocked, false)
  m.xen.memory.u8[vcpuInfoWords(m.xen, m.pv) * 4 + VCPU_INFO.upcall_pending] = 0
  assert.equal(m.call(sched_op, SCHED_OP.block, 0), 0)
  m.xen.clock.now = 9_000_000
  fireTimers(m.xen, m.pv)
  assert.equal(m.pv.blocked, true)
})

test('a shutdown has any reason, and the first that was said', () => {
  const shutDown = (m: PvMachine, reason: number): number | null => {
    m.setWords(m.data, [reason])
    assert.throws(() => m.call(sched_op, SCHED_OP.shutdown, m.data), DomainCrash)
    return m.domain.shutdown
  }
  assert.equal(shutDown(new PvMachine(), 77), 77)
  assert.equal(shutDown(new PvMachine(), 0x101), 1)
  const m = new PvMachine()
  assert.equal(m.op(sched_op, SCHED_OP.shutdown_code, [3]).rc, 0)
  assert.equal(m.op(sched_op, SCHED_OP.shutdown_code, [1]).rc, 0)
  assert.equal(m.domain.shutdown, null)
  assert.equal(shutDown(m, 0), 3)
})

test('two watchdogs, which end a guest that does not feed them', () => {
  const m = new PvMachine()
  const watchdog = (id: number, seconds: number): number =>
    m.op(sched_op, SCHED_OP.watchdog, [id, seconds]).rc
  assert.deepEqual([watchdog(0, 0), watchdog(3, 1), watchdog(1, 1)], [EINVAL, EINVAL, EINVAL])
  assert.deepEqual([watchdog(0, 5), watchdog(0, 2), watchdog(0, 1)], [1, 2, ENOSPC])
  assert.equal(watchdog(2, 0), 0)
  assert.equal(watchdog(1, 3), 0)
  const until = nextDeadline(m.pv)
  assert.ok(until > 3e9 && until < 3.001e9, String(until))
  m.xen.clock.now = until - 1
  fireTimers(m.xen, m.pv)
  assert.equal(m.domain.shutdown, null)
  m.xen.clock.now = until
  const lines = m.lines(() => assert.throws(() => fireTimers(m.xen, m.pv), DomainCrash))
  assert.deepEqual(lines, ['Watchdog timer fired for domain 1'])
  assert.equal(m.domain.shutdown, 4)
})

test('a guest that waits for ever is ended by its watchdog', () => {
  const m = new PvMachine()
  m.setWords(m.data, [0, 1])
  assert.equal(m.call(sched_op, SCHED_OP.watchdog, m.data), 1)
  const guest = m.load(hypercall(sched_op, SCHED_OP.block) + FOREVER)
  assert.equal(guest.run(1000), 'shutdown')
  assert.equal(m.domain.shutdown, 4)
  assert.ok(m.xen.clock.now >= 1e9)
})

test('the last vCPU to go down ends the domain, but for 2011', () => {
  const m = new PvMachine()
  assert.throws(() => m.call(vcpu_op, VCPUOP.down, 0, 0), DomainCrash)
  assert.equal(m.domain.shutdown, 0)
  const old = new PvMachine('4.1')
  const port = bindIpi(old)
  const guest = old.load(hypercall(vcpu_op, VCPUOP.down) + FOREVER)
  assert.equal(guest.run(1000), 'idle')
  assert.equal(old.domain.shutdown, null)
  // Events are noted, and wake nobody.
  setPending(old.xen, old.domain, port)
  assert.equal(guest.run(1000), 'idle')
  assert.equal(nextDeadline(old.pv), Infinity)
})

test('an NMI enters the guest at its callback, once until it has left by iret', () => {
  const m = new PvMachine()
  assert.equal(m.call(vcpu_op, VCPUOP.send_nmi, 0, 1), EINVAL)
  assert.equal(m.call(vcpu_op, VCPUOP.send_nmi, 0, 0), 0)
  const guest = m.load('start: jmp start\nnmi: inc ebx\n jmp nmi')
  // Nobody has said where to: it is lost.
  guest.run(10)
  assert.deepEqual([m.pv.nmiPending, guest.rip], [false, m.label('start')])
  m.pv.callbacks.set(CALLBACK.nmi, { flags: 0, address: m.label('nmi') })
  m.goTo(m.label('start'))
  m.call(vcpu_op, VCPUOP.send_nmi, 0, 0)
  // The guest passes through Xen every so often.
  m.pv.blocked = true
  m.pv.timers.singleshot = m.xen.clock.now + 1
  m.op(event_channel_op, EVTCHNOP.bind_virq, [0, 0])
  guest.run(50)
  assert.ok(guest.rip >= m.label('nmi'))
  assert.equal(m.pv.nmiMasked, true)
  m.call(vcpu_op, VCPUOP.send_nmi, 0, 0)
  guest.run(50)
  assert.equal(m.pv.nmiPending, true)
})

test('the time is written where the guest wants it as well', () => {
  const m = new PvMachine()
  m.load(FOREVER)
  const info = vcpuInfoWords(m.xen, m.pv) + VCPU_INFO.time / 4
  const time = [...m.xen.memory.u32.subarray(info, info + 8)]
  const at = m.data + 0x80
  const command = VCPUOP.register_vcpu_time_memory_area
  m.setWords(m.data, [at >>> 0, 0xffff_ffff])
  assert.equal(m.call(vcpu_op, command, 0, m.data), 0)
  assert.deepEqual(m.words(at, 8), time)
  // Xen's own range, and no address at all.
  for (const [lo, hi] of [
    [0, 0xffff_8300],
    [0, 0x8000_0000],
  ]) {
    m.setWords(m.data, [lo, hi])
    assert.equal(m.call(vcpu_op, command, 0, m.data), EFAULT)
    assert.equal(m.call(vcpu_op, VCPUOP.register_runstate_memory_area, 0, m.data), EFAULT)
  }
  m.setWords(m.data, [0, 0])
  assert.equal(m.call(vcpu_op, command, 0, m.data), 0)
  assert.equal(m.pv.timeAt, -1)
})

/** What a guest's kernel reads at a port into rax, or that it faults. */
function ports(m: PvMachine, source: string): string {
  const guest = m.load(`${source}\ndone: jmp done\nfault: jmp fault`)
  m.handle(13, 'fault')
  guest.run(20)
  if (guest.rip === m.label('fault')) return 'fault'
  return guest.rip === m.label('done') ? guest.cpu.register(0).toString(16) : 'elsewhere'
}

test('two ports are latches of the domain, all others read as ones', () => {
  const m = new PvMachine()
  m.pv.iopl = 1
  const read = (port: number, register: string): string =>
    ports(m, `xor eax, eax\n mov edx, ${port}\n in ${register}, dx`)
  const write = (port: number, register: string, value: number): string =>
    ports(m, `mov eax, ${value}\n mov edx, ${port}\n out dx, ${register}`)
  write(0x70, 'al', 0x8f)
  assert.deepEqual([read(0x70, 'al'), read(0x71, 'al'), read(0x70, 'ax')], ['8f', 'ff', 'ff8f'])
  write(0xcf8, 'eax', 0x8000_1234)
  assert.deepEqual(
    [read(0xcf8, 'eax'), read(0xcf8, 'al'), read(0xcfc, 'eax')],
    ['80001234', 'ff', 'ffffffff'],
  )
  // By parts it is no address.
  write(0xcf8, 'al', 0)
  assert.equal(read(0xcf8, 'eax'), '80001234')
  write(0x6f, 'ax', 0x2100)
  assert.equal(read(0x70, 'al'), '21')
})

test('dom0 has the ports of its board, but for those that Xen keeps or passes on', () => {
  const board = { wallClock: 1_700_000_000, hasAcpi: true }
  const machine = (version: string): PvMachine => {
    const m = new PvMachine(version, true, board)
    m.pv.iopl = 1
    return m
  }
  const read = (m: PvMachine, port: number, register = 'al'): string =>
    ports(m, `xor eax, eax\n mov edx, ${port}\n in ${register}, dx`)
  const write = (m: PvMachine, port: number, register: string, value: number): string =>
    ports(m, `mov eax, ${value}\n mov edx, ${port}\n out dx, ${register}`)
  const m = machine('4.17')
  // The clock by the index that Xen keeps: its battery, and the century.
  write(m, 0x70, 'al', 0x8d)
  assert.deepEqual([read(m, 0x70), read(m, 0x71), read(m, 0x70, 'ax')], ['8d', '80', '808d'])
  write(m, 0x70, 'al', 0x32)
  assert.equal(read(m, 0x71), '20')
  // Later Xens keep seven bits of it. In 2011 dom0 had the clock itself, and nothing of it reads back.
  const [later, old] = [machine('4.20'), machine('4.1')]
  for (const each of [later, old]) write(each, 0x70, 'al', 0x8d)
  assert.deepEqual([read(later, 0x70), read(later, 0x71)], ['d', '80'])
  assert.deepEqual([read(old, 0x70), read(old, 0x71), old.domain.cmosIndex], ['ff', '80', 0])
  // PM1a is its own, the timer beside it Xen's; and so are PIC, PIT and PCI's registers, of whose counter it has the third.
  assert.deepEqual([read(m, 0x604, 'ax'), read(m, 0x608, 'eax')], ['1', 'ffffffff'])
  assert.deepEqual(
    [0x20, 0x40, 0x43, 0xa1, 0xcfc].map((port) => read(m, port)),
    ['ff', 'ff', '0', 'ff', 'ff'],
  )
  write(m, 0x61, 'al', 1)
  write(m, 0x43, 'al', 0xb0)
  write(m, 0x42, 'al', 0x34)
  write(m, 0x42, 'al', 0x12)
  assert.deepEqual([read(m, 0x42), read(m, 0x42)], ['34', '12'])
  assert.equal(m.xen.board?.speaker, 1)
  // Who is not dom0 finds nothing of it.
  const other = new PvMachine('4.17', false, board)
  other.pv.iopl = 1
  write(other, 0x70, 'al', 0x0d)
  assert.deepEqual([read(other, 0x71), read(other, 0x604, 'ax'), read(other, 0x61)], ['ff', 'ffff', 'ff'])
})

test('a dom0 without ACPI is told of no APIC', () => {
  const apic = (isDom0: boolean, hasAcpi: boolean): number => {
    const guest = new PvMachine('4.17', isDom0, { wallClock: 0, hasAcpi }).load(FOREVER)
    return (guest.cpu.cpuid(1, 0)[3] >>> 9) & 1
  }
  assert.deepEqual([apic(true, false), apic(true, true), apic(false, false)], [0, 1, 1])
})

test('a bitmap grants ports one by one, and what cannot be read denies', () => {
  for (const [version, lastIs] of [
    ['4.17', 'ff'],
    ['4.1', 'fault'],
  ] as const) {
    const m = new PvMachine(version)
    const read = (port: number, register = 'al'): string =>
      ports(m, `xor eax, eax\n mov edx, ${port}\n in ${register}, dx`)
    const bits = m.at(0x204)
    assert.equal(read(0x10), 'fault')
    const set = (va: number, count: number): number => {
      m.setWords(m.data, [va >>> 0, 0xffff_ffff, count])
      return m.call(physdev_op, PHYSDEV_OP.set_iobitmap, m.data)
    }
    assert.equal(set(bits, 0x1_0001), EINVAL)
    assert.equal(set(bits, 0x20), 0)
    m.setWords(bits, [1 << 0x11])
    assert.deepEqual(
      [read(0x10), read(0x11), read(0x10, 'ax'), read(0x1f), read(0x20)],
      ['ff', 'fault', 'fault', lastIs, 'fault'],
    )
    assert.equal(m.map(0x204, 0), 0)
    assert.equal(read(0x10), 'fault')
    m.setWords(m.data, [0, 0xffff_8300, 1])
    assert.equal(m.call(physdev_op, PHYSDEV_OP.set_iobitmap, m.data), EINVAL)
  }
})
