import type { Random } from '../test/tools/random.ts'

/** Inputs made of good ones: bytes, lines and values changed here and there. */

const BYTES = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x1b, 0x20, 0x30, 0x5b, 0x22, 0x5c]
const SIZES = [1, 2, 4, 8]
const INTERESTING = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
]

/** Change a few places of a file of whatever format. */
export function mutateBytes(input: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(input)
  for (let n = random.pick([1, 1, 1, 2, 4, 16]); n > 0; n--) bytes = changed(bytes, random)
  return bytes
}

function changed(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.between(0, bytes.length + 1)
  const length = Math.min(bytes.length - at, random.pick([1, 2, 4, 8, 16, 64, 1024]))
  switch (random.between(0, 9)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    case 2:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    case 3: {
      const other = random.between(0, bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(other, other + length), bytes.subarray(at)])
    }
    case 4:
      bytes.fill(random.pick(BYTES), at, at + length)
      return bytes
    case 5:
      for (let i = at; i < at + length; i++) bytes[i] = random.between(0, 256)
      return bytes
    case 6:
      if (at < bytes.length) bytes[at] ^= 1 << random.between(0, 8)
      return bytes
    default:
      return withNumber(bytes, at, random)
  }
}

/** A number of two, four or eight bytes is one that means much, or is a little other than it was. */
function withNumber(bytes: Uint8Array, at: number, random: Random): Uint8Array {
  const size = random.pick(SIZES)
  const from = random.once(2) ? at - (at % size) : at
  if (from + size > bytes.length) return bytes
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const word = Buffer.alloc(8)
  view.copy(word, 0, from, from + size)
  const old = word.readBigUInt64LE()
  const value = random.once(2) ? random.pick(INTERESTING) : old + BigInt(random.between(-16, 17))
  word.writeBigUInt64LE(BigInt.asUintN(64, value))
  word.copy(view, from, 0, size)
  return bytes
}

const WORDS = [
  '',
  '0',
  '-1',
  '1e400',
  '99999999999999999999',
  '0x',
  '0xffffffffffffffff',
  'NaN',
  'null',
  '\t',
  '\r',
  '\u001b[31m',
  '\u009b',
  '\u202e',
  '\u0000',
  '\ufeff',
  '"',
  "'",
  '\\',
  '[',
  ']',
  '{',
  '}',
  '=',
  ',',
  ':',
  '#',
  '|',
  '$',
  '@',
  '%',
  '/',
  '..',
  '__proto__',
  'constructor',
  'é',
  '😀',
]

/** Change a text, by lines and words. */
export function mutateText(text: string, random: Random): string {
  let lines = text.split('\n')
  for (let n = random.pick([1, 1, 2, 4, 12]); n > 0; n--) lines = changedLines(lines, random)
  return lines.join('\n')
}

function changedLines(lines: readonly string[], random: Random): string[] {
  const at = random.between(0, Math.max(1, lines.length))
  const line = lines[at] ?? ''
  const withLine = (...some: string[]): string[] => [...lines.slice(0, at), ...some, ...lines.slice(at + 1)]
  switch (random.between(0, 9)) {
    case 0:
      return withLine()
    case 1:
      return withLine(line, line)
    case 2:
      return withLine(line, lines[random.between(0, lines.length)] ?? '')
    case 3:
      return withLine(line.repeat(random.pick([2, 10, 100])).slice(0, 20_000))
    case 4: {
      const word = random.pick(WORDS)
      return withLine(line + word.repeat(random.pick([1, 10, 1000, 4000])))
    }
    case 5: {
      const cut = random.between(0, line.length + 1)
      return withLine(line.slice(0, cut), line.slice(cut))
    }
    case 6: {
      const numbers = [...line.matchAll(/[0-9a-fx]*[0-9][0-9a-fx]*/g)]
      if (numbers.length === 0) return withLine(line)
      const { 0: number, index } = random.pick(numbers)
      const other = random.pick([
        '0',
        '1',
        '-1',
        '4095',
        '4096',
        '0xffffffff',
        '18446744073709551615',
        '1'.repeat(400),
      ])
      return withLine(line.slice(0, index) + other + line.slice(index + number.length))
    }
    default: {
      const [from, to] = [random.between(0, line.length + 1), random.between(0, line.length + 1)].sort(
        (a, b) => a - b,
      )
      return withLine(line.slice(0, from) + random.pick(WORDS) + line.slice(random.once(2) ? from : to))
    }
  }
}

const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1,
  0.5,
  1e300,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  '',
  '0',
  'x',
  '\u001b[31mred',
  '__proto__',
  [],
  {},
  [[]],
  [0],
  ['x'],
  { n: 1 },
]

/** Change a value of JSON in a few places: other kinds of values, more and fewer of them, other names. */
export function mutateJson(value: unknown, random: Random): unknown {
  const copy = structuredClone(value)
  const root = { value: copy }
  for (let n = random.pick([1, 1, 1, 2, 4]); n > 0; n--) {
    const places = placesOf(root)
    if (places.length > 0) change(random.pick(places), random)
  }
  return root.value
}

/** A value as JSON; what JSON cannot say is nothing. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value) ?? ''
}

type Place = { readonly of: Record<string, unknown> | unknown[]; readonly key: string }

function placesOf(root: object): Place[] {
  const places: Place[] = []
  const visit = (of: object): void => {
    for (const [key, value] of Object.entries(of)) {
      places.push({ of: of as Place['of'], key })
      // Of long lists the first ones are as good as any.
      if (places.length > 2000) return
      if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) visit(value)
    }
  }
  visit(root)
  return places
}

function change({ of, key }: Place, random: Random): void {
  const holder = of as Record<string, unknown>
  const value = holder[key]
  switch (random.between(0, 8)) {
    case 0:
      if (Array.isArray(of)) of.splice(Number(key), 1)
      else delete holder[key]
      return
    case 1:
      if (Array.isArray(of)) of.push(structuredClone(value))
      else holder[random.pick(['__proto__x', 'extra', 'length', 'toString'])] = value
      return
    case 2:
      if (typeof value === 'number')
        holder[key] = value + random.pick([-1, 1, 0.5, 2 ** 31, -(2 ** 31), 1e15])
      else if (typeof value === 'string') holder[key] = mutateText(value, random)
      else if (Array.isArray(value)) holder[key] = [...value, ...value]
      return
    case 3:
      if (typeof value === 'string') holder[key] = value.repeat(random.pick([2, 1000]))
      else if (typeof value === 'number') holder[key] = -value
      else if (Array.isArray(value)) value.reverse()
      return
    case 4: {
      let deep: unknown = value
      for (let i = random.pick([1, 10, 1000]); i > 0; i--) deep = [deep]
      holder[key] = deep
      return
    }
    default:
      holder[key] = structuredClone(random.pick(VALUES))
  }
}
