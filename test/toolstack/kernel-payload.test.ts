import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { BadInput } from '../../src/bits/bad-input.ts'
import { unpackInitrd, unpackKernel } from '../../src/toolstack/image/bzimage.ts'
import { LZ4_LEGACY_MAGIC, unpackLz4 } from '../../src/toolstack/image/payload/lz4.ts'
import { Random } from '../tools/random.ts'
import { howMany } from '../tools/sample.ts'
import { bzImage, tinyKernel } from '../tools/tiny-kernel.ts'
import { needs } from '../tools/tools.ts'

/** Real x86 code, which the filter for it changes: the middle of the program that runs this. */
function realCode(bytes: number): Buffer {
  const file = openSync(process.execPath, 'r')
  const code = Buffer.alloc(bytes)
  readSync(file, code, 0, bytes, 24 << 20)
  closeSync(file)
  return code
}

/** A kernel with code in it, with runs of one byte and with noise: what packers treat differently. */
function content(): Buffer {
  const random = new Random(7)
  const noise = Buffer.from(Array.from({ length: 70_000 }, () => random.between(0, 255)))
  const text = Buffer.from('the quick brown fox '.repeat(4000))
  return tinyKernel(
    Buffer.concat([realCode(howMany({ all: 3, few: 1 }) << 20), noise, Buffer.alloc(300_000), text, noise]),
  )
}

const packed = (command: string, words: readonly string[], input: Uint8Array): Buffer => {
  const { status, stdout, stderr } = spawnSync(command, words, { input, maxBuffer: 2 ** 26 })
  assert.equal(status, 0, String(stderr))
  return stdout
}

const X86_XZ = ['--check=crc32', '--x86', '--lzma2=dict=32MiB']
const PACKERS: readonly (readonly [name: string, tool: string, words: readonly string[]])[] = [
  ['xz for x86', 'xz', ['-c', ...X86_XZ]],
  ['xz without the filter', 'xz', ['-c', '--check=crc32', '--lzma2=preset=1,lc=1,lp=2,pb=0']],
  [
    'xz of several blocks, unchecked',
    'xz',
    ['-c', '--check=none', '--block-size=500KiB', '--x86', '--lzma2=preset=0'],
  ],
  ['lzma', 'xz', ['-c', '--format=lzma', '-6']],
  ['lz4', 'lz4', ['-c', '-l', '-9']],
  ['lz4, quickly', 'lz4', ['-c', '-l', '-1']],
]

for (const [name, tool, words] of PACKERS) {
  test(`a kernel packed by ${name} comes out as it went in`, { skip: needs(tool) }, () => {
    const kernel = content()
    const file = bzImage(packed(tool, words, kernel), kernel.length)
    assert.ok(kernel.equals(unpackKernel(file, 'vmlinuz')))
  })

  test(`damage to one packed by ${name} is one line`, { skip: needs(tool) }, () => {
    const kernel = content().subarray(0, 400_000)
    const payload = packed(tool, words, kernel)
    const random = new Random(3)
    const hasChecksum = words.includes('--check=crc32')
    for (let n = 0; n < 40; n++) {
      const damaged = Buffer.from(payload)
      const at = random.between(0, payload.length - 40)
      damaged[at] ^= random.between(1, 255)
      refuses(bzImage(damaged, kernel.length), hasChecksum)
      refuses(bzImage(payload.subarray(0, random.between(8, payload.length - 20)), kernel.length), true)
    }
    refuses(bzImage(payload, kernel.length + 5), true)
    refuses(bzImage(payload, kernel.length - 5), true)
  })
}

/** Unpacking throws one line, or, where nothing is checked and it need not, gives something. */
function refuses(file: Uint8Array, must: boolean): void {
  let unpacked = false
  try {
    unpackKernel(file, 'vmlinuz')
    unpacked = true
  } catch (error) {
    assert.ok(error instanceof BadInput, String(error))
    assert.match(error.message, /^vmlinuz: [^\n]+$/)
  }
  assert.ok(!(must && unpacked), 'damage went unseen')
}

