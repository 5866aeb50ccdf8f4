import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoardOptions } from '../../src/machine/board/board.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { EVTCHNOP, HYPERCALL, MEMORY_OP, PHYSDEV_OP } from '../../src/xen/abi.ts'
import { lineLimit, pirqLimit } from '../../src/xen/sched/pirqs.ts'
import { PvMachine } from '../tools/pv-machine.ts'

const SELF = 0x7ff0
const { event_channel_op, physdev_op } = HYPERCALL
const [EPERM, ESRCH, EFAULT, EBUSY, EEXIST, ENODEV, EINVAL, ENOSYS] = [-1, -3, -14, -16, -17, -19, -22, -38]
const [LINE, MESSAGE] = [1, 0]
const ANY = 0xffff_ffff

const WITH_IO_APIC: BoardOptions = { wallClock: 0, hasAcpi: true, hasIoApic: true }

const dom0 = (version = '4.17', board = WITH_IO_APIC): PvMachine => new PvMachine(version, true, board)

/** What map_pirq says, and the pirq in its structure. */
function map(m: PvMachine, line: number, pirq: number): readonly [number, number] {
  const { rc, words } = m.op(physdev_op, PHYSDEV_OP.map_pirq, [SELF, LINE, line, pirq])
  return [rc, words[3] | 0]
}

const unmap = (m: PvMachine, pirq: number): number => m.op(physdev_op, PHYSDEV_OP.unmap_pirq, [SELF, pirq]).rc
const bind = (m: PvMachine, pirq: number): number => {
  const { rc, words } = m.op(event_channel_op, EVTCHNOP.bind_pirq, [pirq, 0])
  return rc === 0 ? words[2] : rc
}

test('a line has one number in dom0, its own or any', () => {
  const m = dom0()
  assert.deepEqual([lineLimit(m.xen), pirqLimit(m.xen, m.domain)], [24, 208])
  assert.deepEqual(
    [map(m, 5, 5), map(m, 5, 5), map(m, 5, 6)],
    [
      [0, 5],
      [0, 5],
      [EEXIST, 6],
    ],
  )
  assert.deepEqual(
    [map(m, 6, ANY), map(m, 6, ANY), map(m, 19, ANY)],
    [
      [0, 16],
      [0, 16],
      [0, 17],
    ],
  )
  // A number that is another line's stays so, and nobody is told.
  assert.deepEqual(
    [map(m, 7, 5), map(m, 7, 30), map(m, 10, 5000)],
    [
      [0, 5],
      [0, 30],
      [EINVAL, 5000],
    ],
  )
  assert.deepEqual(
    [map(m, 0, 3), map(m, 24, 3), map(m, ANY, 3)],
    [
      [EPERM, 3],
      [EINVAL, 3],
      [EINVAL, 3],
    ],
  )
  const type = (domid: number, kind: number): number =>
    m.op(physdev_op, PHYSDEV_OP.map_pirq, [domid, kind, 8, 8]).rc
  assert.deepEqual([type(SELF, MESSAGE), type(SELF, 2), type(77, LINE)], [ENODEV, EINVAL, ESRCH])
  // Until 4.17 one that has a number gets no other one, and what is returned is what was asked for.
  const old = dom0('4.14')
  assert.deepEqual(
    [map(old, 6, ANY), map(old, 6, ANY)],
    [
      [0, 16],
      [-1, -1],
    ],
  )
})

test('a port is bound to a number of dom0’s; a line taken away meanwhile does not come back', () => {
  const m = dom0()
  assert.equal(map(m, 5, 5)[0], 0)
  const port = bind(m, 5)
  assert.deepEqual([port > 0, bind(m, 5), bind(m, 13), bind(m, 0)], [true, EEXIST, EPERM, EPERM])
  assert.deepEqual([bind(m, 208), bind(m, ANY), bind(m, 2)], [EINVAL, EINVAL, EBUSY])
  const status = m.op(event_channel_op, EVTCHNOP.status, [SELF, port]).words
  assert.deepEqual(status.slice(2, 5), [3, 0, 5])
  assert.equal(m.op(event_channel_op, EVTCHNOP.send, [port]).rc, EINVAL)
  assert.equal(m.op(event_channel_op, EVTCHNOP.bind_vcpu, [port, 0]).rc, 0)
  assert.deepEqual([unmap(m, 5), unmap(m, 5), map(m, 5, 5)[0], map(m, 5, ANY)[0]], [0, EINVAL, EEXIST, EBUSY])
  assert.equal(m.op(event_channel_op, EVTCHNOP.close, [port]).rc, 0)
  assert.deepEqual([map(m, 5, 5)[0], bind(m, 5)], [EPERM, EPERM])
})

test('numbers are given out: of lines from the PICs’ end up, others from the end down', () => {
  const m = dom0()
  const given = (type: number): number => m.op(physdev_op, PHYSDEV_OP.get_free_pirq, [type]).words[1]
  assert.deepEqual([LINE, LINE, MESSAGE, MESSAGE, 9].map(given), [16, 17, 207, 206, 205])
  assert.deepEqual([map(m, 18, 16), unmap(m, 17), bind(m, 17)], [[0, 16], EINVAL, EPERM])
  const all = pirqLimit(m.xen, m.domain)
  for (let i = 0; i < all; i++) m.op(physdev_op, PHYSDEV_OP.get_free_pirq, [LINE])
  assert.equal(m.op(physdev_op, PHYSDEV_OP.get_free_pirq, [LINE]).rc, -28)
  assert.deepEqual(map(m, 19, ANY), [-28, -1])
})

