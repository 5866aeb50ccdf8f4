import type { Random } from '../../tools/random.ts'

/** Values that matter: for integers, for floating point of three widths. Results stand in `low` and `high`, no allocation. */
export class Values {
  low = 0
  high = 0
  private readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  /** An integer that is interesting at 8, 16, 32 or 64 bits; what lies above is random or its sign. */
  integer(bits: number): this {
    const { random } = this
    const choice = random.bits()
    const sign = choice & 0x100 ? -1 : 0
    switch (choice & 15) {
      case 0:
        this.set(0, 0)
        break
      case 1:
        this.set(1, 0)
        break
      case 2:
        this.set(-1, -1)
        break
      case 3: // The most negative one.
        this.powerOfTwo(bits - 1)
        break
      case 4: // The most positive one.
        this.powerOfTwo(bits - 1)
        this.set(this.low - 1, bits > 32 ? this.high - 1 : 0)
        break
      case 5:
      case 6: {
        // A power of two, or one beside it.
        this.powerOfTwo((choice >>> 16) % bits)
        const beside = ((choice >>> 24) % 3) - 1
        const low = this.low + beside
        this.set(low, this.high + (low < 0 ? -1 : low > 0xffff_ffff ? 1 : 0))
        break
      }
      case 7: // Small, of either sign.
        this.set(((choice >>> 16) & 0xff) ^ sign, sign)
        break
      case 8: // Something that sign extension of a shorter one gives.
        this.set((random.bits() & 0xffff) ^ sign, sign)
        break
      case 9:
        this.set(random.bits() ^ sign, sign)
        break
      case 10:
        this.set(0x5555_5555 ^ sign, 0x5555_5555 ^ sign)
        break
      default:
        this.set(random.bits(), random.bits())
    }
    if (bits < 64 && choice & 0x200) {
      // The register's rest must survive, or be cleared, or not count.
      if (bits < 32) this.low = ((this.low & (2 ** bits - 1)) | (random.bits() << bits)) >>> 0
      this.high = random.bits()
    }
    return this
  }

  /** A single-precision number in `low`. */
  single(): this {
    const { random } = this
    const choice = random.bits()
    const sign = choice & 0x100 ? 0x8000_0000 : 0
    const special = SINGLES[(choice >>> 16) % SINGLES.length]
    if ((choice & 3) === 0) this.low = (special | sign) >>> 0
    else if ((choice & 3) === 1) this.low = random.bits()
    // Exponents near to each other, so that sums and products round; few bits in some, so that they do not.
    else
      this.low =
        (sign | ((110 + ((choice >>> 16) & 31)) << 23) | (random.bits() & mantissa(choice, 23))) >>> 0
    this.high = 0
    return this
  }

  /** A double-precision number. */
  double(): this {
    const { random } = this
    const choice = random.bits()
    const sign = choice & 0x100 ? 0x8000_0000 : 0
    if ((choice & 3) === 0) {
      const [high, low] = DOUBLES[(choice >>> 16) % DOUBLES.length]
      this.set(low, high | sign)
    } else if ((choice & 3) === 1) {
      this.set(random.bits(), random.bits())
    } else {
      const exponent = 1000 + ((choice >>> 16) & 127) - (choice & 8 ? 40 : 0)
      const low = choice & 0x400 ? 0 : random.bits()
      this.set(low, sign | (exponent << 20) | (random.bits() & mantissa(choice, 20)))
    }
    return this
  }

  /** An 80-bit number, at an offset of an array of bytes. */
  extended(bytes: Uint8Array, at: number): void {
    const { random } = this
    const choice = random.bits()
    const sign = choice & 0x100 ? 0x8000 : 0
    let exponent = 0
    if ((choice & 3) === 0) {
      const [special, high, low] = EXTENDEDS[(choice >>> 16) % EXTENDEDS.length]
      this.set(low, high)
      exponent = special
    } else if ((choice & 3) === 1) {
      // What a program loads of a double: many bits are zero.
      this.set(random.bits() & 0xffff_f800, random.bits() | 0x8000_0000)
      exponent = 0x3fff - 20 + ((choice >>> 16) & 63)
    } else {
      const low = choice & 0x400 ? 0 : random.bits()
      this.set(low, 0x8000_0000 | (random.bits() & mantissa(choice, 31)))
      exponent = choice & 8 ? (choice >>> 16) & 0x7fff : 0x3fff - 32 + ((choice >>> 16) & 127)
      if (exponent === 0x7fff) this.high = (this.high | 0x8000_0000) >>> 0
    }
    for (let i = 0; i < 4; i++) bytes[at + i] = this.low >>> (8 * i)
    for (let i = 0; i < 4; i++) bytes[at + 4 + i] = this.high >>> (8 * i)
    bytes[at + 8] = exponent
    bytes[at + 9] = (exponent | sign) >>> 8
  }

  private powerOfTwo(exponent: number): void {
    this.set(exponent < 32 ? 1 << exponent : 0, exponent < 32 ? 0 : 1 << (exponent - 32))
  }

