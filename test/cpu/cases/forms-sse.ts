import { type Form, forms } from './notation.ts'

/** SSE and SSE2. A group says what its operands hold, so that cases meet the values that matter to them. */

/** Arithmetic in all four shapes: packed and scalar, single and double. */
const arithmetic = ['sqrt 51', 'add 58', 'mul 59', 'sub 5c', 'min 5d', 'div 5e', 'max 5f']
  .map((entry) => {
    const [name, opcode] = entry.split(' ')
    return `
    0f ${opcode} /r : ${name}ps x, x/m128
    66 0f ${opcode} /r : ${name}pd x, x/m128
    f3 0f ${opcode} /r : ${name}ss x, x/m32
    f2 0f ${opcode} /r : ${name}sd x, x/m64`
  })
  .join('')

export const SSE_FLOAT_FORMS: readonly Form[] = forms(`
${arithmetic}
    0f 52 /r : rsqrtps x, x/m128
    f3 0f 52 /r : rsqrtss x, x/m32
    0f 53 /r : rcpps x, x/m128
    f3 0f 53 /r : rcpss x, x/m32
    0f c2 /r : cmpps x, x/m128, imm8
    66 0f c2 /r : cmppd x, x/m128, imm8
    f3 0f c2 /r : cmpss x, x/m32, imm8
    f2 0f c2 /r : cmpsd x, x/m64, imm8
    0f 2e /r : ucomiss x, x/m32
    66 0f 2e /r : ucomisd x, x/m64
    0f 2f /r : comiss x, x/m32
    66 0f 2f /r : comisd x, x/m64
    0f 5a /r : cvtps2pd x, x/m64
    66 0f 5a /r : cvtpd2ps x, x/m128
    f3 0f 5a /r : cvtss2sd x, x/m32
    f2 0f 5a /r : cvtsd2ss x, x/m64
    0f 5b /r : cvtdq2ps x, x/m128
    66 0f 5b /r : cvtps2dq x, x/m128
    f3 0f 5b /r : cvttps2dq x, x/m128
    f3 0f e6 /r : cvtdq2pd x, x/m64
    f2 0f e6 /r : cvtpd2dq x, x/m128
    66 0f e6 /r : cvttpd2dq x, x/m128
    f3 0f 2a /r : cvtsi2ss x, r/m32
    f3 w 0f 2a /r : cvtsi2ss x, r/m64
    f2 0f 2a /r : cvtsi2sd x, r/m32
    f2 w 0f 2a /r : cvtsi2sd x, r/m64
    f3 0f 2d /r : cvtss2si r32, x/m32
    f3 w 0f 2d /r : cvtss2si r64, x/m32
    f2 0f 2d /r : cvtsd2si r32, x/m64
    f2 w 0f 2d /r : cvtsd2si r64, x/m64
    f3 0f 2c /r : cvttss2si r32, x/m32
    f3 w 0f 2c /r : cvttss2si r64, x/m32
    f2 0f 2c /r : cvttsd2si r32, x/m64
    f2 w 0f 2c /r : cvttsd2si r64, x/m64
`)

export const SSE_MOVE_FORMS: readonly Form[] = forms(`
    0f 10 /r : movups x, x/m128
    0f 11 /r : movups x/m128, x
    66 0f 10 /r : movupd x, x/m128
    66 0f 11 /r : movupd x/m128, x
    f3 0f 10 /r : movss x, x/m32
    f3 0f 11 /r : movss x/m32, x
    f2 0f 10 /r : movsd x, x/m64
    f2 0f 11 /r : movsd x/m64, x
    0f 28 /r : movaps x, x/m128
    0f 29 /r : movaps x/m128, x
    66 0f 28 /r : movapd x, x/m128
    66 0f 29 /r : movapd x/m128, x
    66 0f 6f /r : movdqa x, x/m128
    66 0f 7f /r : movdqa x/m128, x
    f3 0f 6f /r : movdqu x, x/m128
    f3 0f 7f /r : movdqu x/m128, x
    0f 12 /r : movlps_or_movhlps x, x/m64
    0f 13 /r : movlps m64, x
    66 0f 12 /r : movlpd x, m64
    66 0f 13 /r : movlpd m64, x
    0f 16 /r : movhps_or_movlhps x, x/m64
    0f 17 /r : movhps m64, x
    66 0f 16 /r : movhpd x, m64
    66 0f 17 /r : movhpd m64, x
    66 0f 6e /r : movd x, r/m32
    66 w 0f 6e /r : movq x, r/m64
    66 0f 7e /r : movd r/m32, x
    66 w 0f 7e /r : movq r/m64, x
    f3 0f 7e /r : movq x, x/m64
    66 0f d6 /r : movq x/m64, x
    0f 2b /r : movntps m128, x
    66 0f 2b /r : movntpd m128, x
    66 0f e7 /r : movntdq m128, x
    0f 50 /r : movmskps r32, xr
    w 0f 50 /r : movmskps r64, xr
    66 0f 50 /r : movmskpd r32, xr
    66 0f d7 /r : pmovmskb r32, xr
    66 w 0f d7 /r : pmovmskb r64, xr
    66 0f f7 /r : maskmovdqu x, xr
    0f 14 /r : unpcklps x, x/m128
    66 0f 14 /r : unpcklpd x, x/m128
    0f 15 /r : unpckhps x, x/m128
    66 0f 15 /r : unpckhpd x, x/m128
    0f c6 /r : shufps x, x/m128, imm8
    66 0f c6 /r : shufpd x, x/m128, imm8
    66 0f 70 /r : pshufd x, x/m128, imm8
    f2 0f 70 /r : pshuflw x, x/m128, imm8
    f3 0f 70 /r : pshufhw x, x/m128, imm8
    66 0f c4 /r : pinsrw x, r/m16, imm8
    66 0f c5 /r : pextrw r32, xr, imm8
    0f 54 /r : andps x, x/m128
    66 0f 54 /r : andpd x, x/m128
    0f 55 /r : andnps x, x/m128
    66 0f 55 /r : andnpd x, x/m128
    0f 56 /r : orps x, x/m128
    66 0f 56 /r : orpd x, x/m128
    0f 57 /r : xorps x, x/m128
    66 0f 57 /r : xorpd x, x/m128
    0f ae /2 : ldmxcsr m32
    0f ae /3 : stmxcsr m32
`)

