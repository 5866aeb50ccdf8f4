import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleRing } from '../../src/toolstack/console-ring.ts'
import { CALLBACK, EVTCHNOP, HYPERCALL, SHARED_INFO, VCPUOP } from '../../src/xen/abi.ts'
import { eventsMasked } from '../../src/xen/sched/vcpu-info.ts'
import { FOREVER, hypercall, PvMachine } from '../tools/pv-machine.ts'

const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3]
const [DS, FS] = [3, 4]

/** Where the events of `withTimer` enter, behind what it loads; handlers of exceptions lie further on. */
const ENTRY = 0x100

/** Code, and behind it an entry for events that stays where it is. */
const withEntry = (source: string): string => `${source}\n.at ${ENTRY}\n entry: jmp entry`

/** Code, and behind it a handler, `trap`, that stays where it is. */
const withTrap = (source: string): string => `${source}\n ${FOREVER}\n .at 0x200\n trap: jmp trap`

/** A machine whose timer has a port, and whose events enter at `ENTRY`. */
function withTimer(): PvMachine {
  const m = new PvMachine()
  m.op(HYPERCALL.event_channel_op, EVTCHNOP.bind_virq, [0, 0])
  m.call(HYPERCALL.vcpu_op, VCPUOP.stop_periodic_timer, 0, 0)
  m.pv.callbacks.set(CALLBACK.event, { flags: 0, address: m.code + ENTRY })
  return m
}

function unmask(m: PvMachine): void {
  m.vcpu.memory.u8[m.vcpu.memory.frameWords(m.domain.sharedInfo) * 4 + 1] = 0
}

test('a timer enters the guest at the very instruction at which it is due, with events masked', () => {
  const m = withTimer()
  unmask(m)
  const guest = m.load(withEntry(FOREVER))
  const start = m.xen.clock.now
  m.pv.timers.singleshot = start + 12_345
  assert.equal(guest.run(12_344), 'budget')
  assert.equal(guest.rip, m.code)
  assert.equal(guest.run(1), 'budget')
  assert.equal(guest.cpu.tsc, start + 12_345)
  assert.equal(guest.rip, m.label('entry'))
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
  const guest = m.load(withEntry(hypercall(HYPERCALL.sched_op, 1) + FOREVER))
  m.pv.timers.singleshot = m.xen.clock.now + 3_000_000_000
  const until = m.pv.timers.singleshot
  guest.run(100)
  assert.equal(guest.rip, m.label('entry'))
  assert.ok(guest.cpu.tsc >= until && guest.cpu.tsc < until + 200)
  assert.ok(m.pv.blockedNs > 2_999_990_000)
})

test('without a timer a blocked guest is idle, and an event wakes it', () => {
  const m = withTimer()
  const guest = m.load(withEntry(hypercall(HYPERCALL.sched_op, 1) + FOREVER))
  assert.equal(guest.run(100), 'idle')
  assert.equal(guest.run(100), 'idle')
  const ring = new ConsoleRing(m.xen, m.domain, m.mfnOf(m.data), () => {})
  ring.type(new Uint8Array([104, 105]))
  assert.equal(guest.run(100), 'budget')
  assert.equal(guest.rip, m.label('entry'))
  assert.equal(m.vcpu.load32(m.data) & 0xffff, 0x6968)
})

test('a timer whose port is masked does not wake, nor does a tick', () => {
  const m = withTimer()
  const mask = m.xen.memory.frameWords(m.domain.sharedInfo) + SHARED_INFO.evtchn_mask / 4
  m.xen.memory.u32[mask] = 0xffff_ffff
  m.pv.timers.period = 1_000_000
  const guest = m.load(withEntry(hypercall(HYPERCALL.sched_op, 1) + FOREVER))
  m.pv.timers.singleshot = m.xen.clock.now + 5_000_000
  assert.equal(guest.run(1000), 'idle')
  assert.equal(m.pv.timers.singleshot, Infinity)
  assert.equal(guest.cpu.instructions, 4)
})

test('whoever sits before a guest that waits lets the time pass by himself', () => {
  const m = withTimer()
  const guest = m.load(withEntry(hypercall(HYPERCALL.sched_op, 1) + FOREVER))
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
  assert.equal(guest.rip, m.label('entry'))
})

test('two runs of the same guest are the same, whatever the budgets', () => {
  const run = (budget: number): readonly number[] => {
    const m = withTimer()
    unmask(m)
    const guest = m.load(withEntry('again: inc ebx\n jmp again'))
    m.pv.timers.singleshot = m.xen.clock.now + 5001
    for (let left = 10_000; left > 0; left -= budget) guest.run(Math.min(budget, left))
    return [guest.cpu.register(RBX), guest.rip, guest.cpu.instructions, m.xen.clock.now]
  }
  assert.deepEqual(run(10_000), run(7))
  assert.equal(run(1)[0], 2501)
})

test('the first use of the FPU after fpu_taskswitch is the guest’s #NM, and the second is not', () => {
  const m = new PvMachine()
  const guest = m.load(`
        ${hypercall(HYPERCALL.fpu_taskswitch, 1)}
use:    movaps xmm0, xmm1
        inc ebx
        ${FOREVER}
trap:   inc ecx
stay:   jmp stay`)
  m.handle(7, 'trap')
  guest.cpu.setRegister(RCX, 0, 0)
  guest.run(20)
  assert.equal(guest.rip, m.label('stay'))
  assert.equal(guest.cpu.fpuTraps, false)
  assert.equal(guest.cpu.register(RBX), 0)
  m.goTo(m.label('use'))
  guest.run(3)
  assert.equal(guest.cpu.register(RBX), 1)
})