  private set(low: number, high: number): void {
    this.low = low >>> 0
    this.high = high >>> 0
  }
}

/** A mask for the fraction: all of it, or only its highest bits. */
function mantissa(choice: number, bits: number): number {
  const all = 2 ** bits - 1
  return choice & 0x800 ? all : all ^ (all >>> ((choice >>> 12) & 15))
}

/** Magnitudes: zero, one, infinity, quiet and signalling NaN, denormals, limits, halves, and the edges of conversions. */
export const SINGLES = [
  0, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0000, 0x7fc1_2345, 0x7f80_0001, 0x7fa5_4321, 1, 0x007f_ffff,
  0x0040_0000, 0x0080_0000, 0x0080_0001, 0x7f7f_ffff, 0x3f00_0000, 0x3f7f_ffff, 0x3f80_0001, 0x3fc0_0000,
  0x4020_0000, 0x4b00_0000, 0x4b80_0001, 0x4eff_ffff, 0x4f00_0000, 0x4f00_0001, 0x5eff_ffff, 0x5f00_0000,
  0x5f80_0000, 0x3380_0000, 0x2000_0000,
]

export const DOUBLES: readonly (readonly [high: number, low: number])[] = [
  [0, 0],
  [0x3ff0_0000, 0],
  [0x7ff0_0000, 0],
  [0x7ff8_0000, 0],
  [0x7ff8_1234, 5],
  [0x7ff0_0000, 1],
  [0x7ff4_3210, 0],
  [0, 1],
  [0x000f_ffff, 0xffff_ffff],
  [0x0008_0000, 0],
  [0x0010_0000, 0],
  [0x0010_0000, 1],
  [0x7fef_ffff, 0xffff_ffff],
  [0x3fe0_0000, 0],
  [0x3fef_ffff, 0xffff_ffff],
  [0x3ff0_0000, 1],
  [0x3ff8_0000, 0],
  [0x4004_0000, 0],
  [0x4330_0000, 0],
  [0x4330_0000, 1],
  [0x41df_ffff, 0xffc0_0000],
  [0x41df_ffff, 0xffe0_0000],
  [0x41e0_0000, 0],
  [0x41e0_0000, 0x0020_0000],
  [0x41e0_0000, 0x0010_0000],
  [0x43df_ffff, 0xffff_ffff],
  [0x43e0_0000, 0],
  [0x43f0_0000, 0],
  [0x3690_0000, 0],
  [0x36a0_0000, 0],
  [0x380f_ffff, 0xffff_ffff],
  [0x3810_0000, 0],
  [0x47ef_ffff, 0xf000_0000],
  [0x47ef_ffff, 0xe000_0000],
  [0x47f0_0000, 0],
  [0x36a0_0000, 1],
]

/** Exponent, and the 64 bits of the significand. The last ones are encodings that no operation makes. */
export const EXTENDEDS: readonly (readonly [exponent: number, high: number, low: number])[] = [
  [0, 0, 0],
  [0x3fff, 0x8000_0000, 0],
  [0x7fff, 0x8000_0000, 0],
  [0x7fff, 0xc000_0000, 0],
  [0x7fff, 0xc123_4567, 0x89],
  [0x7fff, 0x8000_0000, 1],
  [0x7fff, 0xa123_4567, 0],
  [0, 0, 1],
  [0, 0x7fff_ffff, 0xffff_ffff],
  [0, 0x4000_0000, 0],
  [1, 0x8000_0000, 0],
  [1, 0x8000_0000, 1],
  [0x7ffe, 0xffff_ffff, 0xffff_ffff],
  [0x3ffe, 0x8000_0000, 0],
  [0x3ffe, 0xffff_ffff, 0xffff_ffff],
  [0x3fff, 0x8000_0000, 1],
  [0x3fff, 0xc000_0000, 0],
  [0x4000, 0xa000_0000, 0],
  [0x401d, 0xffff_ffff, 0],
  [0x401e, 0x8000_0000, 0],
  [0x401d, 0xffff_fffe, 0],
  [0x403d, 0xffff_ffff, 0xffff_fffe],
  [0x403e, 0x8000_0000, 0],
  [0x403e, 0x8000_0000, 1],
  [0x400e, 0x8000_0000, 0],
  [0x400d, 0xfffe_0000, 0],
  [0x3c00, 0x8000_0000, 0],
  [0x3bcd, 0x8000_0000, 0],
  [0x3bcc, 0x8000_0000, 0],
  [0x43fe, 0xffff_ffff, 0xffff_fc00],
  [0x43fe, 0xffff_ffff, 0xffff_f800],
  [0x43ff, 0x8000_0000, 0],
  [0x3f81, 0x8000_0000, 0],
  [0x3f6a, 0x8000_0000, 0],
  [0x407e, 0xffff_ff80, 0],
  [0x407e, 0xffff_ff00, 0],
  [0, 0x8000_0000, 0],
  [0x3fff, 0x4000_0000, 0],
  [0x7fff, 0, 1],
  [0x7fff, 0x4000_0000, 0],
]
