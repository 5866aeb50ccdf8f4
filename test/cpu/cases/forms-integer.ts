import { type Form, forms } from './notation.ts'

/** The general-purpose instructions that neither branch nor touch the stack nor repeat. */

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp']
const SHIFTS = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'shl', 'sar']
/** In the order of their numbers in Jcc, SETcc and CMOVcc. */
export const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ')
const hex = (byte: number) => byte.toString(16).padStart(2, '0')

const alu = ALU.map((name, n) => {
  const first = n * 8
  return `
    ${hex(first)} /r : ${name} r/m8, r8
    ${hex(first + 1)} /r : ${name} r/mv, rv
    ${hex(first + 2)} /r : ${name} r8, r/m8
    ${hex(first + 3)} /r : ${name} rv, r/mv
    ${hex(first + 4)} : ${name} al, imm8
    66 ${hex(first + 5)} : ${name} ax, imm16
    ${hex(first + 5)} : ${name} eax, imm32
    w ${hex(first + 5)} : ${name} rax, imm32
    80 /${n} : ${name} r/m8, imm8
    81 /${n} : ${name} r/mv, immv
    83 /${n} : ${name} r/mv, imm8`
}).join('')

const shifts = SHIFTS.map(
  (name, n) => `
    c0 /${n} : ${name} r/m8, imm8
    c1 /${n} : ${name} r/mv, imm8
    d0 /${n} : ${name} r/m8, 1
    d1 /${n} : ${name} r/mv, 1
    d2 /${n} : ${name} r/m8, cl
    d3 /${n} : ${name} r/mv, cl`,
).join('')

const conditional = CONDITIONS.map(
  (name, n) => `
    0f ${hex(0x40 + n)} /r : cmov${name} rv, r/mv
    0f ${hex(0x90 + n)} /0 : set${name} r/m8`,
).join('')

const bits = ['bt', 'bts', 'btr', 'btc']
  .map(
    (name, n) => `
    0f ${hex(0xa3 + 8 * n)} /r : ${name} r/mv, rv
    0f ba /${4 + n} : ${name} r/mv, imm8`,
  )
  .join('')

/** Reading a segment register; a store has 16 bits whatever the operand size. */
const selectors = ['es', 'cs', 'ss', 'ds', 'fs', 'gs']
  .map(
    (name, n) => `
    8c /${n} : mov m16, ${name}
    66 8c /${n} : mov_from_${name} r16
    8c /${n} : mov_from_${name} r32
    w 8c /${n} : mov_from_${name} r64`,
  )
  .join('')

export const INTEGER_FORMS: readonly Form[] = forms(`
${alu}
${shifts}
${conditional}
${bits}
    84 /r : test r/m8, r8
    85 /r : test r/mv, rv
    a8 : test al, imm8
    66 a9 : test ax, imm16
    a9 : test eax, imm32
    w a9 : test rax, imm32
    f6 /0 : test r/m8, imm8
    f6 /1 : test r/m8, imm8
    f7 /0 : test r/mv, immv
    f7 /1 : test r/mv, immv
    f6 /2 : not r/m8
    f7 /2 : not r/mv
    f6 /3 : neg r/m8
    f7 /3 : neg r/mv
    f6 /4 : mul r/m8
    f7 /4 : mul r/mv
    f6 /5 : imul r/m8
    f7 /5 : imul r/mv
    f6 /6 : div r/m8
    f7 /6 : div r/mv
    f6 /7 : idiv r/m8
    f7 /7 : idiv r/mv
    0f af /r : imul rv, r/mv
    69 /r : imul rv, r/mv, immv
    6b /r : imul rv, r/mv, imm8
    fe /0 : inc r/m8
    ff /0 : inc r/mv
    fe /1 : dec r/m8
    ff /1 : dec r/mv
    0f a4 /r : shld r/mv, rv, imm8
    0f a5 /r : shld r/mv, rv, cl
    0f ac /r : shrd r/mv, rv, imm8
    0f ad /r : shrd r/mv, rv, cl
    0f bc /r : bsf rv, r/mv
    0f bd /r : bsr rv, r/mv
    0f b0 /r : cmpxchg r/m8, r8
    0f b1 /r : cmpxchg r/mv, rv
    0f c7 /1 : cmpxchg8b m64
    w 0f c7 /1 : cmpxchg16b m128
    0f c0 /r : xadd r/m8, r8
    0f c1 /r : xadd r/mv, rv
    86 /r : xchg r/m8, r8
    87 /r : xchg r/mv, rv
    66 90+r : xchg r16, ax
    90+r : xchg r32, eax
    w 90+r : xchg r64, rax
    88 /r : mov r/m8, r8
    89 /r : mov r/mv, rv
    8a /r : mov r8, r/m8
    8b /r : mov rv, r/mv
    c6 /0 : mov r/m8, imm8
    c7 /0 : mov r/mv, immv
    b0+r : mov r8, imm8
    66 b8+r : mov r16, imm16
    b8+r : mov r32, imm32
    w b8+r : mov r64, imm64
    a0 : mov al, moffs8
    66 a1 : mov ax, moffs16
    a1 : mov eax, moffs32
    w a1 : mov rax, moffs64
    a2 : mov moffs8, al
    66 a3 : mov moffs16, ax
    a3 : mov moffs32, eax
    w a3 : mov moffs64, rax
${selectors}
    0f b6 /r : movzx rv, r/m8
    66 0f b7 /r : movzx r16, r/m16
    0f b7 /r : movzx ry, r/m16
    0f be /r : movsx rv, r/m8
    66 0f bf /r : movsx r16, r/m16
    0f bf /r : movsx ry, r/m16
    66 63 /r : movsxd r16, r/m16
    63 /r : movsxd r32, r/m32
    w 63 /r : movsxd r64, r/m32
    0f c3 /r : movnti m32, r32
    w 0f c3 /r : movnti m64, r64
    8d /r : lea rv, m0
    0f c8+r : bswap r32
    w 0f c8+r : bswap r64
    66 98 : cbw
    98 : cwde
    w 98 : cdqe
    66 99 : cwd
    99 : cdq
    w 99 : cqo
    9f : lahf
    9e : sahf
    d7 : xlatb
    f5 : cmc
    f8 : clc
    f9 : stc
    fc : cld
    fd : std
    90 : nop
    f3 90 : pause
    0f 1f /0 : nop r/mv
    0f 0d /1 : prefetchw m0
    0f 18 /0 : prefetchnta m0
    0f 18 /1 : prefetcht0 m0
    0f 18 /2 : prefetcht1 m0
    0f 18 /3 : prefetcht2 m0
    0f ae e8 : lfence
    0f ae f0 : mfence
    0f ae f8 : sfence
    0f ae /7 : clflush m8
    f3 0f 1e fa : endbr64
`)
