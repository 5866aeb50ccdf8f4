import type { Random } from './random.ts'

/** Hostile inputs made of good ones: a few places changed, the same ones for the same random numbers. */

const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]

/** Bytes with some of them changed, left out, doubled, or cut off. */
export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  let made: Uint8Array = Uint8Array.from(bytes)
  for (let n = random.pick([1, 1, 2, 4]); n > 0; n--) made = changed(random, made)
  return made
}

function changed(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.between(0, bytes.length + 1)
  const length = Math.min(bytes.length - at, random.pick([1, 2, 4, 8, 64, 1024]))
  switch (random.between(0, 6)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    case 2:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    case 3:
      for (let i = at; i < at + length; i++) bytes[i] = random.between(0, 256)
      return bytes
    case 4:
      if (at < bytes.length) bytes[at] ^= 1 << random.between(0, 8)
      return bytes
    default:
      if (at + 4 <= bytes.length) {
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, random.pick(NUMBERS), true)
      }
      return bytes
  }
}

const VALUES: readonly unknown[] = [
  null,
  true,
  '',
  'x',
  '__proto__',
  '\u001b[2J',
  -1,
  0,
  1,
  0.5,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e300,
  [],
  {},
  [[]],
  'A'.repeat(5000),
]

/** A copy of a JSON value with one to three of its parts changed. */
export function mutateJson(random: Random, value: unknown): unknown {
  const holder: { value: unknown } = { value: structuredClone(value) }
  for (let n = random.pick([1, 1, 2, 3]); n > 0; n--) {
    const places = placesIn(holder)
    if (places.length === 0) break
    const [owner, key] = places[random.between(0, places.length)]
    changePart(random, owner, key)
  }
  return holder.value ?? null
}

type Place = readonly [owner: Record<string, unknown>, key: string]

function placesIn(root: object): Place[] {
  const places: Place[] = []
  const left: object[] = [root]
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    // Of long lists a few places are enough.
    for (const key of Object.keys(one).slice(0, 64)) {
      const owner = one as Record<string, unknown>
      places.push([owner, key])
      const part = owner[key]
      if (typeof part === 'object' && part !== null) left.push(part)
    }
  }
  return places
}

function changePart(random: Random, owner: Record<string, unknown>, key: string): void {
  const old = owner[key]
  switch (random.between(0, 5)) {
    case 0:
      if (Array.isArray(owner)) owner.splice(Number(key), 1)
      else delete owner[key]
      return
    case 1:
      if (Array.isArray(old)) old.push(...structuredClone(old.slice(0, 100)))
      else owner[`${key}x`] = old
      return
    case 2:
      if (typeof old === 'number') owner[key] = old + random.between(-2, 3)
      else owner[key] = [old]
      return
    default:
      owner[key] = structuredClone(random.pick(VALUES))
  }
}