/** Packed integers: name and opcode byte; each has an MMX form without the prefix. */
const PACKED = `
    punpcklbw 60, punpcklwd 61, punpckldq 62, packsswb 63, pcmpgtb 64, pcmpgtw 65, pcmpgtd 66, packuswb 67,
    punpckhbw 68, punpckhwd 69, punpckhdq 6a, packssdw 6b, pcmpeqb 74, pcmpeqw 75, pcmpeqd 76,
    psrlw d1, psrld d2, psrlq d3, paddq d4, pmullw d5, psubusb d8, psubusw d9, pminub da, pand db, paddusb dc, paddusw dd,
    pmaxub de, pandn df, pavgb e0, psraw e1, psrad e2, pavgw e3, pmulhuw e4, pmulhw e5, psubsb e8, psubsw e9, pminsw ea,
    por eb, paddsb ec, paddsw ed, pmaxsw ee, pxor ef, psllw f1, pslld f2, psllq f3, pmuludq f4, pmaddwd f5, psadbw f6,
    psubb f8, psubw f9, psubd fa, psubq fb, paddb fc, paddw fd, paddd fe`
  .split(',')
  .map((entry) => entry.trim().split(' '))

/** Shifts by an immediate: opcode and number in the ModRM byte. */
const SHIFTS = `
    psrlw 71 /2, psraw 71 /4, psllw 71 /6, psrld 72 /2, psrad 72 /4, pslld 72 /6, psrlq 73 /2, psllq 73 /6`
  .split(',')
  .map((entry) => entry.trim().split(' '))

export const SSE_INTEGER_FORMS: readonly Form[] = forms(`
${PACKED.map(([name, opcode]) => `66 0f ${opcode} /r : ${name} x, x/m128`).join('\n')}
${SHIFTS.map(([name, opcode, number]) => `66 0f ${opcode} ${number} : ${name} xr, imm8`).join('\n')}
    66 0f 6c /r : punpcklqdq x, x/m128
    66 0f 6d /r : punpckhqdq x, x/m128
    66 0f 73 /3 : psrldq xr, imm8
    66 0f 73 /7 : pslldq xr, imm8
`)

/** MMX, and what SSE and SSE2 added to it. */
export const MMX_FORMS: readonly Form[] = forms(`
${PACKED.map(([name, opcode]) => `0f ${opcode} /r : ${name} mm, mm/m${opcode < '63' ? 32 : 64}`).join('\n')}
${SHIFTS.map(([name, opcode, number]) => `0f ${opcode} ${number} : ${name} mmr, imm8`).join('\n')}
    0f 6e /r : movd mm, r/m32
    w 0f 6e /r : movq mm, r/m64
    0f 7e /r : movd r/m32, mm
    w 0f 7e /r : movq r/m64, mm
    0f 6f /r : movq mm, mm/m64
    0f 7f /r : movq mm/m64, mm
    0f e7 /r : movntq m64, mm
    0f d7 /r : pmovmskb r32, mmr
    0f 70 /r : pshufw mm, mm/m64, imm8
    0f c4 /r : pinsrw mm, r/m16, imm8
    0f c5 /r : pextrw r32, mmr, imm8
    0f f7 /r : maskmovq mm, mmr
    f2 0f d6 /r : movdq2q mm, xr
    f3 0f d6 /r : movq2dq x, mmr
    0f 2a /r : cvtpi2ps x, mm/m64
    66 0f 2a /r : cvtpi2pd x, mm/m64
    0f 2d /r : cvtps2pi mm, x/m64
    66 0f 2d /r : cvtpd2pi mm, x/m128
    0f 2c /r : cvttps2pi mm, x/m64
    66 0f 2c /r : cvttpd2pi mm, x/m128
    0f 77 : emms
`)
