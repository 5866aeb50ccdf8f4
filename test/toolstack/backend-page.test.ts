import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE } from '../../src/bits/address.ts'
import { EINVAL } from '../../src/bits/errno.ts'
import { TYPE_CODE } from '../../src/bits/type-word.ts'
import { whoLines } from '../../src/cli/verbs/who/who.ts'
import { TYPE_COUNT, TYPE_SHIFT } from '../../src/machine/frames.ts'
import { reportFrame } from '../../src/run/ask/frame-report.ts'
import { holderWords } from '../../src/run/ask/holder-words.ts'
import { who } from '../../src/run/ask/who.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { auditGuest } from '../../src/run/check/guest-audit.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { bootKernel, guestRun, KernelRun } from '../../src/run/kernel/kernel-boot.ts'
import { ConsoleRing } from '../../src/toolstack/console-ring.ts'
import { Xenstore } from '../../src/toolstack/xenstore.ts'
import { EVTCHNOP, GNTTABOP, HYPERCALL, MEMORY_OP, MMUEXT, VCPUOP } from '../../src/xen/abi.ts'
import { updateRunstate } from '../../src/xen/sched/time.ts'
import { listeningIo } from '../tools/listening-io.ts'
import { PvMachine } from '../tools/pv-machine.ts'
import { StoreClient, XS } from '../tools/store-client.ts'
import { kernelOf } from '../tools/tiny-kernel.ts'

const RO = 0x65
const RW = 0x67

/** The page that the tests are about, as a pfn. */
const PFN = 0x200

/** Who holds a frame, in words. */
function holders(m: PvMachine, mfn: number): string[] {
  const report = reportFrame(m.xen, mfn)
  assert.ok(report !== null)
  assert.equal(report.holders.length, report.refCount)
  return report.holders.flatMap((holder) => {
    if (holder.kind === 'entry') return []
    if (holder.kind === 'backend') return holderWords(holder.kind, undefined, holder.user)
    return holderWords(holder.kind, 'd1', 'shared' in holder ? holder.shared?.as : undefined)
  })
}

function typeCount(m: PvMachine, mfn: number): number {
  return m.xen.memory.u32[m.xen.memory.record(mfn)] & TYPE_COUNT
}

test('dom0 holds the page of a guest’s xenstore: it becomes no table and no page of descriptors', () => {
  const store = new StoreClient()
  const { m } = store
  const mfn = m.mfnOf(m.data)
  assert.equal(typeCount(m, mfn), 2)
  assert.deepEqual(holders(m, mfn), ['dom0, which has it mapped for the xenstore', 'the allocation'])
  store.put(StoreClient.message(XS.READ, 'name\0'))
  assert.equal(m.map(PFN, RO), 0)
  assert.equal(typeCount(m, mfn), 1)
  for (const command of [MMUEXT.PIN_L1_TABLE, MMUEXT.PIN_L2_TABLE, MMUEXT.PIN_L4_TABLE]) {
    assert.equal(m.mmuext(command, mfn), EINVAL)
  }
  assert.equal(m.setGdt(512, mfn), EINVAL)
  assert.equal(m.xen.refusal?.facts.mfn, mfn)
  store.store.serve()
  assert.equal(m.vcpu.load32(m.data + 1024), XS.READ)
  assert.deepEqual(auditMachine(m.xen), [])
})

test('a guest may give such a page back: it stays as long as dom0 has it, and is nobody else’s', () => {
  const store = new StoreClient()
  const { m } = store
  const mfn = m.mfnOf(m.data)
  assert.equal(m.map(PFN, 0), 0)
  assert.equal(m.exchange(mfn, PFN).rc, EINVAL)
  const { totPages } = m.domain
  assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 1)
  assert.equal(m.domain.totPages, totPages)
  assert.equal(m.xen.heap.has(mfn), false)
  assert.deepEqual(holders(m, mfn), ['dom0, which has it mapped for the xenstore'])
  // Twice is once too often only if nothing holds it: the allocation is given up, and dom0's reference is not the guest's.
  assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 1)
  assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 1)
  m.domain.maxPages += 16
  for (let i = 0; i < 8; i++) {
    assert.notEqual(m.reserve(MEMORY_OP.populate_physmap, 0x200).frame, mfn)
  }
  store.store.serve()
  // The guest may map it again, as it is still its own.
  assert.equal(m.map(PFN, RW), 0)
  assert.equal(store.ask(XS.READ, 'name\0'), '2 me')
  assert.deepEqual(auditMachine(m.xen), [])
})

