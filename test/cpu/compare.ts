import { type CpuCase, type CpuResult, NO_VECTOR } from './case.ts'

/** RF: a fault's saved flags have it set on the processor; nothing that a program sees depends on it. */
const RESUME_FLAG = 0x1_0000
/** #UD, #SS, #GP and #PF: the instruction has not happened, so that nothing of it is undefined. */
const NOTHING_HAPPENED = new Set([6, 12, 13, 14])

const PAGE_FAULT = 14
const PRESENT = 1

/** One part of the state that two machines disagree on, as text. */
export type Difference = { readonly part: string; readonly expected: string; readonly actual: string }

const REGISTERS = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ')

const hex = (value: number, digits = 8) => (value >>> 0).toString(16).padStart(digits, '0')
const wide = (low: number, high: number) => `${hex(high)}_${hex(low)}`

/** Whether two results agree in all that the manuals define. Fast, as it is asked of every case. */
export function agree(one: CpuCase, expected: CpuResult, actual: CpuResult): boolean {
  const a = expected.state
  const b = actual.state
  const strict = NOTHING_HAPPENED.has(expected.vector)
  const flags = ~(RESUME_FLAG | (strict ? (one.loose.before ?? 0) : one.loose.rflags))
  if (
    expected.vector !== actual.vector ||
    !sameErrorCode(expected, actual) ||
    expected.ripLow !== actual.ripLow ||
    expected.ripHigh !== actual.ripHigh ||
    expected.addressLow !== actual.addressLow ||
    expected.addressHigh !== actual.addressHigh ||
    ((a.rflags ^ b.rflags) & flags) !== 0
  ) {
    return false
  }
  for (let i = 0; i < 32; i++) {
    if (a.gpr[i] !== b.gpr[i] && (strict || ((one.loose.gpr >> (i >> 1)) & 1) === 0)) return false
  }
  for (let i = 0; i < a.data.length; i++) {
    if (a.data[i] !== b.data[i] && (strict || !isLoose(one, i))) return false
  }
  return !one.usesFpu || agreeFpu(one, expected, actual)
}

/** In the upper half, where a process has nothing, it is the kernel's affair whether something is present. */
function sameErrorCode(a: CpuResult, b: CpuResult): boolean {
  const mask = a.vector === PAGE_FAULT && a.addressHigh >= 0x8000_0000 ? ~PRESENT : ~0
  return ((a.errorCode ^ b.errorCode) & mask) === 0
}

function agreeFpu(one: CpuCase, { state: a }: CpuResult, { state: b }: CpuResult): boolean {
  if (a.mxcsr !== b.mxcsr || a.fcw !== b.fcw || a.ftw !== b.ftw) return false
  if (((a.fsw ^ b.fsw) & ~one.loose.fsw) !== 0) return false
  for (let i = 0; i < 64; i++) {
    if (a.xmm[i] !== b.xmm[i] && !(isNearWord(one, i) && nearSingles(a.xmm[i], b.xmm[i]))) return false
  }
  for (let i = 0; i < 128; i++) {
    if ((i & 15) >= 10 || a.st[i] === b.st[i]) continue
    if (i >= 16 || !isNearSt0(one, a.st, b.st)) return false
  }
  return true
}

function isNearSt0({ loose: { near } }: CpuCase, a: Uint8Array, b: Uint8Array): boolean {
  return near === 'any st(0)' || (near === 'st(0)' && nearExtendeds(a, b))
}

function isNearWord({ loose: { near } }: CpuCase, word: number): boolean {
  return typeof near === 'object' && word >= 4 * near.xmm && word < 4 * near.xmm + near.words
}

/** rcpps and its like: "The relative error for this approximation is: |Relative Error| <= 1.5 * 2^-12", of either. */
const APPROXIMATION = 2 * 1.5 * 2 ** -12
const SMALLEST_NORMAL = 2 ** -126
const float = new Float32Array(1)
const floatBits = new Uint32Array(float.buffer)

function single(bits: number): number {
  floatBits[0] = bits
  return float[0]
}

function nearSingles(a: number, b: number): boolean {
  const [x, y] = [single(a), single(b)]
  if (!Number.isFinite(x) || !Number.isFinite(y)) return false
  // Results that are too small for a normal number may be zero.
  return Math.abs(x - y) <= Math.max(Math.abs(x) * APPROXIMATION, SMALLEST_NORMAL)
}

/** The functions of x87: "less than 1 ulp" off, each. */
const ULPS = 2n