test('every instruction of FPU, MMX and SSE traps, and none of the others', () => {
  const traps = (instruction: string): boolean => {
    const m = new PvMachine()
    const guest = m.load(withTrap(instruction))
    m.handle(7, 'trap')
    guest.cpu.fpuTraps = true
    const before = guest.cpu.instructions
    guest.run(10)
    const isTrapped = guest.rip === m.label('trap')
    // What faults is not executed, and the look at the flag is no instruction.
    assert.equal(guest.cpu.instructions, before + (isTrapped ? 9 : 10))
    return isTrapped
  }
  const using = [
    'fld1',
    'fxsave [rsp]',
    'emms',
    'movd mm0, eax',
    'addps xmm0, xmm1',
    'ldmxcsr [rsp]',
    'fwait',
  ]
  for (const instruction of using) assert.equal(traps(instruction), true, instruction)
  for (const instruction of ['lfence', 'prefetchnta [rax]', 'movnti [rsp - 8], eax']) {
    assert.equal(traps(instruction), false, instruction)
  }
})

test('privileged instructions that Xen carries out for a kernel', () => {
  const run = (
    source: string,
    prepare: (m: PvMachine) => void = () => {},
  ): PvMachine & { rax: number; rdx: number } => {
    const m = new PvMachine()
    const guest = m.load(withTrap(source))
    m.handle(13, 'trap')
    prepare(m)
    guest.run(10)
    const faulted = guest.rip === m.label('trap')
    return Object.assign(m, {
      rax: faulted ? -1 : guest.cpu.register(RAX),
      rdx: guest.cpu.register(RDX),
    })
  }
  assert.equal(run('mov rax, cr0').rax, 0x8005_0033)
  // The root.
  const withRoot = run('mov rax, cr3')
  assert.equal(withRoot.rax, withRoot.vcpu.root * 4096)
  // There is none for a guest.
  assert.equal(run('mov rax, cr8').rax, -1)
  // The attributes that Xen has.
  const pat = run('mov ecx, 0x277\n rdmsr')
  assert.deepEqual([pat.rax, pat.rdx], [0x0007_0406, 0x0501])
  // An MSR that there is not, for a guest that has a handler.
  assert.equal(run('mov ecx, 0x60666\n rdmsr').rax, -1)
  // A port needs the I/O privilege that physdev_op gives, and there is nothing at it.
  const input = 'xor eax, eax\n in al, dx'
  assert.equal(run(input).rax, -1)
  const withPorts = (m: PvMachine): void => {
    m.pv.iopl = 1
  }
  assert.equal(run(input, withPorts).rax, 0xff)
  // cli is carried out as nothing, or refused; lgdt is refused.
  const clear = 'xor eax, eax\n cli'
  assert.equal(run(clear, withPorts).rax, 0)
  assert.equal(run(clear).rax, -1)
  assert.equal(run('lgdt [rsp]', withPorts).rax, -1)
})

test('an MSR of a segment base is what instructions then use', () => {
  const m = new PvMachine()
  m.vcpu.store64(m.data + 8, 0x1234, 0)
  const guest = m.load(`
        mov ecx, 0xc0000100       ; FS.base
        mov eax, data
        mov edx, -1
        wrmsr
        mov ebx, fs:[8]
        ${FOREVER}`)
  guest.run(10)
  assert.equal(guest.cpu.register(RBX), 0x1234)
})

test('int n goes to the guest’s handler where its privilege allows that', () => {
  const run = (flags: number): string => {
    const m = new PvMachine()
    const guest = m.load(`int 0x40\n ${FOREVER}\n own: jmp own\n protection: jmp protection`)
    m.handle(0x40, 'own', flags)
    m.handle(13, 'protection')
    guest.run(5)
    return guest.rip === m.label('own') ? 'own' : guest.rip === m.label('protection') ? '#GP' : 'none'
  }
  assert.deepEqual([run(0), run(1), run(3)], ['#GP', 'own', 'own'])
})

test('lsl, lar and verw read the segments that Xen lends; far returns take those of code', () => {
  const m = new PvMachine()
  const guest = m.load(
    withTrap(`
        mov eax, 0xe02b
        xor edx, edx
        lsl ebx, eax
        lar ecx, eax
        verw ax
        sete dl`),
  )
  m.handle(13, 'trap')
  guest.run(10)
  assert.equal(guest.cpu.register(RBX), 0xffff_ffff)
  assert.equal(guest.cpu.register(RCX), 0x00c0_f300)
  assert.equal(guest.cpu.register(RDX), 1)
  const returnTo = (selector: number): string => {
    m.load(withTrap(`push ${selector}\n lea rax, [rip + there]\n push rax\n retfq\n there: jmp there`))
    guest.run(7)
    return guest.rip === m.label('there') ? 'there' : guest.rip === m.label('trap') ? '#GP' : 'nowhere'
  }
  assert.equal(returnTo(0xe033), 'there')
  assert.equal(returnTo(0xe02b), '#GP')
  assert.equal(returnTo(0x33), '#GP')
})

test('a null selector in fs empties its base', () => {
  const m = new PvMachine()
  const guest = m.load(`xor eax, eax\n mov fs, ax\n ${FOREVER}`)
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