test('the console’s page is held, too, and both may be one', () => {
  const m = new PvMachine()
  const mfn = m.mfnOf(m.data)
  const ring = new ConsoleRing(m.xen, m.domain, mfn, () => {})
  new Xenstore(m.xen, m.domain, mfn, new Map())
  assert.equal(typeCount(m, mfn), 3)
  assert.deepEqual(holders(m, mfn), [
    'dom0, which has it mapped for the console',
    'dom0, which has it mapped for the xenstore',
    'the allocation',
  ])
  assert.equal(m.map(PFN, RO), 0)
  assert.equal(m.mmuext(MMUEXT.PIN_L1_TABLE, mfn), EINVAL)
  ring.type(Uint8Array.of(3, 3, 3, 3))
  assert.deepEqual(auditMachine(m.xen), [])
})

test('a page that is a table cannot be mapped for a backend', () => {
  const m = new PvMachine()
  const root = m.vcpu.root
  assert.throws(() => new ConsoleRing(m.xen, m.domain, root, () => {}), /dom0 cannot map frame/)
  assert.throws(() => new ConsoleRing(m.xen, m.domain, 0xfffff, () => {}), /dom0 cannot map frame/)
  assert.deepEqual(recountMachine(m.xen), [])
})

test('a guest that closes its end of the channel gets no events from there on whatever has the port then', () => {
  const store = new StoreClient()
  const { m } = store
  const close = m.data + PAGE
  m.vcpu.store32(close, store.store.port)
  assert.equal(m.call(HYPERCALL.event_channel_op, EVTCHNOP.close, close), 0)
  m.vcpu.store32(close, 0)
  assert.equal(m.call(HYPERCALL.event_channel_op, EVTCHNOP.bind_ipi, close), 0)
  assert.equal(m.vcpu.load32(close + 4), store.store.port)
  store.ask(XS.READ, 'name\0')
  const pending = m.frame(m.domain.sharedInfo, 0x800, 1)[0]
  assert.equal(pending & (1 << store.store.port), 0)
})

test('the page of the vcpu_info is held for ever, and who holds it is said', () => {
  const m = new PvMachine()
  const mfn = m.mfnOf(m.data)
  const { rc } = m.op(HYPERCALL.vcpu_op, VCPUOP.register_vcpu_info, [])
  assert.notEqual(rc, 0)
  m.setWords(m.data + PAGE + 256, [mfn, 0, 64, 0])
  assert.equal(m.call(HYPERCALL.vcpu_op, VCPUOP.register_vcpu_info, 0, m.data + PAGE + 256), 0)
  assert.deepEqual(holders(m, mfn), ['Xen, for the vcpu_info of d1', 'the allocation'])
  assert.equal(m.map(PFN, 0), 0)
  assert.equal(m.mmuext(MMUEXT.PIN_L1_TABLE, mfn), EINVAL)
  assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 1)
  assert.equal(m.xen.heap.has(mfn), false)
  assert.deepEqual(auditMachine(m.xen), [])
})

test('the run state is written by its address: not into a page that has become a table', () => {
  const m = new PvMachine()
  const mfn = m.mfnOf(m.data)
  m.vcpu.clearPage(m.data)
  m.vcpu.store64(m.data + PAGE, m.data >>> 0, 0xffff_ffff)
  const register = VCPUOP.register_runstate_memory_area
  assert.equal(m.call(HYPERCALL.vcpu_op, register, 0, m.data + PAGE), 0)
  assert.notEqual(m.vcpu.load32(m.data + 8), 0)
  m.vcpu.clearPage(m.data)
  updateRunstate(m.xen, m.pv)
  assert.notEqual(m.vcpu.load32(m.data + 8), 0)
  m.vcpu.clearPage(m.data)
  assert.equal(m.map(PFN, RO), 0)
  assert.equal(m.mmuext(MMUEXT.PIN_L1_TABLE, mfn), 0)
  updateRunstate(m.xen, m.pv)
  assert.deepEqual(m.words(m.data, 12), Array(12).fill(0))
  assert.deepEqual(auditMachine(m.xen), [])
})

