import { SPACE } from '../case.ts'
import { type Draft, RBP, RSP } from './draft.ts'

const LOCK = 0xf0
const ADDRESS_SIZE = 0x67
const FS = 0x64
const GS = 0x65
/** es, cs, ss, ds: long mode ignores them, but where a stack address that is not canonical raises #SS. */
const NULL_SEGMENTS = [0x26, 0x2e, 0x36, 0x3e]
/** Bits 63 to 48 of such an address are not copies of bit 47. */
const NON_CANONICAL_HIGH = 0x7000_0000

/** An address: what the ModRM and SIB bytes say, and the registers that it needs already set. */
type Address = {
  /** ModRM without its reg field; then the SIB byte, or -1; the displacement and its bytes. */
  readonly modrm: number
  readonly sib: number
  readonly displacement: number
  readonly displacementBytes: 0 | 1 | 4
  readonly rexB: boolean
  readonly rexX: boolean
  /** 0 for none. */
  readonly segment: number
  readonly short: boolean
  readonly ripRelative: boolean
}

/** How an instruction is written, beside its operands. */
export type Style = {
  /** Whether LOCK stands before it. */
  readonly lock: boolean
  /** Prefixes of no meaning that are put in front. */
  readonly idle: readonly number[]
}

/** Put the bytes together, and let the registers hold what the address needs. */
export function encode(draft: Draft, style: Style): Uint8Array {
  const { form } = draft
  const address = draft.memory ? pickAddress(draft) : undefined
  const head: number[] = []
  const segment = address?.segment ?? draft.segment
  if (style.lock) head.push(LOCK)
  head.push(...style.idle)
  if (segment !== 0) head.push(segment)
  if (address?.short || draft.short) head.push(ADDRESS_SIZE)
  head.push(...form.prefixes)
  const rex = rexOf(draft, address)
  if (rex !== 0) head.push(rex)
  const opcode = [...form.opcode]
  if (form.plusRegister) opcode[opcode.length - 1] |= draft.reg & 7
  head.push(...opcode)
  let displacementAt = -1
  if (form.modrm !== 'none') {
    const reg = ((form.modrm === 'register' ? draft.reg : form.modrm) & 7) << 3
    if (address === undefined) {
      head.push(0xc0 | reg | (draft.rm & 7))
    } else {
      head.push(address.modrm | reg)
      if (address.sib >= 0) head.push(address.sib)
      displacementAt = head.length
      pushWord(head, address.displacement, address.displacementBytes)
    }
  }
  let immediates = 0
  for (const { kind, bits } of form.operands) {
    if (kind === 'imm' || kind === 'rel') {
      pushWord(head, draft.immediates[immediates++], Math.min(bits, 32) >> 3)
      if (bits === 64) pushWord(head, draft.immediates[immediates++], 4)
    } else if (kind === 'moffs') {
      const absolute = SPACE.data + draft.address - segmentBase(segment)
      pushWord(head, absolute, 4)
      if (!draft.short) pushWord(head, draft.nonCanonical ? NON_CANONICAL_HIGH : 0, 4)
    }
  }
  if (address?.ripRelative) {
    const next = SPACE.code + draft.codeAt + head.length
    const distance = SPACE.data + draft.address - segmentBase(segment) - next
    for (let i = 0; i < 4; i++) head[displacementAt + i] = (distance >>> (8 * i)) & 0xff
  }
  return Uint8Array.from(head)
}

function pushWord(bytes: number[], value: number, count: number): void {
  for (let i = 0; i < count; i++) bytes.push((value >>> (8 * i)) & 0xff)
}

export function segmentBase(segment: number): number {
  return segment === FS ? SPACE.fsBase : segment === GS ? SPACE.gsBase : 0
}

function rexOf(draft: Draft, address: Address | undefined): number {
  const { form, random } = draft
  let rex = form.rexW ? 8 : 0
  if (form.modrm === 'register' && draft.reg > 7) rex |= 4
  if (form.plusRegister && draft.reg > 7) rex |= 1
  if (address !== undefined) {
    if (address.rexX) rex |= 2
    if (address.rexB) rex |= 1
  } else if (form.modrm !== 'none' && draft.rm > 7) {
    rex |= 1
  }
  if (rex !== 0) return rex | 0x40
  // A REX prefix that says nothing still turns ah, ch, dh and bh into spl, bpl, sil and dil.
  return random.once(4) ? 0x40 : 0
}

