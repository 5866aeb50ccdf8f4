import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleRing } from '../../src/toolstack/console-ring.ts'
import { CALLBACK, EVTCHNOP, HYPERCALL, SHARED_INFO, VCPUOP } from '../../src/xen/abi.ts'
import { eventsMasked } from '../../src/xen/sched/vcpu-info.ts'
import { FOREVER, hypercallCode, PvMachine } from '../tools/pv-machine.ts'

const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3]
const [DS, FS] = [3, 4]

/** A machine whose timer has a port, and whose events enter `FOREVER` at an offset of the code page. */
function withTimer(): PvMachine {
  const m = new PvMachine()
  m.op(HYPERCALL.event_channel_op, EVTCHNOP.bind_virq, [0, 0])
  m.call(HYPERCALL.vcpu_op, VCPUOP.stop_periodic_timer, 0, 0)
  m.pv.callbacks.set(CALLBACK.event, { flags: 0, address: m.code + 0x100 })
  for (const [i, byte] of FOREVER.entries()) m.vcpu.store8(m.code + 0x100 + i, byte)
  return m
}

function unmask(m: PvMachine): void {
  m.vcpu.memory.u8[m.vcpu.memory.frameWords(m.domain.sharedInfo) * 4 + 1] = 0
}

test('a timer enters the guest at the very instruction at which it is due, with events masked', () => {
  const m = withTimer()
  unmask(m)
  const guest = m.load(...FOREVER)
  const start = m.xen.clock.now
  m.pv.timers.singleshot = start + 12_345
  assert.equal(guest.run(12_344), 'budget')
  assert.equal(guest.rip, m.code)
  assert.equal(guest.run(1), 'budget')
  assert.equal(guest.cpu.tsc, start + 12_345)
  assert.equal(guest.rip, m.code + 0x100)
  assert.equal(eventsMasked(m.xen, m.pv), true)
  // The frame on the stack: rcx, r11, rip, cs of the kernel, rflags with IF, rsp, ss.
  const sp = m.stack - 7 * 8 - 8
  const frame = m.words(sp + 8, 14)
  assert.deepEqual(
    [frame[4], frame[6] & 0xffff, frame[7], frame[8] & 0x200],
    [m.code >>> 0, 0xe030, 0, 0x200],
  )
})

test('a blocked guest sleeps until its next timer, which costs no instructions', () => {
  const m = withTimer()
  const guest = m.load(...hypercallCode(HYPERCALL.sched_op, 1), ...FOREVER)
  m.pv.timers.singleshot = m.xen.clock.now + 3_000_000_000
  const until = m.pv.timers.singleshot
  guest.run(100)
  assert.equal(guest.rip, m.code + 0x100)
  assert.ok(guest.cpu.tsc >= until && guest.cpu.tsc < until + 200)
  assert.ok(m.pv.blockedNs > 2_999_990_000)
})

test('without a timer a blocked guest is idle, and an event wakes it', () => {
  const m = withTimer()
  const guest = m.load(...hypercallCode(HYPERCALL.sched_op, 1), ...FOREVER)
  assert.equal(guest.run(100), 'idle')
  assert.equal(guest.run(100), 'idle')
  const ring = new ConsoleRing(m.xen, m.domain, m.mfnOf(m.data), () => {})
  ring.type(new Uint8Array([104, 105]))
  assert.equal(guest.run(100), 'budget')
  assert.equal(guest.rip, m.code + 0x100)
  assert.equal(m.vcpu.load32(m.data) & 0xffff, 0x6968)
})

test('a timer whose port is masked does not wake, nor does a tick', () => {
  const m = withTimer()
  const mask = m.xen.memory.frameWords(m.domain.sharedInfo) + SHARED_INFO.evtchn_mask / 4
  m.xen.memory.u32[mask] = 0xffff_ffff
  m.pv.timers.period = 1_000_000
  const guest = m.load(...hypercallCode(HYPERCALL.sched_op, 1), ...FOREVER)
  m.pv.timers.singleshot = m.xen.clock.now + 5_000_000
  assert.equal(guest.run(1000), 'idle')
  assert.equal(m.pv.timers.singleshot, Infinity)
  assert.equal(guest.cpu.instructions, 4)
})