test('what Xen shares of its own is never given out as memory, though a guest may give it up', () => {
  for (const version of ['4.17', 'seed', '4.17-release']) {
    const m = new PvMachine(version)
    const list = m.data + 512
    // {u16 domain, u32 frames, s16 status, u64 list*}
    m.op(HYPERCALL.grant_table_op, GNTTABOP.setup_table, [])
    m.setWords(m.data, [0x7ff0, 2, 0, 0, list >>> 0, 0xffff_ffff])
    assert.equal(m.call(HYPERCALL.grant_table_op, GNTTABOP.setup_table, m.data, 1), 0)
    const grants = [m.vcpu.load32(list), m.vcpu.load32(list + 8)]
    assert.deepEqual(holders(m, grants[0]), ['Xen, for the grant table of d1'])
    const shared = m.domain.sharedInfo
    assert.deepEqual(holders(m, shared), ['Xen, for the shared_info of d1'])
    m.domain.maxPages += 64
    for (const mfn of [shared, ...grants]) {
      const { totPages } = m.domain
      assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 1)
      assert.equal(m.domain.totPages, totPages)
      assert.equal(m.xen.heap.has(mfn), false)
      // Now it is nobody's: it cannot be mapped or given up again.
      assert.notEqual(m.map(PFN, RW, mfn), 0)
      assert.notEqual(m.mmuext(MMUEXT.PIN_L1_TABLE, mfn), 0)
      assert.equal(m.reserve(MEMORY_OP.decrease_reservation, mfn).rc, 0)
      assert.notEqual(m.reserve(MEMORY_OP.populate_physmap, 0x300).frame, mfn)
      const record = m.xen.memory.record(mfn)
      assert.equal(m.xen.memory.u32[record] >>> TYPE_SHIFT, TYPE_CODE.writable)
    }
    // Xen goes on to use it.
    m.op(HYPERCALL.event_channel_op, EVTCHNOP.bind_ipi, [0])
    m.op(HYPERCALL.event_channel_op, EVTCHNOP.send, [1])
    assert.equal(m.frame(shared, 0x800, 1)[0] & 2, 2)
    assert.deepEqual(auditMachine(m.xen), [])
  }
})

/**
 * A kernel that makes its xenstore page read-only, pins it as an L1, and lets a reply write an entry there that maps the page
 * writable. It powers off when the pin was refused, and reboots when not.
 */
const PINS_ITS_STORE = `
        mov rbx, rsi
        lea rbp, [rsi + 0x1000]
        mov r12, [rbx + 56]                ; its frame
        mov r13, r12
        shl r13, 12
        ; WRITE error/xy: five bytes and the entry, which is at a multiple of eight in the reply to the READ
        mov dword [rbp], 11
        mov dword [rbp + 12], 22
        lea rsi, [rip + path]
        lea rdi, [rbp + 16]
        mov ecx, 9
        rep movsb
        mov rax, r13
        or rax, 0x67
        mov [rbp + 30], rax
        mov dword [rbp + 2052], 38
        call send
        ; what is left in both rings must be no entries
        xor eax, eax
        mov rdi, rbp
        mov ecx, 5
        rep stosq
        lea rdi, [rbp + 1024]
        mov ecx, 4
        rep stosq
        ; READ error/xy, of which nobody is told yet
        mov dword [rbp + 38], 2
        mov dword [rbp + 50], 9
        lea rsi, [rip + path]
        lea rdi, [rbp + 54]
        mov ecx, 9
        rep movsb
        mov dword [rbp + 2052], 63
        ; update_va_mapping: read-only
        mov rdi, rbp
        mov rsi, r13
        or rsi, 0x65
        mov edx, 2
        mov eax, 14
        syscall
        ; mmuext_op(PIN_L1_TABLE)
        push 0
        push r12
        push 0
        mov rdi, rsp
        mov esi, 1
        xor edx, edx
        mov r10d, 0x7ff0
        mov eax, 26
        syscall
        mov r15, rax
        call send
        ; poweroff, or reboot where the pin was not refused
        xor ecx, ecx
        test r15, r15
        jne bye
        mov ecx, 1
bye:    push rcx
        mov edi, 2
        mov rsi, rsp
        mov eax, 29
        syscall
over:   jmp over
send:   mov ecx, [rbx + 64]
        push rcx
        mov edi, 4
        mov rsi, rsp
        mov eax, 32
        syscall
        pop rcx
        ret
path:   .text "error/xy"
        .zero 1
`

