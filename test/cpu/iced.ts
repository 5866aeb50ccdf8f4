import {
  CpuidFeature,
  Decoder,
  DecoderOptions,
  type Instruction as Iced,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
} from 'iced-x86'
import { decode } from '../../src/cpu/decode/decode.ts'
import {
  FS,
  GS,
  type ImmediateOperand,
  type Instruction,
  type MemoryOperand,
  NONE,
  type Operand,
  RIP,
} from '../../src/machine/vcpu/instruction.ts'
import type { Code } from './real-code.ts'

/**
 * The decoder against iced-x86: each instruction is written down from both in the same words - name, prefixes, registers by
 * class, number and size, memory by all its parts, immediates by value and size, targets by address - and the words are equal.
 */

const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ')
const SIZE_LETTERS: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'd', 8: 'q' }

/** Names that iced has several of by size, where the core has one. */
const NAMES_BY_SIZE: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  pushf: { 2: 'pushf', 8: 'pushfq' },
  popf: { 2: 'popf', 8: 'popfq' },
  cbw: { 2: 'cbw', 4: 'cwde', 8: 'cdqe' },
  cwd: { 2: 'cwd', 4: 'cdq', 8: 'cqo' },
  iret: { 2: 'iret', 4: 'iretd', 8: 'iretq' },
  sysret: { 2: 'sysret', 4: 'sysret', 8: 'sysretq' },
  sysexit: { 2: 'sysexit', 4: 'sysexit', 8: 'sysexitq' },
  fxsave: { 2: 'fxsave', 4: 'fxsave', 8: 'fxsave64' },
  fxrstor: { 2: 'fxrstor', 4: 'fxrstor', 8: 'fxrstor64' },
  movd: { 2: 'movd', 4: 'movd', 8: 'movq' },
}

/** Names that differ only as names. */
const ICED_NAMES: Readonly<Record<string, string>> = {
  sal: 'shl',
  wait: 'fwait',
  xlatb: 'xlat',
  reservednop: 'nop',
  prefetchnta: 'nop',
  prefetcht0: 'nop',
  prefetcht1: 'nop',
  prefetcht2: 'nop',
  prefetchit0: 'nop',
  prefetchit1: 'nop',
  cldemote: 'nop',
  prefetchw: 'prefetch',
  prefetchwt1: 'prefetch',
  jecxz: 'jrcxz',
  // A processor without BMI and LZCNT ignores the prefix that makes these out of bsf and bsr.
  tzcnt: 'bsf',
  lzcnt: 'bsr',
  // One without shadow stacks does nothing where others read their pointer.
  rdsspd: 'nop',
  rdsspq: 'nop',
}
const OUR_NAMES: Readonly<Record<string, string>> = { callf: 'call', jmpf: 'jmp' }

const STRINGS = new Set(['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs'])
/** Their operands are hints without effect, or written down in one of them only. */
const NO_OPERANDS = new Set(['nop', 'prefetch', 'xlat'])

function ourName({ name, condition, size, operands }: Instruction): string {
  if (condition !== NONE) return name.replace('cc', CONDITIONS[condition])
  if (STRINGS.has(name)) return name + SIZE_LETTERS[operands.find(({ kind }) => kind === 'memory')!.size]
  return NAMES_BY_SIZE[name]?.[size] ?? OUR_NAMES[name] ?? name
}

/** Bits that count of an immediate, by how iced has it: as it is written, or extended to the size of the operation. */
const IMMEDIATE_BITS: Readonly<Partial<Record<OpKind, number>>> = {
  [OpKind.Immediate8]: 8,
  [OpKind.Immediate8_2nd]: 8,
  [OpKind.Immediate16]: 16,
  [OpKind.Immediate32]: 32,
  [OpKind.Immediate64]: 64,
  [OpKind.Immediate8to16]: 16,
  [OpKind.Immediate8to32]: 32,
  [OpKind.Immediate8to64]: 64,
  [OpKind.Immediate32to64]: 64,
}

function immediateWords(value: bigint, kind: OpKind | undefined): string {
  return `value ${BigInt.asUintN(kind === undefined ? 64 : (IMMEDIATE_BITS[kind] ?? 64), value).toString(16)}`
}

/** An instruction of the core's decoder in the common words. `iced` tells how wide its immediates are. */
export function ourWords(instruction: Instruction, next: bigint, iced: Iced): string {
  const name = ourName(instruction)
  const prefixes = instruction.lock ? 'lock ' : ''
  const repeat = STRINGS.has(instruction.name) ? instruction.rep : ''
  if (NO_OPERANDS.has(name)) return `${prefixes}${name}`
  const operands = instruction.operands.map((operand, i) =>
    operand.kind === 'immediate'
      ? immediateWords(
          (BigInt(operand.hi) << 32n) | BigInt(operand.lo >>> 0),
          i < iced.opCount ? iced.opKind(i) : undefined,
        )
      : ourOperand(operand, instruction, next),
  )
  return `${prefixes}${repeat} ${name} ${operands.join(', ')}`
}

