import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runScript } from '../../src/run/script/script.ts'
import { PROBE } from '../../src/script/layout.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'

/** What real Xen did that the machine did not, and system calls of processes. */

/** A process whose tables have the kernel's memory too. */
const PROCESS = `page U
set U[511] = KL3|P|RW|US|A|D
ro U
pin4 U
ubaseptr U`

/** The 64-bit words of the bounce frame, low to high, as hex, of the page that holds the probe's stack. */
function frameOf(xen: Hypervisor, words: number): string[] {
  const vcpu = xen.guestVcpu
  return Array.from({ length: words }, (_, i) => {
    const lo = vcpu.load64(PROBE.stack - (words - i) * 8)
    return (BigInt(vcpu.hi) * 2n ** 32n + BigInt(lo)).toString(16)
  })
}

test('a system call of a process enters the kernel on its own stack, with a frame without an error code', () => {
  let frame: string[] = []
  const { lines } = runScript(`${PROCESS}\nmulti iret`, {
    after: (xen, line) => {
      if (line.op === 'multi iret') frame = frameOf(xen, 7)
    },
  })
  assert.equal(lines.at(-1)?.back, 'syscall')
  // From the top, aligned to 16 bytes: ss, rsp, flags, cs with ring 3 and the event mask, rip, r11, rcx.
  const [ss, rsp, flags, cs] = frame.toReversed()
  assert.deepEqual([ss, rsp, flags, cs], ['e02b', 'ffffffff80110ab0', '2', '10000e033'])
})

test('a fault of a process says so in its error code', () => {
  const { lines } = runScript(`${PROCESS}\nmmu U[511] = 0\nmulti iret`)
  const { rc, fault, cr2, back } = lines.at(-1) ?? {}
  assert.deepEqual(
    { rc, fault, cr2, back },
    { rc: -14, fault: 'PF:0x14', cr2: '0xffffffff80100ff0', back: undefined },
  )
})

test('without a callback a system call is an undefined instruction in 4.17, and the end of the domain in 2011', () => {
  const script = `${PROCESS}\nmulti iret`
  const run = (xen: string) =>
    runScript(script, {
      xen,
      after: (machine, line) => {
        if (line.op === 'ubaseptr U') for (const domain of machine.owners) domain?.vcpus[0]?.callbacks.clear()
      },
    })
  const modern = run('4.17')
  assert.equal(modern.header.status, 'end')
  assert.equal(modern.lines.at(-1)?.fault, 'V6:0x0')
  const old = run('seed')
  assert.equal(old.header.status, 'crash')
})

test('user mode without user tables ends the domain where real Xen says it does', () => {
  const { header, lines } = runScript('page A\nmulti iret', { xen: '4.17-release' })
  assert.equal(header.status, 'crash')
  assert.deepEqual(lines.at(-1)?.log?.slice(0, 2), [
    'd0v0 Guest switching to user mode with no user page tables',
    'domain_crash called from arch/x86/pv/iret.c:104',
  ])
})

test('a domain id of update_va_mapping_otherdomain has 16 bits', () => {
  const rc = (domain: string) => runScript(`page A\nuvm W1 = A|P|US dom=${domain}`).lines.at(-1)?.rc
  assert.equal(rc('0x17ff0'), 0)
  assert.equal(rc('0x7ff4'), -3)
})

test('a frame out of the heap has no type, and one that was exchanged away has to be scrubbed', () => {
  const script = `page A B C
popp A
decr A
popp B
exch B
info A
uvm @C = 0
decr C`
  const xen = '4.17-release'
  const free = runScript(script, { xen })
  assert.equal(free.lines[5].info?.A, 'NULL 8c00000000000000/0000000000000000')
  // The next page gets the frame that C had, whose type was writable.
  const frames = {
    header: free.header,
    lines: [...free.lines, { op: 'popp B', sym: { B: free.header.syms.C.mfn } }],
  }
  const again = runScript(`${script}\npopp B\ninfo B`, { xen, frames })
  assert.equal(
    again.lines.at(-1)?.info?.C ?? again.lines.at(-1)?.info?.B,
    '8000000000000001/0000000000000000',
  )
})

test('a descriptor that was loaded is marked as accessed', () => {
  const script = 'page A\ndesc A[1] = 0x00affa000000ffff\nro A\ngdt 512 A\nldsel 0xb\nget A[1]'
  const last = runScript(script).lines.at(-1)
  assert.equal(last?.raw ?? last?.val, '0xaffb000000ffff')
})

test("dom0's plain stores to the IO-APIC's page are dropped, its locked instructions fault", () => {
  const script = `page A
uvm W0 = IOAPIC|P|US
${['set W0 = 5', 'set1 W0 = 5', 'or W0 1', 'btr W0 1', 'cas W0 0 1', 'cas4 W0 0 1', 'xchg W0 1', 'set W0+1 = 1'].join('\n')}`
  const results = runScript(script).lines.slice(2)
  assert.deepEqual(
    results.map(({ rc }) => rc),
    [0, 0, -14, -14, -14, -14, -14, -14],
  )
  assert.ok(results.slice(2).every(({ fault }) => fault === 'PF:0x3'))
})
