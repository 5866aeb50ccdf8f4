/**
 * A small assembler for tests, so that they read like the manuals: Intel's notation, a line an instruction, labels, and
 * a few directives for data. What it does not know, it refuses.
 *
 *     start:  mov eax, 18
 *             lea rsi, [rip + text]
 *             syscall
 *             jmp start
 *     text:   .text "Hi\n"
 *             .zero 8
 *             .dword 1, 2
 *             .at 0x100         ; zeros up to this offset
 *
 * Immediates and displacements may be labels of the same source, or names given as `symbols`.
 */
export type Assembly = {
  readonly bytes: Uint8Array
  /** Addresses of the labels. */
  readonly labels: ReadonlyMap<string, number>
}

/**
 * @param at address of the first byte, 48 bits
 * @param symbols names of addresses and numbers
 * @throws Error that names the line
 */
export function assemble(
  source: string,
  { at = 0, symbols = {} }: { at?: number; symbols?: Readonly<Record<string, number>> } = {},
): Assembly {
  const lines = source.split('\n').flatMap(parseLine)
  const labels = new Map(Object.entries(symbols))
  let bytes: number[] = []
  // Addresses settle in the first pass: every instruction has a length that does not depend on them.
  for (const isLast of [false, true]) {
    const look = (name: string): number => labels.get(name) ?? (isLast ? fail(`no label ${name}`) : 0)
    bytes = []
    for (const { label, text } of lines) {
      if (label !== '') labels.set(label, at + bytes.length)
      try {
        if (text !== '') bytes.push(...statement(text, { at, offset: bytes.length, look }))
      } catch (error) {
        throw new Error(`${text}: ${(error as Error).message}`)
      }
    }
  }
  return { bytes: Uint8Array.from(bytes), labels }
}

/** The bytes alone, as numbers. */
export function code(source: string, symbols: Readonly<Record<string, number>> = {}): number[] {
  return [...assemble(source, { symbols }).bytes]
}

type Line = { readonly label: string; readonly text: string }
type Place = { readonly at: number; readonly offset: number; readonly look: (name: string) => number }

function parseLine(line: string): Line[] {
  const [, label = '', text = ''] =
    /^\s*(?:([A-Za-z_]\w*):)?\s*((?:"(?:\\.|[^"\\])*"|[^";])*)/.exec(line) ?? []
  return label === '' && text.trim() === '' ? [] : [{ label, text: text.trim() }]
}

function fail(message: string): never {
  throw new Error(message)
}

// ---- operands ----

const NAMES: Readonly<Record<number, readonly string[]>> = {
  8: 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' '),
  4: 'eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d'.split(' '),
  2: 'ax cx dx bx sp bp si di r8w r9w r10w r11w r12w r13w r14w r15w'.split(' '),
  1: 'al cl dl bl spl bpl sil dil r8b r9b r10b r11b r12b r13b r14b r15b'.split(' '),
}
const SIZE_WORDS: Readonly<Record<string, number>> = { byte: 1, word: 2, dword: 4, qword: 8 }
const SEGMENTS = 'es cs ss ds fs gs'.split(' ')

type Register = { readonly kind: 'register'; readonly number: number; readonly size: number }
type Segment = { readonly kind: 'segment'; readonly number: number }
type Vector = { readonly kind: 'vector'; readonly number: number; readonly of: 'mm' | 'xmm' }
type Control = { readonly kind: 'control'; readonly number: number; readonly of: 'cr' | 'dr' }
type Address = {
  readonly kind: 'memory'
  readonly size: number
  readonly base: number | 'rip' | null
  readonly index: number | null
  readonly scale: number
  readonly displacement: number
  readonly prefix: number | null
}
type Immediate = { readonly kind: 'immediate'; readonly value: number; readonly isName: boolean }
type Operand = Register | Segment | Vector | Control | Address | Immediate