test('gzip: as a payload, around an ELF file, around an initrd', () => {
  const kernel = content()
  const zipped = gzipSync(kernel)
  assert.ok(kernel.equals(unpackKernel(bzImage(zipped, null), 'vmlinuz')))
  assert.ok(kernel.equals(unpackKernel(zipped, 'vmlinux.gz')))
  assert.ok(kernel.equals(unpackInitrd(zipped, 'initrd', 2 ** 26)))
  // An initrd that is no gzip, or a damaged one, is the guest's affair.
  assert.ok(kernel.equals(unpackInitrd(kernel, 'initrd', 2 ** 26)))
  const damaged = Buffer.from(zipped)
  damaged[5000] ^= 1
  assert.ok(damaged.equals(unpackInitrd(damaged, 'initrd', 2 ** 26)))
  refuses(bzImage(damaged, null), true)
})

test('zstd, with windows as large as kernels have', { skip: needs('zstd') }, () => {
  const kernel = content()
  const payload = packed('zstd', ['-c', '-22', '--ultra', '--no-check'], kernel)
  assert.ok(kernel.equals(unpackKernel(bzImage(payload, kernel.length), 'vmlinuz')))
  refuses(bzImage(payload.subarray(0, 5000), kernel.length), true)
})

test('lz4 that goes on beyond its content, or says to, ends', () => {
  const lz4 = (...block: number[]): Uint8Array =>
    Uint8Array.from([...LZ4_LEGACY_MAGIC, block.length, 0, 0, 0, ...block])
  const sequence = [0x40, 1, 2, 3, 4, 4, 0]
  const message = (bytes: Uint8Array, size: number): string => {
    try {
      return unpackLz4(bytes, size).join(' ')
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.equal(message(lz4(...sequence, 0), 8), '1 2 3 4 1 2 3 4')
  assert.equal(message(lz4(...sequence, ...sequence), 8), 'a block is longer than it says')
  assert.equal(message(lz4(...sequence, 0, 4, 0), 8), 'it is longer than it says')
  assert.equal(message(lz4(...sequence, 0, 9, 0), 8), 'it copies from before its beginning')
  assert.equal(message(lz4(...sequence, 0), 9), 'it is cut off')
  // Lengths that add up to more than 2^32.
  const endless = new Uint8Array(17_000_000).fill(255)
  endless.set([...LZ4_LEGACY_MAGIC, 0, 0, 0, 1, 0xf0])
  endless[endless.length - 1] = 0
  assert.equal(message(endless, 9), 'a block is cut off')
  new DataView(endless.buffer).setUint32(4, endless.length - 8, true)
  assert.equal(message(endless, 9), 'a block is longer than it says')
})

test('what is no kernel is told what it is', () => {
  const message = (file: Uint8Array): string => {
    try {
      unpackKernel(file, 'k')
    } catch (error) {
      return (error as Error).message
    }
    return ''
  }
  assert.match(message(new Uint8Array(0)), /^k: neither an ELF file nor a bzImage/)
  assert.match(message(Buffer.from('hello\n'.repeat(500))), /^k: neither/)
  assert.match(message(gzipSync('hello')), /^k: what is packed in it is no ELF file/)
  assert.match(message(bzImage(Buffer.from('BZh91AY&SY'.repeat(9)), 100)), /bzip2, which is not supported/)
  assert.match(message(bzImage(Buffer.alloc(100, 0x33), 100)), /packed in a way that is not known/)
  const cut = bzImage(Buffer.alloc(5000), 9)
  assert.match(message(cut.subarray(0, cut.length - 1)), /cut off in its packed kernel/)
  cut.writeUInt16LE(0x207, 0x206)
  assert.match(message(cut), /before Linux 2\.6\.26/)
})