test('without an IO-APIC the lines of the PICs have their numbers from the start', () => {
  const m = dom0('4.17', { wallClock: 0, hasAcpi: false })
  assert.deepEqual([lineLimit(m.xen), pirqLimit(m.xen, m.domain)], [16, 200])
  assert.ok(bind(m, 9) > 0)
  assert.equal(bind(m, 16), EPERM)
  const setUp = (line: number): number => m.op(physdev_op, PHYSDEV_OP.setup_gsi, [line]).rc
  assert.deepEqual([setUp(9), setUp(10)], [0, EINVAL])
  const other = dom0()
  const again = (line: number): number => other.op(physdev_op, PHYSDEV_OP.setup_gsi, [line]).rc
  assert.deepEqual([again(9), again(10), again(10), again(0), again(24)], [0, 0, EEXIST, EEXIST, EINVAL])
})

test('the IO-APIC is read at its address, and nowhere else', () => {
  const read = (m: PvMachine, at: number, register: number): number => {
    const { rc, words } = m.op(physdev_op, PHYSDEV_OP.apic_read, [at, 0, register, 7])
    return rc === 0 ? words[3] : rc
  }
  const m = dom0()
  assert.deepEqual(
    [0, 1, 0x10, 0x11].map((register) => read(m, 0xfec0_0000, register)),
    [0, 0x0017_0020, 0x0001_0000, 0],
  )
  assert.equal(read(m, 0x1234_5000, 1), EINVAL)
  assert.equal(read(dom0('4.17', { wallClock: 0, hasAcpi: true }), 0xfec0_0000, 1), EINVAL)
})

test('the page for flags of interrupts is held as writable, once, and counted', () => {
  for (const isDom0 of [false, true]) {
    const m = new PvMachine('4.17', isDom0)
    const set = (command: number, mfn: number): number => m.op(physdev_op, command, [mfn, 0]).rc
    const v2 = PHYSDEV_OP.pirq_eoi_gmfn_v2
    const mfn = m.mfn(0x205)
    assert.deepEqual([set(v2, 0x7fff_ffff), set(v2, m.vcpu.root)], [EINVAL, EINVAL])
    const before = m.counts(m.mfn(0x206))
    assert.deepEqual([set(v2, mfn), set(v2, m.mfn(0x206))], [0, EBUSY])
    assert.equal(set(PHYSDEV_OP.pirq_eoi_gmfn_v1, mfn), EBUSY)
    assert.equal(m.counts(m.mfn(0x206)), before)
    assert.deepEqual(auditMachine(m.xen), [])
    // It stays what it is though the guest gives it back.
    assert.equal(m.map(0x205, 0), 0)
    assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 1)
    assert.equal(m.xen.heap.has(mfn), false)
    assert.deepEqual(auditMachine(m.xen), [])
  }
  assert.equal(new PvMachine('4.1').op(physdev_op, PHYSDEV_OP.pirq_eoi_gmfn_v2, [0, 0]).rc, ENOSYS)
})

test('what is dom0’s a domU is refused, once it can be read', () => {
  const m = new PvMachine()
  const dom0s = [8, 9, 10, 15, 16, 19, 20, 21, 24, 25, 26, 27, 29, 30, 31]
  for (const command of dom0s) {
    assert.equal(m.op(physdev_op, command, [0, 0, 0, 0]).rc, EPERM, String(command))
    assert.equal(m.call(physdev_op, command, 0x1000), EFAULT, String(command))
  }
  assert.deepEqual([map(m, 5, 5), unmap(m, 5)], [[EPERM, 5], EPERM])
  assert.equal(bind(m, 5), EPERM)
  const query = (pirq: number): number => m.op(physdev_op, PHYSDEV_OP.irq_status_query, [pirq]).rc
  assert.deepEqual([query(55), query(56)], [0, EINVAL])
  for (const command of [0, 1, 3, 11, 18, 22, 32, 99]) assert.equal(m.op(physdev_op, command, [0]).rc, ENOSYS)
})

test('Xen believes dom0 that there are functions of PCI, and remembers which', () => {
  const m = dom0()
  const say = (command: number, word: number): number => m.op(physdev_op, command, [word]).rc
  assert.equal(say(PHYSDEV_OP.manage_pci_remove, 0xf100), ENODEV)
  assert.equal(say(PHYSDEV_OP.manage_pci_add, 0xf100), 0)
  // The same one, with its segment.
  assert.equal(say(PHYSDEV_OP.pci_device_remove, 0xf100_0000), 0)
  assert.equal(say(PHYSDEV_OP.pci_device_remove, 0xf100_0000), ENODEV)
  for (let i = 0; i < 4096; i++) assert.equal(say(PHYSDEV_OP.pci_device_add, i), 0)
  assert.equal(say(PHYSDEV_OP.pci_device_add, 4096), -12)
})