function operand(text: string, place: Place): Operand {
  for (const [size, names] of Object.entries(NAMES)) {
    const number = names.indexOf(text)
    if (number !== -1) return { kind: 'register', number, size: Number(size) }
  }
  if (SEGMENTS.includes(text)) return { kind: 'segment', number: SEGMENTS.indexOf(text) }
  const control = /^([cd]r)(\d)$/.exec(text)
  if (control !== null) return { kind: 'control', of: control[1] as 'cr' | 'dr', number: Number(control[2]) }
  const vector = /^(x?mm)([0-7])$/.exec(text)
  if (vector !== null) return { kind: 'vector', of: vector[1] as 'mm' | 'xmm', number: Number(vector[2]) }
  const memory = /^(?:(byte|word|dword|qword)\s+)?(?:(fs|gs):)?\[(.*)\]$/.exec(text)
  if (memory !== null) return address(memory, place)
  return { kind: 'immediate', ...number(text, place) }
}

function number(text: string, place: Place): { value: number; isName: boolean } {
  const plain = Number(text.replace(/^-/, ''))
  if (text !== '' && !Number.isNaN(plain))
    return { value: text.startsWith('-') ? -plain : plain, isName: false }
  if (/^[A-Za-z_]\w*$/.test(text)) return { value: place.look(text), isName: true }
  return fail(`what is ${text}?`)
}

function address([, size, segment, inside]: RegExpExecArray, place: Place): Address {
  let base: Address['base'] = null
  let index: number | null = null
  let scale = 1
  let displacement = 0
  for (const term of inside
    .replace(/-/g, '+-')
    .split('+')
    .map((t) => t.trim())) {
    const scaled = /^(\w+)\s*\*\s*([1248])$/.exec(term)
    const register = NAMES[8].indexOf(term)
    if (term === '') continue
    if (scaled !== null) [index, scale] = [NAMES[8].indexOf(scaled[1]), Number(scaled[2])]
    else if (term === 'rip') base = 'rip'
    else if (register !== -1 && base === null) base = register
    else if (register !== -1) index = register
    else displacement += number(term.replace(/\s/g, ''), place).value
  }
  const prefix = segment === 'fs' ? 0x64 : segment === 'gs' ? 0x65 : null
  return { kind: 'memory', size: SIZE_WORDS[size] ?? 0, base, index, scale, displacement, prefix }
}

// ---- encoding ----

/** `count` bytes of a number, lowest first; negative ones as two's complement. */
export function bytes(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn))
}

/** An opcode with a ModRM byte: `field` is the register in it, or the opcode's extension. */
function modRm(
  size: number,
  opcode: readonly number[],
  field: number,
  rm: Register | Address,
  {
    place,
    tail = [],
    isByteField = false,
  }: { place: Place; tail?: readonly number[]; isByteField?: boolean },
): number[] {
  const prefixes: number[] = []
  if (rm.kind === 'memory' && rm.prefix !== null) prefixes.push(rm.prefix)
  if (size === 2) prefixes.push(0x66)
  const base = rm.kind === 'register' ? rm.number : typeof rm.base === 'number' ? rm.base : 0
  const index = rm.kind === 'memory' ? (rm.index ?? 0) : 0
  const rex = (size === 8 ? 8 : 0) | ((field >> 3) << 2) | ((index >> 3) << 1) | (base >> 3)
  const wantsRex =
    rex !== 0 || (isByteField && field >= 4) || (rm.kind === 'register' && rm.size === 1 && rm.number >= 4)
  const head = [...prefixes, ...(wantsRex ? [0x40 | rex] : []), ...opcode]
  const reg = (field & 7) << 3
  if (rm.kind === 'register') return [...head, 0xc0 | reg | (rm.number & 7), ...tail]
  if (rm.base === 'rip') {
    const end = place.at + place.offset + head.length + 5 + tail.length
    return [...head, reg | 5, ...bytes(rm.displacement - end, 4), ...tail]
  }
  if (rm.base === null) {
    const sib = ((rm.index ?? 4) & 7) << 3
    return [
      ...head,
      reg | 4,
      (Math.log2(rm.scale) << 6) | sib | 5,
      ...bytes(signed(rm.displacement), 4),
      ...tail,
    ]
  }
  // Always a displacement of four bytes, so that the length is known before labels are.
  const sib = (Math.log2(rm.scale) << 6) | (((rm.index ?? 4) & 7) << 3) | (base & 7)
  return [...head, 0x80 | reg | 4, sib, ...bytes(rm.displacement, 4), ...tail]
}