/** Choose base, index, scale, displacement and segment so that they meet the draft's address. */
function pickAddress(draft: Draft): Address {
  const { random } = draft
  const choice = random.bits()
  const segment =
    (choice & 7) === 0
      ? choice & 8
        ? FS
        : GS
      : (choice & 0x70) === 0 && !draft.nonCanonical
        ? random.pick(NULL_SEGMENTS)
        : 0
  const linear = SPACE.data + draft.address
  const wanted = linear - segmentBase(segment)
  const short = (choice & 0xf00) === 0 && !draft.nonCanonical
  const common = { segment, short, ripRelative: false, rexB: false, rexX: false, sib: -1 }
  const shape = (choice >>> 12) & 15
  if (!draft.nonCanonical && shape === 0) {
    // mod 0, rm 5: rip and a displacement, which is filled in when the length is known.
    return { ...common, modrm: 5, displacement: 0, displacementBytes: 4, ripRelative: true }
  }
  if (!draft.nonCanonical && shape === 1) {
    // SIB without base and index: the displacement alone.
    return { ...common, modrm: 4, sib: 0x25 | (choice & 0xc0), displacement: wanted, displacementBytes: 4 }
  }
  const index = shape >= 9 ? (choice >>> 16) & 15 : RSP
  if (shape === 15 && index !== RSP && (draft.pinned & (1 << index)) === 0) {
    return { ...common, ...indexAlone(draft, index, wanted, short) }
  }
  return { ...common, ...baseAndIndex(draft, index, wanted, short) }
}

/** mod 0, SIB with base 5: index times scale, and a displacement. */
function indexAlone(draft: Draft, index: number, wanted: number, short: boolean) {
  const { random } = draft
  const scale = random.bits() & 3
  const displacement = (random.bits() & ~((1 << scale) - 1)) | (wanted & ((1 << scale) - 1))
  const sum = (target(draft, wanted) - BigInt(displacement)) & ALL
  // What the scale shifts out may be anything.
  const value = ((sum >> BigInt(scale)) | (BigInt(random.bits()) << BigInt(64 - scale))) & ALL
  setBase(draft, index, value, short)
  return {
    modrm: 4,
    sib: (scale << 6) | ((index & 7) << 3) | 5,
    displacement,
    displacementBytes: 4 as const,
    rexX: index > 7,
  }
}

function baseAndIndex(draft: Draft, index: number, wanted: number, short: boolean) {
  const { random } = draft
  const scale = random.bits() & 3
  const indexValue = index === RSP ? 0n : registerValue(draft, index) << BigInt(scale)
  let displacement = pickDisplacement(random.bits(), random.bits())
  let base = random.bits() & 15
  // The index must keep its value, so the base must be another register.
  if (base === index && index !== RSP) base = (base + 1) & 15
  if (draft.pinned & (1 << base)) {
    // The register has its value already: the displacement must bridge the difference, or another register must do.
    const gap = BigInt.asIntN(64, target(draft, wanted) - indexValue - registerValue(draft, base))
    if (!short && gap >= -0x8000_0000n && gap <= 0x7fff_ffffn) displacement = Number(gap)
    else base = freeRegister(draft, base, index)
  }
  if ((draft.pinned & (1 << base)) === 0) {
    setBase(draft, base, (target(draft, wanted) - indexValue - BigInt(displacement)) & ALL, short)
  }
  const small = displacement >= -128 && displacement <= 127
  const mustDisplace = (base & 7) === RBP
  const bytes = displacement === 0 && !mustDisplace ? 0 : small && (random.bits() & 7) !== 0 ? 1 : 4
  const mod = bytes === 0 ? 0 : bytes === 1 ? 0x40 : 0x80
  const rexB = base > 7
  if (index === RSP && (base & 7) !== RSP && (random.bits() & 7) !== 0) {
    return { modrm: mod | (base & 7), displacement, displacementBytes: bytes as 0 | 1 | 4, rexB }
  }
  const sib = (scale << 6) | ((index & 7) << 3) | (base & 7)
  return { modrm: mod | 4, sib, displacement, displacementBytes: bytes as 0 | 1 | 4, rexB, rexX: index > 7 }
}

const ALL = (1n << 64n) - 1n

function target(draft: Draft, wanted: number): bigint {
  return draft.nonCanonical ? (BigInt(NON_CANONICAL_HIGH) << 32n) | BigInt(wanted >>> 0) : BigInt(wanted)
}

function pickDisplacement(choice: number, value: number): number {
  if ((choice & 3) === 0) return 0
  return (choice & 3) === 1 ? value | 0 : (value << 24) >> 24
}

function registerValue({ state }: Draft, register: number): bigint {
  return (BigInt(state.gpr[2 * register + 1]) << 32n) | BigInt(state.gpr[2 * register])
}

/** With an address size of 32 bits, the upper half of a register does not count: leave it as it is. */
function setBase({ state }: Draft, register: number, value: bigint, short: boolean): void {
  state.gpr[2 * register] = Number(value & 0xffff_ffffn)
  if (!short) state.gpr[2 * register + 1] = Number(value >> 32n)
}

/** A register after `from` that nothing depends on. Never more than eight are pinned. */
function freeRegister({ pinned }: Draft, from: number, index: number): number {
  for (let step = 1; step < 16; step++) {
    const register = (from + step) & 15
    if ((pinned & (1 << register)) === 0 && register !== index) return register
  }
  throw new Error('every register is pinned')
}
