import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { RDI } from '../../src/machine/vcpu/vcpu.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { bootProbe } from '../../src/run/script/probe-boot.ts'
import { PROBE } from '../../src/script/layout.ts'
import { readImage } from '../../src/toolstack/image/image.ts'
import { code } from '../tools/assemble.ts'
import { PvMachine } from '../tools/pv-machine.ts'
import { Random } from '../tools/random.ts'
import { howMany } from '../tools/sample.ts'
import { kernelOf, tinyKernel } from '../tools/tiny-kernel.ts'

test('an image tells its entry, its base and its parts', () => {
  const image = readImage(kernelOf('nop\n hlt'))
  assert.equal(image.entry, PROBE.code)
  assert.equal(image.virtBase, PROBE.base)
  assert.deepEqual(
    image.segments.map(({ va, bytes }) => [va, bytes.length]),
    [[PROBE.code, 2]],
  )
})

test('whatever is no image gets one line', () => {
  const whole = tinyKernel(new Uint8Array(64))
  const random = new Random(1)
  for (let n = 0; n < 3000; n++) {
    const bytes = Uint8Array.from(whole)
    for (let i = random.between(1, 6); i > 0; i--) bytes[random.between(0, 320)] = random.bits()
    const cut = bytes.subarray(0, n % 2 === 0 ? bytes.length : random.between(0, bytes.length))
    try {
      readImage(cut, 'kernel')
    } catch (error) {
      assert.ok(error instanceof BadInput, String(error))
      assert.match(error.message, /^kernel: [^\n]*$/)
    }
  }
  assert.throws(() => readImage(new Uint8Array(3)), BadInput)
})

const linesOf = (m: PvMachine): string[] => m.xen.console.lines.map(({ text }) => text)

test('a guest says what it has to say, and shuts down', () => {
  const m = new PvMachine('4.17', true)
  const guest = m.load(`
        mov eax, console_io
        xor edi, edi              ; CONSOLEIO_write
        mov esi, 3
        lea rdx, [rip + message]
        syscall
        mov eax, sched_op
        mov edi, 2                ; SCHEDOP_shutdown
        lea rsi, [rip + reason]
        syscall
stay:   jmp stay
message: .text "Hi\\n"
reason: .dword 0`)
  assert.equal(guest.run(10_000), 'shutdown')
  assert.ok(linesOf(m).includes('Hi'), linesOf(m).join('\n'))
})

test('what a guest has written without a newline is not lost when it ends', () => {
  const write = `
        mov eax, console_io
        xor edi, edi
        mov esi, 3
        lea rdx, [rip + message]
        syscall
        jmp go
message: .text "Hi!"
go:`
  const stop = `
        mov eax, sched_op
        mov edi, 2
        lea rsi, [rip + reason]
        syscall
reason: .dword 0`
  // In 2011 a domU could write there, too: what earlyprintk=xen does first.
  const m = new PvMachine('4.1')
  assert.equal(m.load(write + stop).run(10_000), 'shutdown')
  assert.deepEqual(linesOf(m), ['Hi!'])
  const dying = new PvMachine('4.1')
  assert.equal(dying.load(`${write}\n mov rax, [0]`).run(10_000), 'crash')
  const lines = linesOf(dying)
  assert.ok(
    lines.indexOf('Hi!') >= 0 && lines.indexOf('Hi!') < lines.findIndex((l) => /crashed on cpu/.test(l)),
  )
  // Today it is refused, and the guest's own console is its ring.
  const today = new PvMachine()
  assert.equal(today.load(write + stop).run(10_000), 'shutdown')
  assert.deepEqual(linesOf(today), [])
})

test('a guest without handlers dies of its fault, with a dump that knows its registers', () => {
  const m = new PvMachine('4.17', true)
  const guest = m.load(`
        mov ebx, 0x12345678
fault:  mov rax, [0]`)
  assert.equal(guest.run(10_000), 'crash')
  const dump = linesOf(m).join('\n')
  assert.match(dump, new RegExp(`RIP:\\s+e033:\\[<ffff${m.label('fault').toString(16)}>\\]`))
  assert.match(dump, /rbx: 0000000012345678/)
  assert.match(dump, /cr2: 0000000000000000/)
})

test('random bytes as a kernel end in nothing worse than the end of the domain', () => {
  const random = new Random(7)
  const ends = new Map<string, number>()
  const kernels = howMany({ all: 300, few: 100 })
  for (let n = 0; n < kernels; n++) {
    const bytes = new Uint8Array(2048)
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.bits()
    // Hypercalls with arguments of all kinds, now and then.
    for (let i = 0; i < 40; i++) {
      const at = random.between(0, 2040)
      bytes.set(code(`mov al, ${random.between(0, 48)}\n syscall`), at)
    }
    const m = new PvMachine('4.17', true)
    const guest = m.load(bytes)
    m.vcpu.setVa(RDI, m.data)
    const end = guest.run(20_000)
    ends.set(end, (ends.get(end) ?? 0) + 1)
    if (n % 20 === 0) assert.deepEqual(recountMachine(m.xen), [])
  }
  assert.ok((ends.get('crash') ?? 0) > kernels / 30, JSON.stringify([...ends]))
})

test('a probe that is none is told so', () => {
  const options = { xen: '4.17', domain: 'dom0', frames: null, budget: 1000 } as const
  assert.throws(() => bootProbe(Buffer.from('no kernel'), 'info', options), /^BadInput: probe: no ELF file/)
})
