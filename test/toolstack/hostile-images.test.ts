import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { BadInput } from '../../src/bits/bad-input.ts'
import { readKallsyms } from '../../src/guest/symbols/kallsyms.ts'
import { Memory } from '../../src/machine/memory.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { buildDom0Machine } from '../../src/run/kernel/dom0-machine.ts'
import { buildKernelMachine } from '../../src/run/kernel/kernel-machine.ts'
import { unpackInitrd, unpackKernel } from '../../src/toolstack/image/bzimage.ts'
import { readImage } from '../../src/toolstack/image/image.ts'
import { DecoderMemory } from '../../src/toolstack/image/payload/decoder-memory.ts'
import { unfilterX86 } from '../../src/toolstack/image/payload/x86-filter.ts'
import { parseXlConfig } from '../../src/toolstack/xl-config.ts'
import { Random } from '../tools/random.ts'
import { manyMarkers } from '../tools/tiny-kallsyms.ts'
import { BASE, bzImage, kernelCode, TEXT, tinyKernel, word } from '../tools/tiny-kernel.ts'

/** Files that are made to take for ever, or all memory: most of these tests would not end without the limit that they are about. */

const CODE = kernelCode('stay: jmp stay')

/** An ELF file with these program headers behind a good one's code and notes. */
function withHeaders(count: number, header: (n: number) => Buffer): Buffer {
  const good = tinyKernel(CODE)
  const file = Buffer.concat([
    good.subarray(0, 64),
    good.subarray(64, 64 + 56),
    ...Array.from({ length: count }, (_, n) => header(n)),
    good,
  ])
  // What the good one's headers say of places in the file.
  const shift = BigInt(56 * (count + 1) + 64)
  file.writeUInt16LE(count + 1, 56)
  file.writeBigUInt64LE(file.readBigUInt64LE(64 + 8) + shift, 64 + 8)
  return file
}

function programHeader(
  type: number,
  offset: number,
  physical: bigint,
  bytes: number,
  memory: number,
): Buffer {
  const header = Buffer.alloc(56)
  header.writeUInt32LE(type, 0)
  header.writeBigUInt64LE(BigInt(offset), 8)
  header.writeBigUInt64LE(physical, 24)
  header.writeBigUInt64LE(BigInt(bytes), 32)
  header.writeBigUInt64LE(BigInt(memory), 40)
  return header
}

const refuses = (file: Uint8Array, message: RegExp): void =>
  assert.throws(
    () => readImage(file, 'k'),
    (error) => error instanceof BadInput && message.test(error.message) && error.message.length < 300,
  )

test('notes that lie over each other, sixty thousand times', () => {
  const area = Buffer.alloc(12_000)
  const file = withHeaders(60_000, () => programHeader(4, 64, 0n, area.length, 0))
  refuses(file, /its notes lie over each other/)
})

