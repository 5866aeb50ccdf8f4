import { CONDITIONS } from './forms-integer.ts'
import { type Form, forms } from './notation.ts'

/** Branches, the stack, string instructions, and what ring 3 may not do. */

const conditional = CONDITIONS.map(
  (name, n) => `
    ${(0x70 + n).toString(16)} : j${name} rel8
    0f ${(0x80 + n).toString(16)} : j${name} rel32`,
).join('')

/**
 * An operand size of 16 bits is left out where AMD's processors truncate rip and Intel's ignore the prefix. So is int1, whose
 * rip some hypervisors get wrong.
 */
export const FLOW_FORMS: readonly Form[] = forms(`
${conditional}
    eb : jmp rel8
    e9 : jmp rel32
    ff /4 : jmp r/m64
    e8 : call rel32
    ff /2 : call r/m64
    c3 : ret
    c2 : ret imm16
    w cf : iretq
    w cb : retfq
    w ca : retfq imm16
    e0 : loopne rel8
    e1 : loope rel8
    e2 : loop rel8
    e3 : jrcxz rel8
    cc : int3
    cd : int imm8
    0f 0b : ud2
`)

export const STACK_FORMS: readonly Form[] = forms(`
    66 50+r : push r16
    50+r : push r64
    66 ff /6 : push r/m16
    ff /6 : push r/m64
    6a : push imm8
    66 6a : push imm8
    68 : push imm32
    66 68 : push imm16
    0f a0 : push fs
    0f a8 : push gs
    66 58+r : pop r16
    58+r : pop r64
    66 8f /0 : pop r/m16
    8f /0 : pop r/m64
    9c : pushfq
    66 9c : pushf
    9d : popfq
    66 9d : popf
    c9 : leave
    66 c9 : leave16
    c8 : enter imm16, imm8
    66 c8 : enter16 imm16, imm8
`)

const strings = ['movs a4', 'cmps a6', 'stos aa', 'lods ac', 'scas ae']
  .map((entry) => {
    const [name, byte] = entry.split(' ')
    const wide = (Number.parseInt(byte, 16) + 1).toString(16)
    const repeats = name === 'cmps' || name === 'scas' ? ['f3 repe', 'f2 repne'] : ['f3 rep', 'f2 repnz']
    return ['', ...repeats]
      .map((repeat) => {
        const [prefix, word] = repeat === '' ? ['', ''] : repeat.split(' ')
        return `
    ${prefix} ${byte} : ${name}b ${word}
    66 ${prefix} ${wide} : ${name}w ${word}
    ${prefix} ${wide} : ${name}d ${word}
    w ${prefix} ${wide} : ${name}q ${word}`
      })
      .join('')
  })
  .join('')

export const STRING_FORMS: readonly Form[] = forms(strings)

/** Refused in ring 3 with #GP, whatever the operands. */
export const PRIVILEGED_FORMS: readonly Form[] = forms(`
    f4 : hlt
    fa : cli
    fb : sti
    0f 06 : clts
    0f 08 : invd
    0f 09 : wbinvd
    0f 30 : wrmsr
    0f 32 : rdmsr
    0f 01 /7 : invlpg m8
    0f 01 /6 : lmsw m16
    0f 01 /2 : lgdt m80
    0f 01 /3 : lidt m80
    0f 00 /2 : lldt m16
    0f 00 /3 : ltr m16
    0f 20 c0 : mov_rax_cr0
    0f 22 d8 : mov_cr3_rax
    0f 21 c0 : mov_rax_dr0
    0f 23 f8 : mov_dr7_rax
    e4 : in al, imm8
    e5 : in eax, imm8
    ec : in al, dx
    ed : in eax, dx
    e6 : out imm8, al
    e7 : out imm8, eax
    ee : out dx, al
    ef : out dx, eax
    6c : insb
    6e : outsb
`)

/** Opcodes that no processor of this architecture gives a meaning in 64-bit mode. */
export const INVALID_FORMS: readonly Form[] = forms(
  [
    '06 07 0e 16 17 1e 1f 27 2f 37 3f 60 61 82 9a ce d4 d5 d6 ea',
    '0f_04 0f_0a 0f_0c 0f_24 0f_26 0f_36 0f_39 0f_3b 0f_a6 0f_a7 0f_b9',
    'ff_f8 fe_d0 c6_c8 c7_d0 0f_c7_c8 0f_ba_c0 8d_c0 0f_c3_c0',
  ]
    .flatMap((line) => line.split(' '))
    .map((bytes) => `${bytes.replaceAll('_', ' ')} : invalid_${bytes}`)
    .join('\n'),
)
