import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { BadPayload } from '../../src/toolstack/image/payload/bad-payload.ts'
import { unpackLzmaAlone } from '../../src/toolstack/image/payload/lzma/lzma-alone.ts'
import { unpackXz } from '../../src/toolstack/image/payload/xz.ts'
import { Random } from '../tools/random.ts'
import { howMany } from '../tools/sample.ts'
import { needs } from '../tools/tools.ts'

/** Streams that the tool `xz` makes, with options as nobody gives them: they come out as they went in. */

function xz(words: readonly string[], input: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync('xz', ['-c', ...words], { input, maxBuffer: 2 ** 26 })
  assert.equal(status, 0, `${words.join(' ')}: ${stderr}`)
  return stdout
}

/** Bytes of all sorts: noise, runs of one byte and of short patterns, what was there before, calls and jumps. */
function someContent(random: Random, bytes: number): Buffer {
  const content = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; ) {
    const length = Math.min(bytes - at, random.pick([1, 3, 10, 80, 700, 5000]))
    const part = content.subarray(at, at + length)
    switch (random.between(0, 5)) {
      case 0:
        for (let i = 0; i < length; i++) part[i] = random.between(0, 256)
        break
      case 1:
        part.fill(Buffer.from(Array.from({ length: random.between(1, 40) }, () => random.between(0, 256))))
        break
      case 2:
        for (let i = 0; i < length; i++) part[i] = random.pick([0xe8, 0xe9, 0, 0xff, 0x12, 0x7f])
        break
      case 3:
        for (let i = 0; i < length; i++) part[i] = 0x20 + ((random.between(0, 8) * i) % 90)
        break
      default:
        if (at > 0) part.fill(content.subarray(random.between(0, at), at))
    }
    at += length
  }
  return content
}

function someOptions(random: Random): readonly string[] {
  const lc = random.between(0, 5)
  const lp = random.between(0, 5 - lc)
  const dict = random.pick(['4KiB', '10KiB', '64KiB', '1MiB', '32MiB'])
  const finder = random.pick(['mf=hc3,mode=fast', 'mf=bt4,mode=normal', 'mf=bt2,mode=normal,nice=273'])
  return [
    `--check=${random.pick(['none', 'crc32'])}`,
    ...random.pick([[], [], ['--block-size=1000'], ['--block-size=70000'], ['-T2', '--block-size=4096']]),
    ...random.pick([[], ['--x86']]),
    `--lzma2=dict=${dict},lc=${lc},lp=${lp},pb=${random.between(0, 5)},${finder}`,
  ]
}

test('streams of all options come out as they went in', { skip: needs('xz') }, () => {
  const random = new Random(11, 'xz')
  for (let i = 0; i < howMany({ all: 400, few: 40 }); i++) {
    const content = someContent(random, random.pick([1, 2, 300, 5000, 66_000, 66_000, 300_000]))
    const options = someOptions(random)
    const unpacked = unpackXz(xz(options, content), content.length)
    assert.ok(content.equals(unpacked), options.join(' '))
  }
})

test('an empty stream is nothing', { skip: needs('xz') }, () => {
  assert.equal(unpackXz(xz(['--check=crc32'], new Uint8Array(0)), 0).length, 0)
})

test('LZMA alone, with its size and with a marker at its end', { skip: needs('xz') }, () => {
  const random = new Random(12, 'lzma')
  for (let i = 0; i < howMany({ all: 60, few: 10 }); i++) {
    const content = someContent(random, random.pick([1, 400, 66_000, 300_000]))
    // Others than these properties have no magic by which a kernel's would be known.
    const packed = xz(['--format=lzma', '--lzma1=dict=64KiB'], content)
    assert.ok(content.equals(unpackLzmaAlone(packed, content.length)), `case ${i}`)
    // The tool marks the end and leaves the size open.
    assert.equal(packed.readBigUInt64LE(5), 2n ** 64n - 1n)
    assert.throws(() => unpackLzmaAlone(packed, content.length + 1), BadPayload)
    if (content.length > 1) assert.throws(() => unpackLzmaAlone(packed, content.length - 1), BadPayload)
  }
})

test('checks and filters that no kernel has are named', { skip: needs('xz') }, () => {
  const content = someContent(new Random(13), 5000)
  const refuses = (words: readonly string[], message: RegExp): void =>
    assert.throws(() => unpackXz(xz(words, content), content.length), message)
  refuses(['--check=crc64'], /^BadPayload: it has check 4; kernels have CRC32, or none$/)
  refuses(['--check=sha256'], /^BadPayload: it has check 10; kernels have CRC32, or none$/)
  refuses(
    ['--check=crc32', '--delta=dist=4', '--lzma2'],
    /^BadPayload: it has filters 3, 33; kernels for x86/,
  )
  refuses(['--check=crc32', '--arm', '--lzma2'], /^BadPayload: it has filters 7, 33; kernels for x86/)
  refuses(
    ['--check=crc32', '--x86', '--x86', '--lzma2'],
    /^BadPayload: it has filters 4, 4, 33; kernels for x86/,
  )
})

test('whatever bytes of a stream change, it comes out as it was or is refused', { skip: needs('xz') }, () => {
  const random = new Random(14, 'damage')
  const content = someContent(random, 120_000)
  for (const words of [
    ['--check=crc32', '--x86', '--lzma2'],
    ['--check=none', '--block-size=9000'],
  ]) {
    const packed = xz(words, content)
    for (let i = 0; i < howMany({ all: 3000, few: 300 }); i++) {
      const damaged = Buffer.from(packed)
      for (let n = random.between(1, 4); n > 0; n--) {
        damaged[random.between(0, random.pick([60, packed.length]))] = random.pick([0, 1, 0x80, 0xe0, 0xff])
      }
      try {
        const unpacked = unpackXz(damaged, content.length)
        assert.equal(unpacked.length, content.length)
        if (words[0] === '--check=crc32') assert.ok(content.equals(unpacked), `case ${i}`)
      } catch (error) {
        assert.ok(error instanceof BadPayload, String((error as Error).stack))
      }
    }
  }
})