test('whoever sits before a guest that waits lets the time pass by himself', () => {
  const m = withTimer()
  const guest = m.load(...hypercallCode(HYPERCALL.sched_op, 1), ...FOREVER)
  guest.whenIdle = 'return'
  m.pv.timers.singleshot = m.xen.clock.now + 1_000_000
  assert.equal(guest.run(100), 'idle')
  const { now } = m.xen.clock
  guest.passTime(400_000)
  assert.equal(m.xen.clock.now, now + 400_000)
  assert.equal(guest.run(100), 'idle')
  guest.passTime(1e9)
  // Not beyond the deadline.
  assert.ok(m.xen.clock.now <= now + 1_000_000)
  assert.equal(guest.run(100), 'budget')
  assert.equal(guest.rip, m.code + 0x100)
})

test('two runs of the same guest are the same, whatever the budgets', () => {
  const run = (budget: number): readonly number[] => {
    const m = withTimer()
    unmask(m)
    // inc %ebx; jmp back.
    const guest = m.load(0xff, 0xc3, 0xeb, 0xfc)
    m.pv.timers.singleshot = m.xen.clock.now + 5001
    for (let left = 10_000; left > 0; left -= budget) guest.run(Math.min(budget, left))
    return [guest.cpu.register(RBX), guest.rip, guest.cpu.instructions, m.xen.clock.now]
  }
  assert.deepEqual(run(10_000), run(7))
  assert.equal(run(1)[0], 2501)
})

test('the first use of the FPU after fpu_taskswitch is the guest’s #NM, and the second is not', () => {
  const m = new PvMachine()
  m.handle(7, 0x200)
  // movaps %xmm1, %xmm0; inc %ebx; jmp to itself.
  const guest = m.load(
    ...hypercallCode(HYPERCALL.fpu_taskswitch, 1),
    0x0f,
    0x28,
    0xc1,
    0xff,
    0xc3,
    ...FOREVER,
  )
  for (const [i, byte] of [0xff, 0xc1, ...FOREVER].entries()) m.vcpu.store8(m.code + 0x200 + i, byte)
  guest.cpu.setRegister(RCX, 0, 0)
  guest.run(20)
  assert.equal(guest.rip, m.code + 0x202)
  assert.equal(guest.cpu.fpuTraps, false)
  assert.equal(guest.cpu.register(RBX), 0)
  const at = m.code + hypercallCode(0, 0).length
  guest.cpu.setRip(at >>> 0, 0xffff_ffff)
  guest.run(3)
  assert.equal(guest.cpu.register(RBX), 1)
})

test('every instruction of FPU, MMX and SSE traps, and none of the others', () => {
  const traps = (...code: number[]): boolean => {
    const m = new PvMachine()
    m.handle(7, 0x200)
    const guest = m.load(...code, ...FOREVER)
    for (const [i, byte] of FOREVER.entries()) m.vcpu.store8(m.code + 0x200 + i, byte)
    guest.cpu.fpuTraps = true
    const before = guest.cpu.instructions
    guest.run(10)
    const isTrapped = guest.rip === m.code + 0x200
    // What faults is not executed, and the look at the flag is no instruction.
    assert.equal(guest.cpu.instructions, before + (isTrapped ? 9 : 10))
    return isTrapped
  }
  // fld1; fxsave (%rsp); emms; movd %eax, %mm0; addps; ldmxcsr (%rsp); fwait.
  const using = [
    [0xd9, 0xe8],
    [0x0f, 0xae, 0x04, 0x24],
    [0x0f, 0x77],
    [0x0f, 0x6e, 0xc0],
    [0x0f, 0x58, 0xc1],
    [0x0f, 0xae, 0x14, 0x24],
    [0x9b],
  ]
  assert.deepEqual(
    using.map((code) => traps(...code)),
    using.map(() => true),
  )
  // lfence; prefetchnta (%rax); movnti %eax, -8(%rsp).
  assert.equal(traps(0x0f, 0xae, 0xe8), false)
  assert.equal(traps(0x0f, 0x18, 0x00), false)
  assert.equal(traps(0x0f, 0xc3, 0x44, 0x24, 0xf8), false)
})

