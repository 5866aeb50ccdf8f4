import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BadInput } from '../../../src/bits/bad-input.ts'
import { ERRNO } from '../../../src/bits/errno.ts'
import { auditMachine } from '../../../src/run/check/audit.ts'
import { recountMachine } from '../../../src/run/check/recount.ts'
import { type KernelOptions, KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { findMap } from '../../../src/run/maps/maps.ts'
import { E820, EVTCHNOP, MEMORY_OP, SCHED_OP, VIRQ } from '../../../src/xen/abi.ts'
import { forge, type Taken, takeApart } from '../../tools/forged-snapshot.ts'
import {
  delay,
  kernelOf,
  MMUEXT_ON_STACK,
  shutdown,
  type TinyOptions,
  word,
} from '../../tools/tiny-kernel.ts'
import { xenolith } from '../../tools/tools.ts'

/** Kernels of a few instructions as dom0: what it may ask for, what it may map, and the machine's console. */
const folder = mkdtempSync(join(tmpdir(), 'xenolith-dom0-'))
after(() => rmSync(folder, { recursive: true }))

const MAP = 'xen416-qemu-tcg-2gb'
const PAGES = 0x4000

/** Writes so many bytes at a label to the console. */
const say = (label: string, count: number): string => `
        xor edi, edi
        mov esi, ${count}
        lea rdx, [rip + ${label}]
        mov eax, console_io
        syscall`

const bytes = (label: string, text: string): string =>
  `${label}: .byte ${[...Buffer.from(text)].join(', ')}\n`

const runOf = (
  source: string,
  more: Partial<KernelOptions> & {
    timeLimit?: number
    notes?: TinyOptions['notes']
    input?: Uint8Array
  } = {},
) => {
  const { notes, ...options } = more
  return new KernelRun({
    kernel: {
      name: 'k',
      bytes: kernelOf(source, { room: 0x4000, ...(notes === undefined ? {} : { notes }) }),
    },
    memory: PAGES,
    timeLimit: 2,
    dom0: { map: MAP },
    ...options,
  })
}

test('what dom0 writes goes out as it is, between lines of Xen', () => {
  const source = `
        push rsi
${say('first', 6)}
        pop rsi
        mov rax, [rsi + 0x68]         ; its boot stack, which is mapped writable, as an L1
        mov rbx, rsp
        mov rcx, base
        sub rbx, 8
        sub rbx, rcx
        shr rbx, 12
        push qword [rax + rbx*8]
        push 0
${MMUEXT_ON_STACK}
${say('second', 7)}
${shutdown(0)}
${bytes('first', 'one \x1b[')}${bytes('second', 'm two\r\n')}`
  const out: string[] = []
  const run = new KernelRun(
    { kernel: { name: 'k', bytes: kernelOf(source) }, memory: PAGES, dom0: { map: MAP } },
    { output: (some, from) => out.push(`${from}: ${Buffer.from(some).toString('latin1')}`) },
  )
  assert.equal(run.runToEnd(), 'poweroff')
  assert.equal(out[0], 'guest: one \x1b[')
  assert.equal(out.at(-1), 'guest: m two\r\n')
  assert.ok(out[1].startsWith('xen: (XEN) '), out.join())
})

/** Binds VIRQ_CONSOLE and gives back what is typed, until a `q` comes. */
const ECHO = `
        sub rsp, 0x100
        mov dword [rsp], ${VIRQ.CONSOLE}
        mov dword [rsp + 4], 0
        mov edi, ${EVTCHNOP.bind_virq}
        mov rsi, rsp
        mov eax, event_channel_op
        syscall
        mov eax, [rsp + 8]
        mov [rsp + 16], eax           ; the port
wait:   lea rax, [rsp + 16]
        mov [rsp + 32], rax           ; SCHEDOP_poll: ports, how many, no timeout
        mov dword [rsp + 40], 1
        mov qword [rsp + 48], 0
        mov edi, ${SCHED_OP.poll}
        lea rsi, [rsp + 32]
        mov eax, sched_op
        syscall
read:   mov edi, 1                    ; CONSOLEIO_read
        mov esi, 16
        lea rdx, [rsp + 64]
        mov eax, console_io
        syscall
        test eax, eax
        jz wait
        mov r12d, eax
        xor edi, edi
        mov esi, r12d
        lea rdx, [rsp + 64]
        mov eax, console_io
        syscall
        mov al, [rsp + r12 + 63]
        cmp al, 113
        jnz read
${shutdown(0)}`

test('what is typed reaches dom0 by VIRQ_CONSOLE and console_io, however long it is', () => {
  const long = `${'0123456789'.repeat(50)}q`
  const run = runOf(ECHO, { input: Buffer.from(long) })
  assert.equal(run.runToEnd(), 'poweroff')
  assert.deepEqual(run.result().console, [long])
})

test('a snapshot of dom0 goes on where it was, the same to the instruction', () => {
  const source = delay(50_000) + ECHO
  const make = () =>
    runOf(source, {
      notes: { 15: word(0x80_0000_0000n) },
      memory: 0x41000,
      dom0: { map: MAP, mfn: [[5, 0x2000]] },
    })
  const whole = make()
  whole.machine.console.type(Buffer.from('so far q'))
  const end = whole.runToEnd()
  const part = make()
  part.machine.console.type(Buffer.from('so far q'))
  part.step(30_000)
  const file = part.snapshot()
  const again = new KernelRun({ restore: { name: 's', bytes: file } })
  assert.deepEqual(Buffer.compare(again.snapshot(), file), 0)
  assert.deepEqual(recountMachine(again.machine.xen), [])
  assert.equal(again.machine.xen.host.map.length, whole.machine.xen.host.map.length)
  assert.equal(again.runToEnd(), end)
  const [a, b] = [whole.result(), again.result()]
  assert.deepEqual([a.instructions, a.nanoseconds, a.console], [b.instructions, b.nanoseconds, b.console])
})

test('a snapshot of dom0 that cannot be is refused in a line', () => {
  const run = runOf(delay(50_000) + ECHO, { notes: { 15: word(0x80_0000_0000n) } })
  run.step(30_000)
  const good = run.snapshot()
  const lie = (change: (head: Taken['head']) => void): string => {
    const taken = takeApart(good)
    change(taken.head)
    try {
      new KernelRun({ restore: { name: 's', bytes: forge(taken) } })
      return 'restored'
    } catch (error) {
      assert.ok(error instanceof BadInput, String(error))
      return error.message
    }
  }
  assert.equal(
    lie(() => {}),
    'restored',
  )
  const dom0 = (head: Taken['head']) =>
    head.dom0 as { entries: { start: number; end: number; type: string }[] }
  assert.match(
    lie((head) => {
      head.dom0 = null
    }),
    /^s: /,
  )
  assert.match(
    lie((head) => dom0(head).entries.push({ start: 0x20_0000, end: 0x30_0000, type: 'reserved' })),
    /overlaps/,
  )
  assert.match(
    lie((head) => {
      for (const entry of dom0(head).entries) if (entry.start === 0x10_0000) entry.end = 0x100_0000
    }),
    /^s: the snapshot cannot be: /,
  )
  // Free memory that is a hole of the machine.
  assert.match(
    lie((head) => {
      const { ranges } = (head.hypervisor as { heap: { ranges: { start: number; end: number }[] } }).heap
      ranges.push({ start: 0xfd000, end: 0xfd010 })
    }),
    /its free memory is none/,
  )
})

/** Makes calls of two arguments, each with its structure, and writes the results as quad words behind its code. */
const calls = (list: readonly (readonly [call: string, first: number, structure: string])[]): string => `
        lea rbx, [rip + results]
${list
  .map(
    ([call, first, structure]) => `
        mov edi, ${first}
        lea rsi, [rip + ${structure}]
        mov eax, ${call}
        syscall
        mov [rbx], rax
        add rbx, 8`,
  )
  .join('\n')}
${shutdown(0)}`

test('dom0 is told of the machine, and has no map of its own', () => {
  const { entries } = findMap(MAP)
  const source = `${calls([
    ['memory_op', MEMORY_OP.machine_memory_map, 'small'],
    ['memory_op', MEMORY_OP.machine_memory_map, 'map'],
    ['memory_op', MEMORY_OP.memory_map, 'map'],
    ['memory_op', MEMORY_OP.maximum_reservation, 'self'],
    ['memory_op', MEMORY_OP.current_reservation, 'self'],
  ])}
self:   .byte 0xf0, 0x7f, 0, 0, 0, 0, 0, 0
small:  .byte 1, 0, 0, 0, 0, 0, 0, 0
        .byte 0, 0x20, 0x10, 0x80, 0xff, 0xff, 0xff, 0xff
map:    .byte 64, 0, 0, 0, 0, 0, 0, 0
        .byte 0, 0x20, 0x10, 0x80, 0xff, 0xff, 0xff, 0xff
results: .byte 0`
  const run = runOf(source, { dom0: { map: MAP, acpi: false } })
  assert.equal(run.runToEnd(), 'poweroff')
  const { vcpu } = run.machine.start
  const results = resultsOf(run, 5)
  assert.deepEqual(results, [-ERRNO.EINVAL, 0, -ERRNO.ENOSYS, 2 ** 32 - 1, PAGES])
  const at = 0xffff_8010_2000
  for (const [i, { start, end, type }] of entries.entries()) {
    const number = (offset: number): number =>
      vcpu.load32(at + i * 20 + offset) + vcpu.load32(at + i * 20 + offset + 4) * 2 ** 32
    assert.deepEqual([number(0), number(8), vcpu.load32(at + i * 20 + 16)], [start, end - start, E820[type]])
  }
})

/** The quad words behind the last label of the code. */
function resultsOf(run: KernelRun, count: number): number[] {
  const { vcpu } = run.machine.start
  const at = vcpu.number(3) - count * 8
  return Array.from({ length: count }, (_, i) => {
    const lo = vcpu.load32((at + i * 8 + 2 ** 48) % 2 ** 48)
    return (vcpu.load32((at + i * 8 + 4 + 2 ** 48) % 2 ** 48) | 0) * 2 ** 32 + lo
  })
}

/** update_va_mapping of the page at 0x103000 to an entry. */
const mapping = (entries: readonly bigint[]): string => `
        lea rbx, [rip + results]
${entries
  .map(
    (entry) => `
        mov rdi, base
        add rdi, 0x103000
        mov esi, ${Number(entry >> 32n)}
        shl rsi, 32
        mov eax, ${Number(entry & 0xffff_ffffn)}
        or rsi, rax
        xor edx, edx
        mov eax, update_va_mapping
        syscall
        mov [rbx], rax
        add rbx, 8`,
  )
  .join('\n')}
${shutdown(0)}
results: .byte 0`

test('dom0 maps devices and the first MiB, but neither the APIC nor what is nowhere', () => {
  const page = (frame: bigint): bigint => (frame << 12n) | 0x67n
  const source = mapping([
    page(0xb8n),
    page(0xf_d000n),
    page(0xf_ee00n),
    page(0x100_0000_0000n >> 12n),
    page(0xf_ffff_ffffn),
  ])
  const run = runOf(source)
  assert.equal(run.runToEnd(), 'poweroff')
  assert.deepEqual(resultsOf(run, 5), [0, 0, -ERRNO.EPERM, 0, -ERRNO.EPERM])
  assert.deepEqual(auditMachine(run.machine.xen), [])
})

test('ACPI is where a kernel looks for it, can be read and not be written; a machine may have none', () => {
  // The first word of the firmware's page at 0xe0000, and again when something was stored there.
  const source = `
        mov rdi, base
        add rdi, 0x103000
        mov esi, 0xe0067
        xor edx, edx
        mov eax, update_va_mapping
        syscall
        lea rbx, [rip + results]
        mov rcx, base
        mov rax, [rcx + 0x103000]
        mov [rbx], rax
        mov qword [rcx + 0x103000], 0
        mov rax, [rcx + 0x103000]
        mov [rbx + 8], rax
        add rbx, 16
${shutdown(0)}
results: .byte 0`
  const texts = (acpi: boolean): string[] => {
    const run = runOf(source, { dom0: { map: MAP, acpi } })
    assert.equal(run.runToEnd(), 'poweroff')
    const { vcpu } = run.machine.start
    const at = (vcpu.number(3) - 16 + 2 ** 48) % 2 ** 48
    return [0, 8].map((offset) =>
      String.fromCharCode(...Array.from({ length: 8 }, (_, i) => vcpu.load8(at + offset + i))),
    )
  }
  assert.deepEqual(texts(true), ['RSD PTR ', 'RSD PTR '])
  assert.deepEqual(texts(false), ['\0'.repeat(8), '\0'.repeat(8)])
})

test('a p2m list that is mapped by 2 MiB can be taken away, and holds nothing any more', () => {
  const source = `
        mov rax, cr3
        mov rdi, rax
        or rdi, 8                     ; slot 1 of the root
        push 0
        push rdi
        mov rdi, rsp
        mov esi, 1
        xor edx, edx
        mov r10d, 0x7ff0
        mov eax, mmu_update
        syscall
        lea rbx, [rip + results]
        mov [rbx], rax
        add rbx, 8
${shutdown(0)}
results: .byte 0`
  const run = runOf(source, { notes: { 15: word(0x80_0000_0000n) }, memory: 0x41000 })
  const { xen, start, layout } = run.machine
  assert.ok(layout)
  const large = layout.mappings.find(({ isLarge }) => isLarge)
  assert.ok(large)
  const lo = start.vcpu.load64(layout.p2mList.va + large.pfn * 8)
  const held = () => xen.memory.u32[xen.memory.record(lo + 100)] & 0xffff
  assert.equal(held(), 1)
  assert.equal(run.runToEnd(), 'poweroff')
  assert.deepEqual(resultsOf(run, 1), [0])
  assert.equal(held(), 0)
  assert.deepEqual(auditMachine(xen), [])
})

test('dom0 from the command line, and what is said of what cannot be', () => {
  const good = join(folder, 'good')
  writeFileSync(good, kernelOf(`${say('text', 3)}${shutdown(0)}\n${bytes('text', 'ok\n')}`))
  const { status, stdout, stderr } = xenolith([
    'boot',
    '--kernel',
    good,
    '--dom0',
    '--map',
    MAP,
    '--dom0-mem',
    '64M',
  ])
  assert.deepEqual([status, stdout], [0, 'ok\n'])
  assert.match(stderr, /^xenolith: dom0 powered off, /)
  for (const [words, says] of [
    [['--dom0'], /a dom0 needs the machine's map/],
    [['--map', MAP], /--map is for a dom0; give --dom0, too/],
    [['--dom0-mem', '64M'], /--dom0-mem is for a dom0/],
    [['--dom0', '--map', MAP, '--memory', '64M'], /give --dom0-mem to a dom0/],
    [['--dom0', '--map', MAP, '--no-e820'], /--no-e820 is for guests/],
    [['--dom0', '--map', 'nowhere'], /no map is named "nowhere"/],
    [['--dom0', '--map', MAP, '--dom0-mem', '9G'], /too large for the machine/],
  ] as const) {
    const run = xenolith(['boot', '--kernel', good, ...words])
    assert.equal(run.status, 2, run.stdout)
    assert.match(run.stderr, says)
  }
  const trace = join(folder, 'trace.jsonl')
  assert.equal(
    xenolith([
      'boot',
      '--kernel',
      good,
      '--dom0',
      '--map',
      MAP,
      '--dom0-mem',
      '64M',
      '--mfn',
      '5=2000',
      '--trace',
      trace,
    ]).status,
    0,
  )
  assert.match(xenolith(['who', 'pfn:5', '--trace', trace]).stdout, /mfn 2000|mfn 0x2000/)
  assert.throws(() => runOf('over: jmp over', { memory: 0x100 }), BadInput)
})