function ourOperand(
  operand: Exclude<Operand, ImmediateOperand>,
  instruction: Instruction,
  next: bigint,
): string {
  switch (operand.kind) {
    case 'register':
      return `${operand.class} ${operand.number} of ${sizeCounts(operand.class, instruction) ? operand.size : 0}`
    case 'target':
      return `to ${BigInt.asUintN(64, next + BigInt(operand.displacement)).toString(16)}`
    case 'memory':
      return memoryWords(operand, instruction, next)
  }
}

const SIZELESS = /^(lar|lsl|lldt|ltr|verr|verw|lmsw|pinsrw|movmskp[sd]|pmovmskb)$/

/**
 * It says nothing where all registers of the class have one size, nor where the instruction takes or makes the same number of
 * bits whatever it is.
 */
function sizeCounts(kind: string, { name, operands }: Instruction): boolean {
  if (SIZELESS.test(name)) return false
  if (operands.some((operand) => operand.kind === 'register' && operand.class === 'segment')) return false
  return kind === 'general' || kind === 'high'
}

function memoryWords(memory: MemoryOperand, { addressSize }: Instruction, next: bigint): string {
  const relative = memory.base === RIP
  let displacement = (BigInt(memory.displacementHigh) << 32n) | BigInt(memory.displacement >>> 0)
  if (relative) displacement += next
  displacement = BigInt.asUintN(addressSize * 8, displacement)
  const scale = memory.index === NONE ? 1 : memory.scale
  const segment = memory.segment === FS ? 'fs' : memory.segment === GS ? 'gs' : ''
  const base = relative ? 'rip' : String(memory.base)
  return `[${segment} ${base} ${memory.index}*${scale} ${displacement.toString(16)}/${addressSize}] of ${memory.size}`
}

/** An instruction of iced-x86 in the common words. `size` is the core's word for the memory it accesses: 0 is any. */
export function icedWords(iced: Iced, ours: Instruction): string {
  let name = Mnemonic[iced.mnemonic].toLowerCase()
  if (name === 'int3' || name === 'int1') return ` ${name} `
  name = ICED_NAMES[name] ?? name
  const prefixes = iced.hasLockPrefix ? 'lock ' : ''
  if (NO_OPERANDS.has(name)) return `${prefixes}${name}`
  const repeat = STRINGS.has(ours.name)
    ? iced.hasRepnePrefix
      ? 'repne'
      : iced.hasRepPrefix
        ? 'rep'
        : ''
    : ''
  const operands: string[] = []
  for (let i = 0; i < iced.opCount; i++) {
    operands.push(icedOperand(iced, i, ours))
  }
  return `${prefixes}${repeat} ${name} ${operands.join(', ')}`
}

function icedOperand(iced: Iced, i: number, ours: Instruction): string {
  const kind = iced.opKind(i)
  switch (kind) {
    case OpKind.Register:
      return registerWords(iced.opRegister(i), ours)
    case OpKind.NearBranch64:
      return `to ${iced.nearBranchTarget.toString(16)}`
    case OpKind.Memory:
      return icedMemory(iced, ours)
    case OpKind.MemorySegRSI:
    case OpKind.MemorySegESI:
      return implied(iced, 6, kind === OpKind.MemorySegESI, segmentWord(iced.memorySegment))
    case OpKind.MemorySegRDI:
    case OpKind.MemorySegEDI:
      // maskmovq and maskmovdqu, whose size the core leaves open.
      return `[${segmentWord(iced.memorySegment)} 7 ${NONE}*1 0/${kind === OpKind.MemorySegEDI ? 4 : 8}] of 0`
    case OpKind.MemoryESRDI:
    case OpKind.MemoryESEDI:
      return implied(iced, 7, kind === OpKind.MemoryESEDI, '')
    default:
      return immediateWords(iced.immediate(i), kind)
  }
}

function implied(iced: Iced, register: number, short: boolean, segment: string): string {
  return `[${segment} ${register} ${NONE}*1 0/${short ? 4 : 8}] of ${MemorySizeExt.size(iced.memorySize)}`
}

function segmentWord(segment: Register): string {
  return segment === Register.FS ? 'fs' : segment === Register.GS ? 'gs' : ''
}

function icedMemory(iced: Iced, ours: Instruction): string {
  const base = iced.memoryBase
  const index = iced.memoryIndex
  const short =
    isShort(base) ||
    isShort(index) ||
    (base === Register.None && index === Register.None && ours.addressSize === 4)
  const size = short ? 4 : 8
  const relative = base === Register.RIP || base === Register.EIP
  const baseWord = relative ? 'rip' : String(addressRegister(base))
  const displacement = BigInt.asUintN(size * 8, iced.memoryDisplacement).toString(16)
  const scale = index === Register.None ? 1 : iced.memoryIndexScale
  // The core leaves the size open where only the instruction knows it.
  const bytes = ours.operands.some((operand) => operand.kind === 'memory' && operand.size === 0)
    ? 0
    : MemorySizeExt.size(iced.memorySize)
  return `[${segmentWord(iced.memorySegment)} ${baseWord} ${addressRegister(index)}*${scale} ${displacement}/${size}] of ${bytes}`
}