/** A 48-bit address as the sign-extended number that a displacement holds. */
function signed(value: number): number {
  return value >= 2 ** 47 ? value - 2 ** 48 : value
}

const ARITHMETIC = 'add or adc sbb and sub xor cmp'.split(' ')
const SHIFTS = 'rol ror rcl rcr shl shr sal sar'.split(' ')
const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ')
const CONDITION_NAMES: Readonly<Record<string, string>> = { c: 'b', nc: 'ae', z: 'e', nz: 'ne' }

/** Instructions without operands. */
const PLAIN: Readonly<Record<string, readonly number[]>> = {
  nop: [0x90],
  ret: [0xc3],
  syscall: [0x0f, 0x05],
  ud2: [0x0f, 0x0b],
  hlt: [0xf4],
  cli: [0xfa],
  sti: [0xfb],
  cld: [0xfc],
  std: [0xfd],
  int3: [0xcc],
  iret: [0xcf],
  iretq: [0x48, 0xcf],
  retfq: [0x48, 0xcb],
  pushfq: [0x9c],
  popfq: [0x9d],
  cpuid: [0x0f, 0xa2],
  rdtsc: [0x0f, 0x31],
  rdmsr: [0x0f, 0x32],
  wrmsr: [0x0f, 0x30],
  clts: [0x0f, 0x06],
  swapgs: [0x0f, 0x01, 0xf8],
  pause: [0xf3, 0x90],
  lfence: [0x0f, 0xae, 0xe8],
  emms: [0x0f, 0x77],
  fld1: [0xd9, 0xe8],
  fwait: [0x9b],
  movsb: [0xa4],
  movsq: [0x48, 0xa5],
  stosb: [0xaa],
  stosq: [0x48, 0xab],
  lodsb: [0xac],
}
const PREFIXES: Readonly<Record<string, number>> = { rep: 0xf3, repe: 0xf3, repne: 0xf2, lock: 0xf0 }

function statement(text: string, place: Place): number[] {
  if (text.startsWith('.')) return directive(text, place)
  const [, name, rest] = /^(\w+)\s*(.*)$/.exec(text) ?? fail('no instruction')
  if (name in PREFIXES) {
    return [PREFIXES[name], ...statement(rest, { ...place, offset: place.offset + 1 })]
  }
  if (rest === '') return [...(PLAIN[name] ?? fail(`the assembler has no ${name} without operands`))]
  const operands = rest.split(/,(?![^[]*\])/).map((word) => operand(word.trim(), place))
  return instruction(name, operands, place)
}

function directive(text: string, place: Place): number[] {
  const [, name, rest] = /^\.(\w+)\s*(.*)$/.exec(text) ?? fail('no directive')
  if (name === 'text') return [...Buffer.from(JSON.parse(rest) as string, 'latin1')]
  const values = rest.split(',').map((word) => number(word.trim(), place).value)
  if (name === 'zero') return new Array(values[0]).fill(0)
  if (name === 'at') {
    if (values[0] < place.offset) fail(`the offset is ${place.offset} already`)
    return new Array(values[0] - place.offset).fill(0)
  }
  const size = SIZE_WORDS[name] ?? fail(`no directive .${name}`)
  return values.flatMap((value) => bytes(size === 8 ? signed(value) : value, size))
}

function instruction(name: string, operands: readonly Operand[], place: Place): number[] {
  const [to, from] = operands
  const jump = jumpOf(name)
  if (jump !== null && to.kind === 'immediate') {
    const end = place.at + place.offset + jump.length + 4
    return [...jump, ...bytes(to.value - end, 4)]
  }
  if (name === 'int' && to.kind === 'immediate') return [0xcd, to.value]
  if (name === 'push' || name === 'pop') return stack(name, to, place)
  if (name === 'in' || name === 'out') return port(name, to, from)
  if (from === undefined) return single(name, to, place)
  if (to.kind === 'control' || from.kind === 'control') return control(to, from)
  if (to.kind === 'vector') return vector(name, to, from, place)
  if (from.kind === 'vector') return fail('no such form')
  if (to.kind === 'segment' && from.kind !== 'immediate' && from.kind !== 'segment') {
    return modRm(4, [0x8e], to.number, from, { place })
  }
  if (from.kind === 'segment' && to.kind !== 'immediate' && to.kind !== 'segment') {
    return modRm(4, [0x8c], from.number, to, { place })
  }
  if (to.kind === 'immediate' || to.kind === 'segment' || from.kind === 'segment') return fail('no such form')
  return double(name, to, from, place)
}