test('privileged instructions that Xen carries out for a kernel', () => {
  const run = (
    code: number[],
    prepare: (m: PvMachine) => void = () => {},
  ): PvMachine & { rax: number; rdx: number } => {
    const m = new PvMachine()
    m.handle(13, 0x200)
    for (const [i, byte] of FOREVER.entries()) m.vcpu.store8(m.code + 0x200 + i, byte)
    const guest = m.load(...code, ...FOREVER)
    prepare(m)
    guest.run(10)
    const faulted = guest.rip === m.code + 0x200
    return Object.assign(m, {
      rax: faulted ? -1 : guest.cpu.register(RAX),
      rdx: guest.cpu.register(RDX),
    })
  }
  const MOV_CR0 = [0x0f, 0x20, 0xc0]
  assert.equal(run(MOV_CR0).rax, 0x8005_0033)
  // mov %cr3, %rax is the root.
  const withRoot = run([0x0f, 0x20, 0xd8])
  assert.equal(withRoot.rax, withRoot.vcpu.root * 4096)
  // mov %cr8, %rax: there is none for a guest.
  assert.equal(run([0x44, 0x0f, 0x20, 0xc0]).rax, -1)
  // mov $0x277, %ecx; rdmsr: the attributes that Xen has.
  const pat = run([0xb9, 0x77, 2, 0, 0, 0x0f, 0x32])
  assert.deepEqual([pat.rax, pat.rdx], [0x0007_0406, 0x0501])
  // An MSR that there is not, for a guest that has a handler.
  assert.equal(run([0xb9, 0x66, 6, 6, 0, 0x0f, 0x32]).rax, -1)
  // in (%dx), %al needs the I/O privilege that physdev_op gives, and finds nothing.
  const IN = [0x31, 0xc0, 0xec]
  assert.equal(run(IN).rax, -1)
  const withPorts = (m: PvMachine): void => {
    m.pv.iopl = 1
  }
  assert.equal(run(IN, withPorts).rax, 0xff)
  // cli is carried out as nothing, or refused; lgdt is refused.
  assert.equal(run([0x31, 0xc0, 0xfa], withPorts).rax, 0)
  assert.equal(run([0x31, 0xc0, 0xfa]).rax, -1)
  assert.equal(run([0x0f, 0x01, 0x14, 0x24], withPorts).rax, -1)
})

test('an MSR of a segment base is what instructions then use', () => {
  const m = new PvMachine()
  m.vcpu.store64(m.data + 8, 0x1234, 0)
  // mov $0xc0000100, %ecx; mov $data, %eax; mov $-1, %edx; wrmsr; mov %fs:8, %ebx.
  const low = m.data >>> 0
  const code = [
    0xb9,
    0x00,
    0x01,
    0x00,
    0xc0,
    0xb8,
    low & 255,
    (low >>> 8) & 255,
    (low >>> 16) & 255,
    low >>> 24,
  ]
  const guest = m.load(
    ...code,
    ...[0xba, 255, 255, 255, 255, 0x0f, 0x30],
    ...[0x64, 0x8b, 0x1c, 0x25, 8, 0, 0, 0],
    ...FOREVER,
  )
  guest.run(10)
  assert.equal(guest.cpu.register(RBX), 0x1234)
})

test('int n goes to the guest’s handler where its privilege allows that', () => {
  const run = (flags: number): number => {
    const m = new PvMachine()
    m.handle(0x40, 0x100, flags)
    m.handle(13, 0x200)
    for (const offset of [0x100, 0x200]) {
      for (const [i, byte] of FOREVER.entries()) m.vcpu.store8(m.code + offset + i, byte)
    }
    const guest = m.load(0xcd, 0x40, ...FOREVER)
    guest.run(5)
    return guest.rip - m.code
  }
  assert.deepEqual([run(0), run(1), run(3)], [0x200, 0x100, 0x100])
})