test('sections whose names have no end', () => {
  const file = Buffer.alloc(64 + 60_000 * 64 + 4096, 0x41)
  tinyKernel(CODE).copy(file, 0, 0, 64)
  file.writeUInt16LE(1, 56)
  programHeader(1, 0, TEXT, 16, 4096).copy(file, 64)
  file.writeBigUInt64LE(64n, 32)
  file.writeBigUInt64LE(128n, 40)
  file.writeUInt16LE(59_000, 60)
  file.writeUInt16LE(0, 62)
  for (let n = 0; n < 59_000; n++) {
    const at = 128 + n * 64
    file.writeUInt32LE(n, at)
    file.writeUInt32LE(1, at + 4)
    file.writeBigUInt64LE(128n, at + 24)
    file.writeBigUInt64LE(0n, at + 32)
  }
  refuses(file, /no notes of Xen's/)
})

test('segments that each take all of memory', () => {
  const file = withHeaders(1000, () => programHeader(1, 64, TEXT, 16, 2 ** 30))
  const notes = tinyKernel(CODE)
  // The notes of the good kernel, where it is now.
  const shift = 56 * 1001 + 64
  const header = notes.subarray(64 + 56, 64 + 112)
  header.writeBigUInt64LE(header.readBigUInt64LE(8) + BigInt(shift), 8)
  header.copy(file, 64 + 56)
  refuses(file, /its segments lie over each other/)
})

test('texts of notes are not told at length', () => {
  const long = Buffer.alloc(2 ** 20, 'x')
  refuses(tinyKernel(CODE, { notes: { 5: long } }), /made for "x{40}…", not xen-3\.0/)
  refuses(tinyKernel(CODE, { notes: { 8: long } }), /it wants the loader "x{40}…"/)
})

test('addresses that a domain cannot have', () => {
  const build = (notes: Record<number, Uint8Array>): void => {
    const kernel = { name: 'k', bytes: tinyKernel(CODE, { notes }) }
    buildKernelMachine({ kernel, memory: 8192 }, () => {}, undefined, new Memory(64 << 20))
  }
  // In Xen's slots, on no page, and a p2m list that reaches into the kernel.
  assert.throws(
    () => build({ 1: word(0xffff_8000_0010_0000n), 3: word(0xffff_8000_0000_0000n) }),
    /addresses are Xen's/,
  )
  assert.throws(() => build({ 3: word(BASE - 1n), 4: word(2n ** 64n - 1n) }), /a segment lies nowhere/)
  assert.throws(() => build({ 15: word(BASE - 4096n) }), /addresses are used twice/)
  assert.throws(() => build({ 15: word(0xffff_8000_0000_0000n) }), /addresses are Xen's/)
  build({ 15: word(0x80_0000_0000n) })
})

test('whatever the notes say, the domain that is built keeps the rules', () => {
  const random = new Random(5, 'notes')
  const memory = new Memory(64 << 20)
  const some = [
    0n,
    1n,
    4096n,
    BASE,
    BASE + TEXT,
    0x80_0000_0000n,
    0xffff_8000_0000_0000n,
    0xffff_87ff_ffff_f000n,
    0x7fff_ffff_f000n,
    2n ** 64n - 4096n,
  ]
  let built = 0
  for (let i = 0; i < 400; i++) {
    const notes: Record<number, Uint8Array> = {}
    for (const type of [1, 2, 3, 4, 15, 16]) {
      if (!random.once(3)) continue
      const near = BigInt(random.pick([-4096, -1, 0, 0, 0, 1, 4096, 2 ** 21, 2 ** 30]))
      notes[type] = word(BigInt.asUintN(64, random.pick(some) + near))
    }
    const kernel = { name: 'k', bytes: tinyKernel(CODE, { notes, room: random.pick([0, 5000, 2 ** 20]) }) }
    const ramdisk = { name: 'i', bytes: new Uint8Array(random.pick([0, 1, 4096, 9000])) }
    const options = { kernel, ramdisk, memory: random.pick([1024, 2048, 4099, 6000]) }
    try {
      const { xen } =
        i % 2 === 0
          ? buildKernelMachine(options, () => {}, undefined, memory)
          : buildDom0Machine(
              { ...options, dom0: { map: 'xen416-qemu-tcg-2gb' } },
              () => {},
              undefined,
              memory,
            )
      assert.deepEqual(auditMachine(xen), [], `kernel ${i}`)
      built++
    } catch (error) {
      assert.ok(error instanceof BadInput, `kernel ${i}: ${(error as Error).stack}`)
    }
  }
  assert.ok(built > 20, `${built} were built`)
})

test('bombs are unpacked to the size of the guest and no further', () => {
  const room = 64 * 2 ** 20
  const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20))
  assert.throws(
    () => unpackInitrd(bomb, 'i', room),
    /^BadInput: i: unpacked it has more than the guest's memory of 64 MiB/,
  )
  assert.throws(() => unpackKernel(bomb, 'k', room), /longer than it says/)
  // One that says to be small is found out while it is unpacked.
  const liar = Buffer.from(bomb)
  liar.writeUInt32LE(1000, liar.length - 4)
  assert.throws(() => unpackInitrd(liar, 'i', room), /more than the guest's memory/)
  assert.throws(
    () => unpackInitrd(Buffer.concat([bomb, gzipSync('x')]), 'i', room),
    /more than the guest's memory/,
  )
  // A kernel that says to have a GiB and has nothing: LZMA, with nothing behind its head.
  const header = Buffer.alloc(18)
  header[0] = 0x5d
  header.writeUInt32LE(2 ** 23, 1)
  header.writeUInt32LE(2 ** 30, 5)
  assert.throws(() => unpackKernel(bzImage(header, 2 ** 30), 'k'), /it is cut off|does not begin/)
  assert.throws(() => unpackKernel(bzImage(deflateRawSync('x'), 2 ** 31), 'k'), BadInput)
})

test('the filter for x86 code comes to an end on any bytes', () => {
  const random = new Random(2, 'filter')
  for (let i = 0; i < 400; i++) {
    const bytes = Uint8Array.from({ length: 600 }, () =>
      random.pick([0xe8, 0xe9, 0, 0xff, 0xff, 0, 0x7f, random.between(0, 256)]),
    )
    const memory = new DecoderMemory({ ownBytes: 0, outputBytes: bytes.length })
    memory.output().set(bytes)
    unfilterX86(memory, memory.start, bytes.length)
  }
})

test('what looks like symbols all over is given up', () => {
  assert.equal(readKallsyms(manyMarkers(100_000)), null)
  const random = new Random(4, 'symbols')
  const file = Buffer.from(manyMarkers(300))
  for (let i = 0; i < 60; i++) {
    const bytes = Buffer.from(file)
    for (let n = 0; n < 20; n++) bytes.writeUInt32LE(random.bits(), random.between(0, bytes.length - 4))
    readKallsyms(bytes.subarray(0, random.between(0, bytes.length)))
  }
})

test('configurations of a hundred thousand brackets, additions and blanks', () => {
  const wrong = (text: string, message: RegExp): void =>
    assert.throws(
      () => parseXlConfig(text, 'c'),
      (error) => error instanceof BadInput && message.test(error.message),
    )
  wrong(`a = ${'['.repeat(100_000)}`, /lists lie too deep in lists/)
  wrong(`a = ${'[['.repeat(50_000)}`, /too deep/)
  wrong(`${' '.repeat(5_000_000)}=`, /a name is expected/)
  wrong(`a = 1 ${'\\\n'.repeat(1_000_000)} b`, /goes on where it should end/)
  const { ignored } = parseXlConfig(`${'disk += ["x"]\n'.repeat(300_000)}kernel = "k"`, 'c')
  assert.deepEqual(ignored, ['disk'])
  assert.equal(parseXlConfig(`extra = "${'x'.repeat(1_000_000)}"`, 'c').append?.length, 1_000_000)
  assert.deepEqual(parseXlConfig('a = [ [ 1, [ 2 ] ], "x" ]', 'c').ignored, ['a'])
})