test('a guest that pins its xenstore page as a table and lets a reply write into it is refused', () => {
  const spec = { kernel: { name: 'k', bytes: kernelOf(PINS_ITS_STORE) }, memory: 4096 }
  const { outcome, wrong } = auditGuest(spec, 100_000)
  assert.deepEqual(wrong, [])
  assert.equal(outcome, 'poweroff')
})

test('a machine that a snapshot held has dom0’s mappings once, not twice', () => {
  const kernel = { name: 'k', bytes: kernelOf('here: jmp here') }
  const run = new KernelRun({ kernel, memory: 4096, name: 'held' })
  run.step(100)
  const again = new KernelRun({ restore: { name: 's', bytes: run.snapshot() } })
  const third = new KernelRun({ restore: { name: 's', bytes: again.snapshot() } })
  for (const { machine } of [run, again, third]) {
    assert.deepEqual(
      machine.start.domain.backendPages.map(({ user }) => user),
      ['xenstore', 'console'],
    )
    assert.deepEqual(auditMachine(machine.xen), [])
  }
  assert.equal(third.result().name, 'held')
})

/** Asks xenstore to remove a node, and powers off. */
function removing(path: string): Buffer {
  const bytes = path.length + 1
  const source = `
        mov rbx, rsi
        lea rbp, [rsi + 0x1000]
        mov dword [rbp], 13
        mov dword [rbp + 12], ${bytes}
        lea rsi, [rip + path]
        lea rdi, [rbp + 16]
        mov ecx, ${bytes}
        rep movsb
        mov dword [rbp + 2052], ${16 + bytes}
        mov ecx, [rbx + 64]
        push rcx
        mov edi, 4
        mov rsi, rsp
        mov eax, 32
        syscall
        push 0
        mov edi, 2
        mov rsi, rsp
        mov eax, 29
        syscall
over:   jmp over
path:   .text "${path}"
        .zero 1`
  return kernelOf(source)
}

test('nothing that a guest removes from xenstore is needed by anybody else', () => {
  for (const path of ['/local/domain/1', 'name', 'control', 'control/shutdown', 'data']) {
    const kernel = { name: 'k', bytes: removing(path) }
    const { name, outcome } = bootKernel({ kernel, memory: 4096, name: 'kept' })
    assert.deepEqual([name, outcome], ['kept', 'poweroff'], path)
  }
})

test('who: dom0 has the page mapped, and the vcpu_info lies in a page since the guest said so', () => {
  // vcpu_op(register_vcpu_info, 0, {mfn of the console's page, 0}), then poweroff.
  const source = `
        push 0
        mov rax, [rsi + 72]
        push rax
        mov edi, 10
        xor esi, esi
        mov rdx, rsp
        mov eax, 24
        syscall
        push 0
        mov edi, 2
        mov rsi, rsp
        mov eax, 29
        syscall
over:   jmp over`
  const spec = { kernel: { name: 'k', bytes: kernelOf(source) }, memory: 4096 }
  const { machine } = new KernelRun(spec)
  assert.ok(machine.dom0 === null)
  const { storeMfn, consoleMfn } = machine.start
  const held = (mfn: number): string[] => {
    const result = who({ guest: guestRun(spec) }, `mfn:${mfn.toString(16)}`)
    return whoLines(result, listeningIo().io)
      .map(String)
      .filter((line) => /dom0|vcpu_info|since event/.test(line))
  }
  assert.deepEqual(held(storeMfn), ['  dom0, which has it mapped for the xenstore'])
  const lines = held(consoleMfn)
  assert.deepEqual(lines.slice(0, 1), ['  Xen, for the vcpu_info of d1'])
  assert.match(lines[1], /^ {6}since event \d+: vcpu_op/)
  assert.equal(lines[2], '  dom0, which has it mapped for the console')
})