function isShort(register: Register): boolean {
  return (register >= Register.EAX && register <= Register.R15D) || register === Register.EIP
}

function addressRegister(register: Register): number {
  if (register >= Register.RAX && register <= Register.R15) return register - Register.RAX
  return isShort(register) ? register - Register.EAX : NONE
}

/** iced's registers, group by group: the first of each, how many there are, and what they are here. */
const REGISTER_GROUPS: readonly [
  first: Register,
  count: number,
  kind: string,
  number: number,
  size: number,
][] = [
  [Register.AL, 4, 'general', 0, 1],
  [Register.AH, 4, 'high', 0, 1],
  [Register.SPL, 12, 'general', 4, 1],
  [Register.AX, 16, 'general', 0, 2],
  [Register.EAX, 16, 'general', 0, 4],
  [Register.RAX, 16, 'general', 0, 8],
  [Register.ES, 6, 'segment', 0, 0],
  [Register.XMM0, 16, 'xmm', 0, 0],
  [Register.MM0, 8, 'mmx', 0, 0],
  [Register.ST0, 8, 'st', 0, 0],
  [Register.CR0, 16, 'control', 0, 0],
  [Register.DR0, 16, 'debug', 0, 0],
]

function registerWords(register: Register, ours: Instruction): string {
  for (const [first, count, kind, number, size] of REGISTER_GROUPS) {
    if (register >= first && register < first + count) {
      return `${kind} ${number + register - first} of ${sizeCounts(kind, ours) ? size : 0}`
    }
  }
  return `register ${Register[register]}`
}

/** CPUID features that the core does not have: with one of these, an instruction is undefined here. */
const FOREIGN =
  /^(AVX|AES|BMI|CET_SS|CLDEMOTE|CLFLUSHOPT|CLWB|CLZERO|D3NOW|FMA|FSGSBASE|GFNI|HLE|INV|KL|LZCNT|MONITOR|MOVBE|MOVDIR|MPX|OSS|PCLMUL|PADLOCK|PCONFIG|PKU|PTWRITE|RD(PID|PRU|RAND|SEED)|RTM|SGX|SHA|SKINIT|SMX|SSE3|SSE4|SSSE3|SVM|SEV|SERIALIZE|TBM|VMX|VAES|WAITPKG|WBNOINVD|XOP|XSAVE|ADX|F16C|ENQCMD|LWP|AMX|UINTR|TDX|WIDE|VPCL|HRESET|SMM|FRED|LKGS)/

/** Instructions that need a later feature, and that the decoder has all the same: they are something else without it, or refused. */
const KNOWN = new Set([
  Mnemonic.Tzcnt,
  Mnemonic.Lzcnt,
  Mnemonic.Rdsspd,
  Mnemonic.Cldemote,
  Mnemonic.Rdsspq,
  Mnemonic.Xgetbv,
  Mnemonic.Xsetbv,
])

export type DecoderVerdict = {
  instructions: number
  /** Instructions of later processors, which the core must not know. */
  foreign: number
  differing: number
  readonly examples: string[]
}

/**
 * Sweep through code with both decoders. Where iced sees no instruction the core must see none; the sweep goes on one byte
 * later.
 *
 * @param limit instructions to look at
 */
export function sweep(code: Code, verdict: DecoderVerdict, limit = Number.POSITIVE_INFINITY): void {
  const decoder = new Decoder(64, code.bytes, DecoderOptions.None)
  decoder.ip = code.address
  let left = limit
  while (decoder.canDecode && left-- > 0) {
    const at = decoder.position
    const iced = decoder.decode()
    const difference = compare(iced, code, at, verdict)
    if (difference !== '') {
      verdict.differing++
      if (verdict.examples.length < 40) verdict.examples.push(difference)
    }
    if (iced.isInvalid) {
      decoder.position = at + 1
      decoder.ip = code.address + BigInt(at + 1)
    }
    iced.free()
  }
  decoder.free()
}

/** Empty when both agree, else both sides. */
function compare(iced: Iced, code: Code, at: number, verdict: DecoderVerdict): string {
  const ours = decode(code.bytes, at, code.bytes.length)
  const bytes = () => Buffer.from(code.bytes.subarray(at, at + 15)).toString('hex')
  verdict.instructions++
  const foreign =
    !iced.isInvalid &&
    !KNOWN.has(iced.mnemonic) &&
    iced.cpuidFeatures().some((feature) => FOREIGN.test(CpuidFeature[feature]))
  if (iced.isInvalid || foreign) {
    if (foreign) verdict.foreign++
    return typeof ours === 'string'
      ? ''
      : `${bytes()}: none of ours (${Mnemonic[iced.mnemonic]}), here ${ours.name}`
  }
  if (typeof ours === 'string') return `${bytes()}: ${Mnemonic[iced.mnemonic]}, here ${ours}`
  const theirs = `${iced.length} bytes ${icedWords(iced, ours)}`
  const here = `${ours.length} bytes ${ourWords(ours, code.address + BigInt(at + ours.length), iced)}`
  return theirs === here ? '' : `${bytes()}: ${theirs}\n    here ${here}`
}