test('lsl, lar and verw read the segments that Xen lends; far returns take those of code', () => {
  const m = new PvMachine()
  m.handle(13, 0x200)
  for (const [i, byte] of FOREVER.entries()) m.vcpu.store8(m.code + 0x200 + i, byte)
  // mov $0xe02b, %eax; lsl %eax, %ebx; lar %eax, %ecx; verw %ax; sete %dl; jmp to itself.
  const guest = m.load(
    ...[0xb8, 0x2b, 0xe0, 0, 0, 0x31, 0xd2, 0x0f, 0x03, 0xd8, 0x0f, 0x02, 0xc8],
    ...[0x0f, 0x00, 0xe8, 0x0f, 0x94, 0xc2, ...FOREVER],
  )
  guest.run(10)
  assert.equal(guest.cpu.register(RBX), 0xffff_ffff)
  assert.equal(guest.cpu.register(RCX), 0x00c0_f300)
  assert.equal(guest.cpu.register(RDX), 1)
  const returnTo = (selector: number): number => {
    // push $selector; push target; lretq, whose target is 0x300.
    m.vcpu.store64(m.stack - 8, selector, 0)
    m.vcpu.store64(m.stack - 16, (m.code + 0x300) >>> 0, 0xffff_ffff)
    for (const [i, byte] of FOREVER.entries()) m.vcpu.store8(m.code + 0x300 + i, byte)
    m.load(0x48, 0xcb)
    m.vcpu.setVa(4, m.stack - 16)
    guest.run(3)
    return guest.rip - m.code
  }
  assert.equal(returnTo(0xe033), 0x300)
  assert.equal(returnTo(0xe02b), 0x200)
  assert.equal(returnTo(0x33), 0x200)
})

test('a null selector in fs empties its base', () => {
  const m = new PvMachine()
  // xor %eax, %eax; mov %eax, %fs.
  const guest = m.load(0x31, 0xc0, 0x8e, 0xe0, ...FOREVER)
  guest.cpu.setSegmentBase('fs', 0x1000, 0)
  guest.run(4)
  assert.deepEqual(guest.cpu.segmentBase('fs'), [0, 0])
  assert.equal(guest.cpu.selector(FS), 0)
  assert.equal(guest.cpu.selector(DS), 0)
})

test('the console ring gives what is written once, and input as there is room', () => {
  const m = new PvMachine()
  const mfn = m.mfnOf(m.data)
  const seen: number[] = []
  const ring = new ConsoleRing(m.xen, m.domain, mfn, (bytes) => seen.push(...bytes))
  // The indices wrap around 2^32, and the ring at 2048.
  m.vcpu.store32(m.data + 3080, 0xffff_fffe)
  m.vcpu.store32(m.data + 3084, 1)
  for (const [i, byte] of [65, 66, 67].entries()) m.vcpu.store8(m.data + 1024 + ((0x7fe + i) % 2048), byte)
  m.op(HYPERCALL.event_channel_op, EVTCHNOP.send, [ring.port])
  // The structure of the hypercall lies in the input ring, which is not read.
  assert.deepEqual(seen, [65, 66, 67])
  assert.equal(m.vcpu.load32(m.data + 3080), 1)
  ring.serve()
  assert.equal(seen.length, 3)
  ring.type(new Uint8Array(1500).fill(0x61))
  assert.equal(m.vcpu.load32(m.data + 3076), 1024)
  m.vcpu.store32(m.data + 3072, 1000)
  ring.serve()
  assert.equal(m.vcpu.load32(m.data + 3076), 1500)
  // Indices that cannot be are a full ring, not a loop of four thousand million.
  m.vcpu.store32(m.data + 3084, 0x8000_0000)
  ring.serve()
  assert.equal(seen.length, 3 + 2048)
})
