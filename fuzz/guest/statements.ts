/** The statements of programs and their machine code. Each has the same size whatever its values are. */
export type Code = { readonly name: string; readonly operands: readonly string[] }

type Value = (text: string) => bigint
type Encoding = (operands: readonly string[], value: Value) => Uint8Array

const REGISTERS = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ')
/** Registers of a hypercall's arguments. */
const ARGUMENTS = ['rdi', 'rsi', 'rdx', 'r10', 'r8'].map((name) => REGISTERS.indexOf(name))
const [RAX, RCX, RSP, RSI, RDI, R13, R14] = [0, 1, 4, 6, 7, 13, 14]

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** movabs value, register */
function load(register: number, value: bigint): Uint8Array {
  const bytes = Buffer.alloc(10)
  bytes[0] = register >= 8 ? 0x49 : 0x48
  bytes[1] = 0xb8 + (register & 7)
  bytes.writeBigUInt64LE(value, 2)
  return bytes
}

/** Something done to the memory at an address in r14, with a value in r13. */
function access(code: string): Encoding {
  return ([address = '0', operand = '0'], value) =>
    Buffer.concat([load(R14, value(address)), load(R13, value(operand)), hex(code)])
}

function call(operands: readonly string[], value: Value): Uint8Array {
  const [nr = '0', ...args] = operands
  const loads = ARGUMENTS.map((register, i) => load(register, value(args[i] ?? '0')))
  return Buffer.concat([load(RAX, value(nr)), ...loads, hex('0f05')])
}

/** A jump to an absolute address: movabs to r14, and on. */
function jump(code: string): Encoding {
  return ([target = '0'], value) => Buffer.concat([load(R14, value(target)), hex(code)])
}

