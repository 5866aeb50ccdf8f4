import { word } from './tiny-kernel.ts'

/** Symbols as kernels carry them for their own messages, in every form that there was. Linux: scripts/kallsyms.c. */

const BASE = 0xffff_ffff_8100_0000n
export const VA = Number(BigInt.asUintN(48, BASE))
export const COUNT = 1000

/** Symbols as Linux's build packs them: a name is its type and itself, and here every character is a token of its own. */
export const names = Array.from({ length: COUNT }, (_, i) =>
  i === 700 ? `t${'long_'.repeat(40)}` : `T${'function_'.repeat(1 + (i % 3))}${i}`,
)
const offsets = names.map((_, i) => i * 0x40)

const aligned = (...parts: readonly Uint8Array[]): Buffer => {
  const whole = Buffer.concat(parts)
  return Buffer.concat([whole, Buffer.alloc(-whole.length & 7)])
}
const u32 = (values: readonly number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer)
const u16 = (values: readonly number[]): Buffer => Buffer.from(Uint16Array.from(values).buffer)

function parts(markerBytes: 4 | 8) {
  const entries = names.map((name) => {
    const length = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7]
    return Buffer.from([...length, ...Buffer.from(name)])
  })
  const starts: number[] = []
  let at = 0
  for (const entry of entries) {
    starts.push(at)
    at += entry.length
  }
  const markers = starts.filter((_, i) => i % 256 === 0)
  const tokens = Array.from({ length: 256 }, (_, i) =>
    i >= 0x20 && i < 0x7f ? String.fromCharCode(i) : `token${i}`,
  )
  const index: number[] = []
  at = 0
  for (const token of tokens) {
    index.push(at)
    at += token.length + 1
  }
  return {
    names: aligned(...entries),
    markers: aligned(markerBytes === 4 ? u32(markers) : Buffer.concat(markers.map((m) => word(BigInt(m))))),
    tokens: aligned(Buffer.from(tokens.map((token) => `${token}\0`).join(''), 'latin1')),
    index: aligned(u16(index)),
    order: aligned(Buffer.from(names.flatMap((_, i) => [0, (i * 7) >> 8, (i * 7) & 255]))),
    number: word(BigInt(COUNT)),
    base: word(BASE),
  }
}

const old = parts(8)
export const recent = parts(4)
/** Places in the area of each CPU are numbers of their own; the others count backwards from the base. */
const perCpu = offsets.map((offset, i) => (i < 3 ? i * 8 : (-1 - offset) >>> 0))
export const FORMS: readonly (readonly [name: string, parts: readonly Uint8Array[]])[] = [
  [
    'of 2.6 to 4.5: addresses',
    [
      ...offsets.map((o) => word(BASE + BigInt(o))),
      old.number,
      old.names,
      old.markers,
      old.tokens,
      old.index,
    ],
  ],
  [
    'of 4.6 and later: offsets',
    [
      aligned(u32(perCpu)),
      recent.base,
      recent.number,
      recent.names,
      recent.markers,
      recent.tokens,
      recent.index,
    ],
  ],
  [
    'of 6.2: the order before the tokens',
    [
      aligned(u32(perCpu)),
      recent.base,
      recent.number,
      recent.names,
      recent.markers,
      recent.order,
      recent.tokens,
      recent.index,
    ],
  ],
  [
    'of 6.4 and later: offsets at the end',
    [
      recent.number,
      recent.names,
      recent.markers,
      recent.tokens,
      recent.index,
      aligned(u32(offsets)),
      recent.base,
      recent.order,
    ],
  ],
]

/**
 * What looks like markers at every eighth byte, and like the number of names before each: whoever tries all of them at every
 * place is never done. With a good index behind it.
 */
export function manyMarkers(count: number): Buffer {
  const pairs = Buffer.alloc(count * 8)
  for (let at = 4; at < pairs.length; at += 8) pairs.writeUInt32LE(512, at)
  return Buffer.concat([Buffer.alloc(40_000), pairs, recent.tokens, recent.index])
}

/** Names whose last token has no end for a long time: a megabyte for each of a name's characters. */
export function longToken(): Buffer {
  const last = Buffer.alloc(2 ** 20, 'x')
  const tokens = recent.tokens.subarray(0, recent.tokens.lastIndexOf('token255'))
  const pad = Buffer.alloc(-(tokens.length + last.length + 1) & 7)
  const head = [aligned(u32(perCpu)), recent.base, recent.number, recent.names, recent.markers]
  return Buffer.concat([...head, tokens, last, Buffer.alloc(1), pad, recent.index])
}
