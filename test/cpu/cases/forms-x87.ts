import { type Form, forms } from './notation.ts'

/**
 * x87 as Linux and glibc's long double use it, and the images of FXSAVE. Left out are the functions that glibc has its own
 * code for (fsin, fcos, fsincos, fptan), and binary-coded decimals.
 */
const ARITHMETIC = ['fadd', 'fmul', 'fcom', 'fcomp', 'fsub', 'fsubr', 'fdiv', 'fdivr']
const hex = (byte: number) => byte.toString(16)

/** Every form of a second opcode byte that names ST(i). */
function each(first: string, byte: number, name: string): string {
  return Array.from(
    { length: 8 },
    (_, i) => `${first} ${hex(byte + i)} : ${name.replace('st(i)', `st(${i})`)}`,
  ).join('\n')
}

const arithmetic = ARITHMETIC.map((name, n) => {
  // With ST(i) as destination, the numbers of fsub and fsubr, and of fdiv and fdivr, are exchanged.
  const reversed = n >= 4 ? n ^ 1 : n
  const compares = n === 2 || n === 3
  return `
    d8 /${n} : ${name} m32
    dc /${n} : ${name} m64
    da /${n} : fi${name.slice(1)} m32
    de /${n} : fi${name.slice(1)} m16
    ${each('d8', 0xc0 + 8 * n, `${name} st,st(i)`)}
    ${compares ? '' : each('dc', 0xc0 + 8 * reversed, `${name} st(i),st`)}
    ${compares ? '' : each('de', 0xc0 + 8 * reversed, `${name}p st(i),st`)}`
}).join('\n')

const moves = ['b', 'e', 'be', 'u', 'nb', 'ne', 'nbe', 'nu']
  .map((name, n) => each(n < 4 ? 'da' : 'db', 0xc0 + 8 * (n % 4), `fcmov${name} st,st(i)`))
  .join('\n')

export const X87_FORMS: readonly Form[] = forms(`
${arithmetic}
${moves}
    de d9 : fcompp
    da e9 : fucompp
    ${each('dd', 0xe0, 'fucom st(i)')}
    ${each('dd', 0xe8, 'fucomp st(i)')}
    ${each('db', 0xf0, 'fcomi st,st(i)')}
    ${each('db', 0xe8, 'fucomi st,st(i)')}
    ${each('df', 0xf0, 'fcomip st,st(i)')}
    ${each('df', 0xe8, 'fucomip st,st(i)')}
    d9 /0 : fld m32
    dd /0 : fld m64
    db /5 : fld m80
    ${each('d9', 0xc0, 'fld st(i)')}
    d9 /2 : fst m32
    dd /2 : fst m64
    d9 /3 : fstp m32
    dd /3 : fstp m64
    db /7 : fstp m80
    ${each('dd', 0xd0, 'fst st(i)')}
    ${each('dd', 0xd8, 'fstp st(i)')}
    df /0 : fild m16
    db /0 : fild m32
    df /5 : fild m64
    df /2 : fist m16
    db /2 : fist m32
    df /3 : fistp m16
    db /3 : fistp m32
    df /7 : fistp m64
    ${each('d9', 0xc8, 'fxch st(i)')}
    ${each('dd', 0xc0, 'ffree st(i)')}
    d9 e0 : fchs
    d9 e1 : fabs
    d9 e4 : ftst
    d9 e5 : fxam
    d9 e8 : fld1
    d9 e9 : fldl2t
    d9 ea : fldl2e
    d9 eb : fldpi
    d9 ec : fldlg2
    d9 ed : fldln2
    d9 ee : fldz
    d9 fa : fsqrt
    d9 fc : frndint
    d9 fd : fscale
    d9 f4 : fxtract
    d9 f8 : fprem
    d9 f0 : f2xm1
    d9 f1 : fyl2x
    d9 f9 : fyl2xp1
    d9 f3 : fpatan
    d9 f5 : fprem1
    d9 f6 : fdecstp
    d9 f7 : fincstp
    d9 d0 : fnop
    9b : fwait
    db e2 : fnclex
    db e3 : fninit
    df e0 : fnstsw_ax
    d9 /5 : fldcw m16
    d9 /7 : fnstcw m16
    dd /7 : fnstsw m16
    d9 /4 : fldenv m224
    d9 /6 : fnstenv m224
    dd /4 : frstor m864
    dd /6 : fnsave m864
    0f ae /0 : fxsave m4096
    w 0f ae /0 : fxsave64 m4096
    0f ae /1 : fxrstor m4096
    w 0f ae /1 : fxrstor64 m4096
`)