const STATEMENTS: Readonly<Record<string, Encoding>> = {
  call,
  hex: (operands) => hex(operands.join('')),
  mov: ([register = 'rax', operand = '0'], value) =>
    load(Math.max(0, REGISTERS.indexOf(register)), value(operand)),
  put8: access('45882e'),
  put16: access('6645892e'),
  put32: access('45892e'),
  put64: access('4d892e'),
  get64: access('4d8b2e'),
  movnti: access('4d0fc32e'),
  xchg64: access('4d872e'),
  add64: access('4d012e'),
  or64: access('f04d092e'),
  and64: access('4d212e'),
  xadd64: access('f04d0fc12e'),
  btr64: access('f04d0fb32e'),
  bts64: access('4d0fab2e'),
  not64: access('49f716'),
  inc64: access('49ff06'),
  /** A compare-and-exchange that finds what is there: mov rax, [r14] first. */
  cmpxchg64: access('498b06 f04d0fb12e'),
  cmpxchg32: access('418b06 f0450fb12e'),
  /** And one that does not. */
  cmpxchgno: access('31c0 f04d0fb12e'),
  cmpxchg16b: access('498b06 498b5608 31db 4c89e9 f0490fc70e'),
  /** Sixteen bytes: movq xmm0, r13; movdqu [r14], xmm0. */
  put128: access('66490f6ec5 f3410f7f06'),
  /** push of a value where the address says: the stack pointer is that for a moment. */
  push: access('4c89f4 4155'),
  /** pop into memory from where rsp is. */
  pop: access('418f06'),
  fxsave: access('490fae06'),
  fxrstor: access('490fae0e'),
  fnstenv: access('41d936'),
  fnsave: access('41dd36'),
  ldmxcsr: access('410fae16'),
  stmxcsr: access('410fae1e'),
  /** The frame number in memory at the second address, as an entry with flags, to the first: entry TO FROM FLAGS. */
  entry: ([to = '0', from = '0', flags = '0'], value) =>
    Buffer.concat([
      load(R14, value(from)),
      hex('4d8b2e 49c1e50c'),
      load(R14, value(flags)),
      hex('4d09f5'),
      load(R14, value(to)),
      hex('4d892e'),
    ]),
  /** copy TO FROM COUNT: rep movsq; fill TO VALUE COUNT: rep stosq; fillb: bytes. */
  copy: ([to = '0', from = '0', count = '0'], value) =>
    Buffer.concat([load(RDI, value(to)), load(RSI, value(from)), load(RCX, value(count)), hex('f348a5')]),
  fill: ([to = '0', what = '0', count = '0'], value) =>
    Buffer.concat([load(RDI, value(to)), load(RAX, value(what)), load(RCX, value(count)), hex('f348ab')]),
  fillb: ([to = '0', what = '0', count = '0'], value) =>
    Buffer.concat([load(RDI, value(to)), load(RAX, value(what)), load(RCX, value(count)), hex('f3aa')]),
  jmp: jump('41ffe6'),
  /** call; what is there comes back by ret. */
  run: jump('41ffd6'),
  /** jmp as long as a counter in memory, which goes down, is above zero: loop LABEL COUNTER. */
  loop: ([target = '0', counter = '0'], value) =>
    Buffer.concat([load(R14, value(counter)), hex('41ff0e'), load(R14, value(target)), hex('7e03 41ffe6')]),
  /** wrmsr NUMBER VALUE; rdmsr NUMBER. */
  wrmsr: ([number = '0', operand = '0'], value) =>
    Buffer.concat([load(RCX, value(number)), load(RAX, value(operand)), hex('4889c2 48c1ea20 0f30')]),
  rdmsr: ([number = '0'], value) => Buffer.concat([load(RCX, value(number)), hex('0f32')]),
  cpuid: ([leaf = '0', subleaf = '0'], value) =>
    Buffer.concat([load(RAX, value(leaf)), load(RCX, value(subleaf)), hex('0f0b78656e0fa2')]),
  /** A selector into a segment register, by its number: seg 5 VALUE. */
  seg: ([number = '0', selector = '0'], value) =>
    Buffer.concat([
      load(RAX, value(selector)),
      Uint8Array.of(0x8e, 0xc0 | ((Number(value(number)) & 7) << 3)),
    ]),
  /** The stack pointer and five words below it, then an instruction: iret RIP CS FLAGS RSP SS of the processor's. */
  iretq: (operands, value) => frame(operands, value, '48cf'),
  /** The same for the hypercall, whose frame has rax, r11, rcx and flags below. */
  iret: ([flags = '0', ...operands], value) =>
    Buffer.concat([
      frame(operands, value, ''),
      load(RAX, value(flags)),
      hex('50 51 4153 50 b817000000 0f05'),
    ]),
  retf: ([rip = '0', cs = '0'], value) =>
    Buffer.concat([load(RAX, value(cs)), hex('50'), load(RAX, value(rip)), hex('50 48cb')]),
  flags: ([flags = '0'], value) => Buffer.concat([load(RAX, value(flags)), hex('50 9d')]),
  stack: ([address = '0'], value) => load(RSP, value(address)),
}

/** Words pushed, the last operand first. */
function frame(operands: readonly string[], value: Value, end: string): Uint8Array {
  const words = [4, 3, 2, 1, 0].map((i) => Buffer.concat([load(RAX, value(operands[i] ?? '0')), hex('50')]))
  return Buffer.concat([...words, hex(end)])
}

/** Names of all statements. */
export const STATEMENT_NAMES: readonly string[] = Object.keys(STATEMENTS)

/** Stores to memory, `NAME ADDRESS VALUE`. */
export const STORES = (
  'put8 put16 put32 put64 movnti xchg64 add64 or64 and64 xadd64 btr64 bts64 not64 inc64 cmpxchg64 cmpxchg32 cmpxchgno ' +
  'cmpxchg16b put128 push pop fxsave fnstenv fnsave stmxcsr'
).split(' ')

/** Bytes of a statement's code, or -1 when there is no such statement. */
export function sizeOf({ name, operands }: Code): number {
  const encoding = Object.hasOwn(STATEMENTS, name) ? STATEMENTS[name] : undefined
  return encoding === undefined ? -1 : encoding(operands, () => 0n).length
}

export function encode({ name, operands }: Code, value: Value): Uint8Array {
  return STATEMENTS[name](operands, value)
}