function nearExtendeds(a: Uint8Array, b: Uint8Array): boolean {
  // Sign, exponent and significand as one number: neighbours differ by one, but where the exponent changes.
  const ordered = (st: Uint8Array) => {
    const view = new DataView(st.buffer, st.byteOffset)
    const exponent = BigInt(view.getUint16(8, true) & 0x7fff)
    return {
      negative: st[9] >> 7,
      exponent,
      value: (exponent << 63n) | (view.getBigUint64(0, true) & 0x7fff_ffff_ffff_ffffn),
    }
  }
  const [x, y] = [ordered(a), ordered(b)]
  const distance = x.value > y.value ? x.value - y.value : y.value - x.value
  return x.negative === y.negative && x.exponent !== 0x7fffn && distance <= ULPS
}

function isLoose(one: CpuCase, at: number): boolean {
  return one.loose.data.some(([from, to]) => at >= from && at < to)
}

/** What two results that do not agree differ in. */
export function differences(one: CpuCase, expected: CpuResult, actual: CpuResult): Difference[] {
  const found: Difference[] = []
  const strict = NOTHING_HAPPENED.has(expected.vector)
  const add = (part: string, a: string, b: string) => {
    if (a !== b) found.push({ part, expected: a, actual: b })
  }
  add('exception', exceptionText(expected), exceptionText(actual))
  add('rip', wide(expected.ripLow, expected.ripHigh), wide(actual.ripLow, actual.ripHigh))
  const mask = ~(RESUME_FLAG | (strict ? (one.loose.before ?? 0) : one.loose.rflags))
  const [a, b] = [expected.state, actual.state]
  add('rflags', flagsText(a.rflags & mask), flagsText(b.rflags & mask))
  for (let i = 0; i < 16; i++) {
    if (!strict && (one.loose.gpr >> i) & 1) continue
    add(REGISTERS[i], wide(a.gpr[2 * i], a.gpr[2 * i + 1]), wide(b.gpr[2 * i], b.gpr[2 * i + 1]))
  }
  if (one.usesFpu) {
    add('mxcsr', hex(a.mxcsr), hex(b.mxcsr))
    add('x87 control', hex(a.fcw, 4), hex(b.fcw, 4))
    add('x87 status', hex(a.fsw & ~one.loose.fsw, 4), hex(b.fsw & ~one.loose.fsw, 4))
    add('x87 tags', hex(a.ftw, 2), hex(b.ftw, 2))
    for (let i = 0; i < 8; i++)
      add(
        `st(${i})${i === 0 && typeof one.loose.near === 'string' ? ' (near)' : ''}`,
        stText(a.st, i),
        stText(b.st, i),
      )
    for (let i = 0; i < 16; i++) add(`xmm${i}`, xmmText(a.xmm, i), xmmText(b.xmm, i))
  }
  for (let i = 0; i < a.data.length; i++) {
    if (strict || !isLoose(one, i)) add(`data+${i}`, hex(a.data[i], 2), hex(b.data[i], 2))
  }
  return found
}

export function exceptionText({ vector, errorCode, addressLow, addressHigh }: CpuResult): string {
  if (vector === NO_VECTOR) return 'none'
  const address = vector === 14 ? ` at ${wide(addressLow, addressHigh)}` : ''
  return `#${vector} error code ${hex(errorCode, 1)}${address}`
}

/** The status flags and DF by name, what else is set as a number. */
export function flagsText(rflags: number): string {
  const names: [string, number][] = [
    ['O', 11],
    ['D', 10],
    ['S', 7],
    ['Z', 6],
    ['A', 4],
    ['P', 2],
    ['C', 0],
  ]
  const letters = names.map(([name, bit]) => ((rflags >> bit) & 1 ? name : '-')).join('')
  return `${letters} (${hex(rflags, 1)})`
}

function stText(st: Uint8Array, i: number): string {
  return Buffer.from(st.subarray(16 * i, 16 * i + 10).toReversed())
    .toString('hex')
    .replace(/^(....)(.*)$/, '$1:$2')
}

function xmmText(xmm: Uint32Array, i: number): string {
  return [3, 2, 1, 0].map((word) => hex(xmm[4 * i + word])).join('_')
}

/** Everything that a register of an instruction held before, by iced's name for its full width. */
export function registerText(one: CpuCase, name: string): string | undefined {
  const general = REGISTERS.indexOf(name)
  if (general >= 0) return wide(one.state.gpr[2 * general], one.state.gpr[2 * general + 1])
  const xmm = /^xmm(\d+)$/.exec(name)
  if (xmm !== null) return xmmText(one.state.xmm, Number(xmm[1]))
  const st = /^(?:st|mm)(\d)$/.exec(name)
  return st === null ? undefined : stText(one.state.st, Number(st[1]))
}