function jumpOf(name: string): number[] | null {
  if (name === 'jmp') return [0xe9]
  if (name === 'call') return [0xe8]
  if (!name.startsWith('j')) return null
  const condition = conditionOf(name.slice(1))
  return condition === -1 ? null : [0x0f, 0x80 | condition]
}

function conditionOf(name: string): number {
  return CONDITIONS.indexOf(CONDITION_NAMES[name] ?? name)
}

function stack(name: 'push' | 'pop', to: Operand, place: Place): number[] {
  const isPush = name === 'push'
  if (to.kind === 'immediate' && isPush) return [0x68, ...bytes(signed(to.value), 4)]
  if (to.kind === 'register')
    return [...(to.number > 7 ? [0x41] : []), (isPush ? 0x50 : 0x58) | (to.number & 7)]
  if (to.kind === 'memory') return modRm(4, [isPush ? 0xff : 0x8f], isPush ? 6 : 0, to, { place })
  return fail('no such form')
}

/** By the port that dx names. */
function port(name: 'in' | 'out', to: Operand, from: Operand | undefined): number[] {
  const [dx, data] = name === 'out' ? [to, from] : [from, to]
  const isDx = dx?.kind === 'register' && dx.number === 2 && dx.size === 2
  if (!isDx || data?.kind !== 'register' || data.number !== 0) return fail('no such form')
  const opcode = (name === 'in' ? 0xec : 0xee) | (data.size === 1 ? 0 : 1)
  return [...(data.size === 2 ? [0x66] : []), opcode]
}

const VECTOR: Readonly<Record<string, readonly number[]>> = {
  movaps: [0x0f, 0x28],
  addps: [0x0f, 0x58],
  movd: [0x0f, 0x6e],
}

function vector(name: string, to: Vector, from: Operand, place: Place): number[] {
  const opcode = VECTOR[name] ?? fail(`the assembler has no ${name}`)
  const rm = from.kind === 'vector' ? ({ ...from, kind: 'register', size: 4 } as const) : from
  if ((rm.kind !== 'register' && rm.kind !== 'memory') || (from.kind === 'vector') !== (name !== 'movd')) {
    return fail('no such form')
  }
  // movd to xmm is the form with 0x66, which a size of two gives.
  return modRm(name === 'movd' && to.of === 'xmm' ? 2 : 4, opcode, to.number, rm, { place })
}

function control(to: Operand, from: Operand): number[] {
  const [special, general, isStore] = to.kind === 'control' ? [to, from, 2] : [from as Control, to, 0]
  if (general.kind !== 'register') return fail('no such form')
  const opcode = (special.of === 'cr' ? 0x20 : 0x21) | isStore
  const rex = ((special.number >> 3) << 2) | (general.number >> 3)
  return [
    ...(rex === 0 ? [] : [0x40 | rex]),
    0x0f,
    opcode,
    0xc0 | ((special.number & 7) << 3) | (general.number & 7),
  ]
}

const ONE: Readonly<Record<string, readonly [opcode: number, extension: number]>> = {
  inc: [0xff, 0],
  dec: [0xff, 1],
  not: [0xf7, 2],
  neg: [0xf7, 3],
  mul: [0xf7, 4],
  div: [0xf7, 6],
  call: [0xff, 2],
  jmp: [0xff, 4],
}

/** Those whose operand has one size, and the ones that take memory alone. */
const OF_ONE_SIZE: Readonly<Record<string, readonly [opcode: readonly number[], extension: number]>> = {
  verw: [[0x0f, 0x00], 5],
  str: [[0x0f, 0x00], 1],
}
const OF_MEMORY: typeof OF_ONE_SIZE = {
  invlpg: [[0x0f, 0x01], 7],
  lgdt: [[0x0f, 0x01], 2],
  fxsave: [[0x0f, 0xae], 0],
  ldmxcsr: [[0x0f, 0xae], 2],
  prefetchnta: [[0x0f, 0x18], 0],
}

