import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { Guest } from '../../src/guest/guest.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { bootProbe } from '../../src/run/script/probe-boot.ts'
import { scriptMachine } from '../../src/run/script/script-machine.ts'
import { PROBE } from '../../src/script/layout.ts'
import { readImage } from '../../src/toolstack/image/image.ts'
import { Random } from '../tools/random.ts'

const BASE = 0xffff_ffff_8000_0000n
const TEXT = BASE + 0x10_0000n

/** A note of Xen's: sizes, type, name, content. */
function note(type: number, content: Uint8Array): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt32LE(4, 0)
  head.writeUInt32LE(content.length, 4)
  head.writeUInt32LE(type, 8)
  head.write('Xen', 12)
  return Buffer.concat([head, content, Buffer.alloc(-content.length & 3)])
}

function word(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

/** A kernel image with this code at its entry, the first address of text. */
function imageOf(code: Uint8Array): Buffer {
  const notes = Buffer.concat([note(1, word(TEXT)), note(3, word(BASE)), note(5, Buffer.from('xen-3.0\0'))])
  const header = Buffer.alloc(64 + 2 * 56)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(2, 16)
  header.writeUInt16LE(62, 18)
  header.writeBigUInt64LE(TEXT, 24)
  header.writeBigUInt64LE(64n, 32)
  header.writeUInt16LE(56, 54)
  header.writeUInt16LE(2, 56)
  const segment = (n: number, type: number, offset: number, va: bigint, bytes: number): void => {
    const at = 64 + n * 56
    header.writeUInt32LE(type, at)
    header.writeBigUInt64LE(BigInt(offset), at + 8)
    header.writeBigUInt64LE(va, at + 16)
    header.writeBigUInt64LE(va === 0n ? 0n : va - BASE, at + 24)
    header.writeBigUInt64LE(BigInt(bytes), at + 32)
    header.writeBigUInt64LE(BigInt(bytes), at + 40)
  }
  segment(0, 1, header.length, TEXT, code.length)
  segment(1, 4, header.length + code.length, 0n, notes.length)
  return Buffer.concat([header, code, notes])
}

test('an image tells its entry, its base and its parts', () => {
  const image = readImage(imageOf(Buffer.from('90f4', 'hex')))
  assert.equal(image.entry, PROBE.code)
  assert.equal(image.virtBase, PROBE.base)
  assert.deepEqual(
    image.segments.map(({ va, bytes }) => [va, bytes.length]),
    [[PROBE.code, 2]],
  )
})

test('whatever is no image gets one line', () => {
  const whole = imageOf(new Uint8Array(64))
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

/** A machine whose dom0 runs this code. */
function guestWith(code: Uint8Array): { guest: Guest; recount: () => unknown; lines: () => string[] } {
  const { xen, vcpu } = scriptMachine({ xen: '4.17', domain: 'dom0', scriptBytes: 1 })
  const text = vcpu.tryReadable(PROBE.code) * 4
  xen.memory.u8.set(code, text)
  vcpu.tlb.flush()
  const guest = new Guest(xen, vcpu, PROBE.code)
  const lines = (): string[] => xen.console.lines.map(({ text: line }) => line)
  return { guest, recount: () => recountMachine(xen), lines }
}

test('a guest says what it has to say, and shuts down', () => {
  // console_io(write, 3, message); sched_op(shutdown, &reason).
  const code = Buffer.from(
    `b812000000 31ff be03000000 488d1535000000 0f05
     b81d000000 bf02000000 488d3526000000 0f05 ebfe`.replace(/\s/g, ''),
    'hex',
  )
  const page = Buffer.alloc(256)
  code.copy(page)
  page.write('Hi\n', 0x48)
  // rip-relative: the message behind the first lea, the reason behind the second.
  page.writeInt32LE(0x48 - 19, 15)
  page.writeInt32LE(0x60 - 38, 34)
  const { guest, lines } = guestWith(page)
  assert.equal(guest.run(10_000), 'shutdown')
  assert.ok(lines().includes('Hi'), lines().join('\n'))
})

test('a guest without handlers dies of its fault, with a dump that knows its registers', () => {
  const { guest, lines } = guestWith(Buffer.from('bb78563412 48 8b0425 00000000'.replace(/\s/g, ''), 'hex'))
  assert.equal(guest.run(10_000), 'crash')
  const dump = lines().join('\n')
  assert.match(dump, /RIP:\s+e033:\[<ffffffff80100005>\]/)
  assert.match(dump, /rbx: 0000000012345678/)
  assert.match(dump, /cr2: 0000000000000000/)
})

test('random bytes as a kernel end in nothing worse than the end of the domain', () => {
  const random = new Random(7)
  const ends = new Map<string, number>()
  for (let n = 0; n < 300; n++) {
    const code = new Uint8Array(2048)
    for (let i = 0; i < code.length; i++) code[i] = random.bits()
    // Hypercalls with arguments of all kinds, now and then.
    for (let i = 0; i < 40; i++) {
      const at = random.between(0, 2040)
      code.set([0xb0, random.between(0, 48), 0x0f, 0x05], at)
    }
    const { guest, recount } = guestWith(code)
    guest.cpu.setRegister(7, PROBE.data >>> 0, 0xffff_ffff)
    const end = guest.run(20_000)
    ends.set(end, (ends.get(end) ?? 0) + 1)
    if (n % 20 === 0) assert.deepEqual(recount(), [])
  }
  assert.ok((ends.get('crash') ?? 0) > 10, JSON.stringify([...ends]))
})

test('a probe that is none is told so', () => {
  const options = { xen: '4.17', domain: 'dom0', frames: null, budget: 1000 } as const
  assert.throws(() => bootProbe(Buffer.from('no kernel'), 'info', options), /^BadInput: probe: no ELF file/)
})