function single(name: string, to: Operand, place: Place): number[] {
  if (to.kind !== 'register' && to.kind !== 'memory') return fail(`${name} takes a register or memory`)
  const [bytesOf, field] = (to.kind === 'memory' ? OF_MEMORY[name] : undefined) ?? OF_ONE_SIZE[name] ?? []
  if (bytesOf !== undefined && field !== undefined) return modRm(4, bytesOf, field, to, { place })
  const condition = name.startsWith('set') ? conditionOf(name.slice(3)) : -1
  if (condition !== -1) return modRm(1, [0x0f, 0x90 | condition], 0, to, { place })
  const [opcode, extension] = ONE[name] ?? fail(`the assembler has no ${name}`)
  const isJump = opcode === 0xff && extension >= 2
  const size = isJump ? 4 : to.size || fail('say byte, word, dword or qword')
  return modRm(size, [size === 1 ? opcode - 1 : opcode], extension, to, { place })
}

function double(
  name: string,
  to: Register | Address,
  from: Register | Address | Immediate,
  place: Place,
): number[] {
  const size =
    to.size || (from.kind === 'immediate' ? 0 : from.size) || fail('say byte, word, dword or qword')
  const wide = size === 1 ? 0 : 1
  if (name === 'lea' && to.kind === 'register' && from.kind === 'memory') {
    return modRm(size, [0x8d], to.number, from, { place })
  }
  if ((name === 'lar' || name === 'lsl') && to.kind === 'register' && from.kind !== 'immediate') {
    return modRm(size, [0x0f, name === 'lar' ? 0x02 : 0x03], to.number, from, { place })
  }
  if (name === 'movnti' && to.kind === 'memory' && from.kind === 'register') {
    return modRm(size, [0x0f, 0xc3], from.number, to, { place })
  }
  if (from.kind === 'immediate') return withImmediate(name, to, from, size, place)
  if (SHIFTS.includes(name)) return modRm(size, [0xd2 | wide], SHIFTS.indexOf(name), to, { place })
  const [reg, rm, isLoad] =
    from.kind === 'register'
      ? [from, to, 0]
      : [to.kind === 'register' ? to : fail('two memory operands'), from, 2]
  const opcode = twoOperand(name, isLoad)
  return modRm(size, opcode.with(-1, opcode[opcode.length - 1] | wide), reg.number, rm, {
    place,
    isByteField: size === 1,
  })
}

function twoOperand(name: string, isLoad: number): number[] {
  const index = ARITHMETIC.indexOf(name)
  if (index !== -1) return [(index << 3) | isLoad]
  if (name === 'mov') return [0x88 | isLoad]
  if (name === 'test') return [0x84]
  if (name === 'xchg') return [0x86]
  if (name === 'xadd') return [0x0f, 0xc0]
  if (name === 'cmpxchg') return [0x0f, 0xb0]
  return fail(`the assembler has no ${name}`)
}

function withImmediate(
  name: string,
  to: Register | Address,
  from: Immediate,
  size: number,
  place: Place,
): number[] {
  const wide = size === 1 ? 0 : 1
  const value = signed(from.value)
  const tail = bytes(value, Math.min(size, 4))
  const index = ARITHMETIC.indexOf(name)
  if (index !== -1) return modRm(size, [0x80 | wide], index, to, { place, tail })
  if (name === 'test') return modRm(size, [0xf6 | wide], 0, to, { place, tail })
  if (SHIFTS.includes(name))
    return modRm(size, [0xc0 | wide], SHIFTS.indexOf(name), to, { place, tail: [value & 63] })
  if (name !== 'mov') return fail(`the assembler has no ${name} with an immediate`)
  const isLong = size === 8 && (from.isName || value !== (value | 0))
  if (to.kind === 'register' && (isLong || size === 4)) {
    const rex = (size === 8 ? 0x48 : 0x40) | (to.number >> 3)
    return [...(rex === 0x40 ? [] : [rex]), 0xb8 | (to.number & 7), ...bytes(value, size)]
  }
  return modRm(size, [0xc6 | wide], 0, to, { place, tail })
}
