/**
 * The opcode maps of 64-bit mode, in the notation of the manuals' appendix: a letter says how an operand is addressed, the
 * one after it how large it is.
 *
 *     E general register or memory of ModRM   G general register of ModRM.reg    M memory alone   R register alone
 *     W xmm register or memory                V xmm register of ModRM.reg        U xmm register alone
 *     Q mmx register or memory                P mmx register of ModRM.reg        N mmx register alone
 *     S segment, C control, D debug register of ModRM.reg                        Z register in the opcode's low bits
 *     I immediate   J relative target   O offset in memory   X [rsi]   Y [rdi]   B [rbx]   T [rdi] with the prefix's segment   A, L, H: rax, cl, dx   1: the number
 *     b 1  w 2  d 4  q 8  x 16 bytes   v operand size   y 4 or 8   z 2 or 4, an immediate extended   s a byte extended
 *     n: size known to the instruction alone
 *
 * A line is `opcode form`, or up to four forms for no prefix, 66, F3 and F2. A form that begins with `/` lists the eight
 * of ModRM.reg. Marks: `+` operand size 64 by default, `!` 64 always (66 is ignored).
 */
const ONE_BYTE = `
50 push+ Zv      58 pop+ Zv       63 movsxd Gv Ez
68 push+ Iz      69 imul Gv Ev Iz 6A push+ Is      6B imul Gv Ev Is
6C ins Yb Hw     6D ins Yz Hw     6E outs Hw Xb    6F outs Hw Xz
70 jcc! Jb
80 /add Eb Ib/or Eb Ib/adc Eb Ib/sbb Eb Ib/and Eb Ib/sub Eb Ib/xor Eb Ib/cmp Eb Ib
81 /add Ev Iz/or Ev Iz/adc Ev Iz/sbb Ev Iz/and Ev Iz/sub Ev Iz/xor Ev Iz/cmp Ev Iz
83 /add Ev Is/or Ev Is/adc Ev Is/sbb Ev Is/and Ev Is/sub Ev Is/xor Ev Is/cmp Ev Is
84 test Eb Gb    85 test Ev Gv    86 xchg Eb Gb    87 xchg Ev Gv
88 mov Eb Gb     89 mov Ev Gv     8A mov Gb Eb     8B mov Gv Ev
8C mov Ev Sw     8D lea Gv Mn     8E mov Sw Ew     8F /pop+ Ev
90 nop           91 xchg Zv Av    98 cbw           99 cwd
9B fwait         9C pushf+        9D popf+         9E sahf          9F lahf
A0 mov Ab Ob     A1 mov Av Ov     A2 mov Ob Ab     A3 mov Ov Av
A4 movs Yb Xb    A5 movs Yv Xv    A6 cmps Xb Yb    A7 cmps Xv Yv
A8 test Ab Ib    A9 test Av Iz    AA stos Yb Ab    AB stos Yv Av
AC lods Ab Xb    AD lods Av Xv    AE scas Ab Yb    AF scas Av Yv
B0 mov Zb Ib     B8 mov Zv Iv
C0 /rol Eb Ib/ror Eb Ib/rcl Eb Ib/rcr Eb Ib/shl Eb Ib/shr Eb Ib/shl Eb Ib/sar Eb Ib
C1 /rol Ev Ib/ror Ev Ib/rcl Ev Ib/rcr Ev Ib/shl Ev Ib/shr Ev Ib/shl Ev Ib/sar Ev Ib
C2 ret! Iw       C3 ret!          C6 /mov Eb Ib    C7 /mov Ev Iz
C8 enter+ Iw Ib  C9 leave+        CA retf Iw       CB retf
CC int3          CD int Ib        CF iret
D0 /rol Eb 1/ror Eb 1/rcl Eb 1/rcr Eb 1/shl Eb 1/shr Eb 1/shl Eb 1/sar Eb 1
D1 /rol Ev 1/ror Ev 1/rcl Ev 1/rcr Ev 1/shl Ev 1/shr Ev 1/shl Ev 1/sar Ev 1
D2 /rol Eb Lb/ror Eb Lb/rcl Eb Lb/rcr Eb Lb/shl Eb Lb/shr Eb Lb/shl Eb Lb/sar Eb Lb
D3 /rol Ev Lb/ror Ev Lb/rcl Ev Lb/rcr Ev Lb/shl Ev Lb/shr Ev Lb/shl Ev Lb/sar Ev Lb
D7 xlat Bb
E0 loopne! Jb    E1 loope! Jb     E2 loop! Jb      E3 jrcxz! Jb
E4 in Ab Ib      E5 in Az Ib      E6 out Ib Ab     E7 out Ib Az
E8 call! Jz      E9 jmp! Jz       EB jmp! Jb
EC in Ab Hw      ED in Az Hw      EE out Hw Ab     EF out Hw Az
F1 int1          F4 hlt           F5 cmc
F6 /test Eb Ib/test Eb Ib/not Eb/neg Eb/mul Eb/imul Eb/div Eb/idiv Eb
F7 /test Ev Iz/test Ev Iz/not Ev/neg Ev/mul Ev/imul Ev/div Ev/idiv Ev
F8 clc           F9 stc           FA cli           FB sti
FC cld           FD std           FE /inc Eb/dec Eb
FF /inc Ev/dec Ev/call! Eq/callf Mn/jmp! Eq/jmpf Mn/push+ Ev
`

const TWO_BYTE = `
00 /sldt Ev/str Ev/lldt Ew/ltr Ew/verr Ew/verw Ew
01 /sgdt Mn/sidt Mn/lgdt Mn/lidt Mn/smsw Ev//lmsw Ew/invlpg Mn
02 lar Gv Ew     03 lsl Gv Ew     05 syscall       06 clts          07 sysret
08 invd          09 wbinvd        0B ud2
0D /prefetch Mn/prefetch Mn/prefetch Mn/prefetch Mn/prefetch Mn/prefetch Mn/prefetch Mn/prefetch Mn
10 movups Vx Wx  | movupd Vx Wx   | movss Vx Wd     | movsd Vx Wq
11 movups Wx Vx  | movupd Wx Vx   | movss Wd Vx     | movsd Wq Vx
12 movlps Vx Wq  | movlpd Vx Mq
13 movlps Mq Vx  | movlpd Mq Vx
14 unpcklps Vx Wx| unpcklpd Vx Wx
15 unpckhps Vx Wx| unpckhpd Vx Wx
16 movhps Vx Wq  | movhpd Vx Mq
17 movhps Mq Vx  | movhpd Mq Vx
18 nop Ev        19 nop Ev        1A nop Ev        1B nop Ev
1C nop Ev        1D nop Ev        1E nop Ev        1F nop Ev
20 mov! Rq Cq    21 mov! Rq Dq    22 mov! Cq Rq    23 mov! Dq Rq
28 movaps Vx Wx  | movapd Vx Wx
29 movaps Wx Vx  | movapd Wx Vx
2A cvtpi2ps Vx Qq| cvtpi2pd Vx Qq | cvtsi2ss Vx Ey  | cvtsi2sd Vx Ey
2B movntps Mx Vx | movntpd Mx Vx
2C cvttps2pi Pq Wq| cvttpd2pi Pq Wx| cvttss2si Gy Wd | cvttsd2si Gy Wq
2D cvtps2pi Pq Wq| cvtpd2pi Pq Wx | cvtss2si Gy Wd  | cvtsd2si Gy Wq
2E ucomiss Vx Wd | ucomisd Vx Wq
2F comiss Vx Wd  | comisd Vx Wq
30 wrmsr         31 rdtsc         32 rdmsr         33 rdpmc         34 sysenter      35 sysexit
40 cmovcc Gv Ev
50 movmskps Gd Ux| movmskpd Gd Ux
51 sqrtps Vx Wx  | sqrtpd Vx Wx   | sqrtss Vx Wd    | sqrtsd Vx Wq
52 rsqrtps Vx Wx | -              | rsqrtss Vx Wd
53 rcpps Vx Wx   | -              | rcpss Vx Wd
54 andps Vx Wx   | andpd Vx Wx
55 andnps Vx Wx  | andnpd Vx Wx
56 orps Vx Wx    | orpd Vx Wx
57 xorps Vx Wx   | xorpd Vx Wx
58 addps Vx Wx   | addpd Vx Wx    | addss Vx Wd     | addsd Vx Wq
59 mulps Vx Wx   | mulpd Vx Wx    | mulss Vx Wd     | mulsd Vx Wq
5A cvtps2pd Vx Wq| cvtpd2ps Vx Wx | cvtss2sd Vx Wd  | cvtsd2ss Vx Wq
5B cvtdq2ps Vx Wx| cvtps2dq Vx Wx | cvttps2dq Vx Wx
5C subps Vx Wx   | subpd Vx Wx    | subss Vx Wd     | subsd Vx Wq
5D minps Vx Wx   | minpd Vx Wx    | minss Vx Wd     | minsd Vx Wq
5E divps Vx Wx   | divpd Vx Wx    | divss Vx Wd     | divsd Vx Wq
5F maxps Vx Wx   | maxpd Vx Wx    | maxss Vx Wd     | maxsd Vx Wq
60 punpcklbw Pq Qd | punpcklbw Vx Wx
61 punpcklwd Pq Qd | punpcklwd Vx Wx
62 punpckldq Pq Qd | punpckldq Vx Wx
63 packsswb Pq Qq | packsswb Vx Wx
64 pcmpgtb Pq Qq | pcmpgtb Vx Wx
65 pcmpgtw Pq Qq | pcmpgtw Vx Wx
66 pcmpgtd Pq Qq | pcmpgtd Vx Wx
67 packuswb Pq Qq | packuswb Vx Wx
68 punpckhbw Pq Qq | punpckhbw Vx Wx
69 punpckhwd Pq Qq | punpckhwd Vx Wx
6A punpckhdq Pq Qq | punpckhdq Vx Wx
6B packssdw Pq Qq | packssdw Vx Wx
6C -             | punpcklqdq Vx Wx
6D -             | punpckhqdq Vx Wx
6E movd Pq Ey    | movd Vx Ey
6F movq Pq Qq    | movdqa Vx Wx   | movdqu Vx Wx
70 pshufw Pq Qq Ib | pshufd Vx Wx Ib | pshufhw Vx Wx Ib | pshuflw Vx Wx Ib
71 ///psrlw Nq Ib//psraw Nq Ib//psllw Nq Ib/ | ///psrlw Ux Ib//psraw Ux Ib//psllw Ux Ib/
72 ///psrld Nq Ib//psrad Nq Ib//pslld Nq Ib/ | ///psrld Ux Ib//psrad Ux Ib//pslld Ux Ib/
73 ///psrlq Nq Ib////psllq Nq Ib/ | ///psrlq Ux Ib/psrldq Ux Ib///psllq Ux Ib/pslldq Ux Ib
74 pcmpeqb Pq Qq | pcmpeqb Vx Wx
75 pcmpeqw Pq Qq | pcmpeqw Vx Wx
76 pcmpeqd Pq Qq | pcmpeqd Vx Wx
77 emms
7E movd Ey Pq    | movd Ey Vx     | movq Vx Wq
7F movq Qq Pq    | movdqa Wx Vx   | movdqu Wx Vx
80 jcc! Jz       90 setcc Eb
A0 push+ FS      A1 pop+ FS       A2 cpuid
A3 bt Ev Gv      A4 shld Ev Gv Ib A5 shld Ev Gv Lb
A8 push+ GS      A9 pop+ GS       AB bts Ev Gv
AC shrd Ev Gv Ib AD shrd Ev Gv Lb
AE /fxsave Mn/fxrstor Mn/ldmxcsr Md/stmxcsr Md////clflush Mn
AF imul Gv Ev    B0 cmpxchg Eb Gb B1 cmpxchg Ev Gv B2 lss Gv Mn     B3 btr Ev Gv
B4 lfs Gv Mn     B5 lgs Gv Mn     B6 movzx Gv Eb   B7 movzx Gv Ew
B8 -             | -              | popcnt Gv Ev
B9 ud1 Gv Ev     BA /////bt Ev Ib/bts Ev Ib/btr Ev Ib/btc Ev Ib
BB btc Ev Gv     BC bsf Gv Ev     BD bsr Gv Ev     BE movsx Gv Eb   BF movsx Gv Ew
C0 xadd Eb Gb    C1 xadd Ev Gv
C2 cmpps Vx Wx Ib| cmppd Vx Wx Ib | cmpss Vx Wd Ib  | cmpsd Vx Wq Ib
C3 movnti My Gy
C4 pinsrw Pq Ew Ib | pinsrw Vx Ew Ib
C5 pextrw Gd Nq Ib | pextrw Gd Ux Ib
C6 shufps Vx Wx Ib | shufpd Vx Wx Ib
C7 //cmpxchg8b Mn
C8 bswap Zv
D1 psrlw Pq Qq   | psrlw Vx Wx
D2 psrld Pq Qq   | psrld Vx Wx
D3 psrlq Pq Qq   | psrlq Vx Wx
D4 paddq Pq Qq   | paddq Vx Wx
D5 pmullw Pq Qq  | pmullw Vx Wx
D6 -             | movq Wq Vx     | movq2dq Vx Nq   | movdq2q Pq Ux
D7 pmovmskb Gd Nq | pmovmskb Gd Ux
D8 psubusb Pq Qq | psubusb Vx Wx
D9 psubusw Pq Qq | psubusw Vx Wx
DA pminub Pq Qq  | pminub Vx Wx
DB pand Pq Qq    | pand Vx Wx
DC paddusb Pq Qq | paddusb Vx Wx
DD paddusw Pq Qq | paddusw Vx Wx
DE pmaxub Pq Qq  | pmaxub Vx Wx
DF pandn Pq Qq   | pandn Vx Wx
E0 pavgb Pq Qq   | pavgb Vx Wx
E1 psraw Pq Qq   | psraw Vx Wx
E2 psrad Pq Qq   | psrad Vx Wx
E3 pavgw Pq Qq   | pavgw Vx Wx
E4 pmulhuw Pq Qq | pmulhuw Vx Wx
E5 pmulhw Pq Qq  | pmulhw Vx Wx
E6 -             | cvttpd2dq Vx Wx | cvtdq2pd Vx Wq | cvtpd2dq Vx Wx
E7 movntq Mq Pq  | movntdq Mx Vx
E8 psubsb Pq Qq  | psubsb Vx Wx
E9 psubsw Pq Qq  | psubsw Vx Wx
EA pminsw Pq Qq  | pminsw Vx Wx
EB por Pq Qq     | por Vx Wx
EC paddsb Pq Qq  | paddsb Vx Wx
ED paddsw Pq Qq  | paddsw Vx Wx
EE pmaxsw Pq Qq  | pmaxsw Vx Wx
EF pxor Pq Qq    | pxor Vx Wx
F1 psllw Pq Qq   | psllw Vx Wx
F2 pslld Pq Qq   | pslld Vx Wx
F3 psllq Pq Qq   | psllq Vx Wx
F4 pmuludq Pq Qq | pmuludq Vx Wx
F5 pmaddwd Pq Qq | pmaddwd Vx Wx
F6 psadbw Pq Qq  | psadbw Vx Wx
F7 maskmovq Tn Pq Nq | maskmovdqu Tn Vx Ux
F8 psubb Pq Qq   | psubb Vx Wx
F9 psubw Pq Qq   | psubw Vx Wx
FA psubd Pq Qq   | psubd Vx Wx
FB psubq Pq Qq   | psubq Vx Wx
FC paddb Pq Qq   | paddb Vx Wx
FD paddw Pq Qq   | paddw Vx Wx
FE paddd Pq Qq   | paddd Vx Wx
`

/** Rows that stand for several opcodes, whose low bits are a register or a condition. */
const REPEATED: Readonly<Record<string, number>> = {
  '1:50': 8,
  '1:58': 8,
  '1:70': 16,
  '1:91': 7,
  '1:B0': 8,
  '1:B8': 8,
  '2:40': 16,
  '2:80': 16,
  '2:90': 16,
  '2:C8': 8,
}

/** How one operand is addressed, and its size letter. */
export type OperandSpec = { readonly how: string; readonly size: string }

export type Form = {
  readonly name: string
  readonly operands: readonly OperandSpec[]
  /** The operand size is 64 unless 66 makes it 16 (`default`), or always (`always`). */
  readonly size64: '' | 'default' | 'always'
}

/** What an opcode leads to: one form for each of the prefixes none, 66, F3 and F2, or eight for ModRM.reg. */
export type Row = {
  /** Whether a mandatory prefix selects the column; with one column, 66 is the operand size as usual. */
  readonly byPrefix: boolean
  readonly columns: readonly (Form | readonly (Form | null)[] | null)[]
  /** Whether a ModRM byte follows. */
  readonly modrm: boolean
}

const MODRM = new Set([...'EGMRWVUQPNSCD'])

function parseForm(text: string): Form | null {
  const words = text.trim().split(/\s+/)
  if (words[0] === '' || words[0] === '-') return null
  const mark = words[0].at(-1)
  return {
    name: words[0].replace(/[+!]$/, ''),
    operands: words.slice(1).map((w) => ({ how: w === 'FS' || w === 'GS' ? w : w[0], size: w.slice(1) })),
    size64: mark === '+' ? 'default' : mark === '!' ? 'always' : '',
  }
}

function parseRow(text: string): Row {
  const columns = text.split('|').map((column) => {
    const c = column.trim()
    return c.startsWith('/') ? c.slice(1).split('/').map(parseForm) : parseForm(c)
  })
  const forms = columns.flat().filter((f) => f !== null)
  const modrm =
    columns.some((c) => Array.isArray(c)) || forms.some((f) => f.operands.some((o) => MODRM.has(o.how)))
  return { byPrefix: columns.length > 1, columns, modrm }
}

function parseMap(map: 1 | 2, text: string): (Row | null)[] {
  const rows: (Row | null)[] = new Array(256).fill(null)
  for (const line of text.trim().split('\n')) {
    // Several one-form rows may share a line: a new one begins at two hex digits before a mnemonic or a slash.
    for (const part of line.split(/(?<!\s)\s+(?=[0-9A-F]{2} [a-z/])/)) {
      const code = part.slice(0, 2)
      const row = parseRow(part.slice(3))
      const first = Number.parseInt(code, 16)
      const count = REPEATED[`${map}:${code}`] ?? 1
      for (let i = 0; i < count; i++) rows[first + i] = row
    }
  }
  return rows
}

function arithmeticRows(rows: (Row | null)[]): (Row | null)[] {
  for (const [n, name] of ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].entries()) {
    for (const [i, operands] of ['Eb Gb', 'Ev Gv', 'Gb Eb', 'Gv Ev', 'Ab Ib', 'Av Iz'].entries()) {
      rows[n * 8 + i] = parseRow(`${name} ${operands}`)
    }
  }
  return rows
}

export const ONE_BYTE_MAP = arithmeticRows(parseMap(1, ONE_BYTE))
export const TWO_BYTE_MAP = parseMap(2, TWO_BYTE)

/** Instructions that two-byte opcode 01 has where its ModRM byte names a register. */
export const REGISTER_FORMS_01: Readonly<Record<number, string>> = {
  202: 'clac',
  203: 'stac',
  208: 'xgetbv',
  209: 'xsetbv',
  248: 'swapgs',
  249: 'rdtscp',
}

/** x87 with a memory operand: by opcode D8..DF and ModRM.reg, the mnemonic and the bytes of memory. */
export const X87_MEMORY = [
  'fadd4 fmul4 fcom4 fcomp4 fsub4 fsubr4 fdiv4 fdivr4',
  'fld4 - fst4 fstp4 fldenv0 fldcw2 fnstenv0 fnstcw2',
  'fiadd4 fimul4 ficom4 ficomp4 fisub4 fisubr4 fidiv4 fidivr4',
  'fild4 - fist4 fistp4 - fld10 - fstp10',
  'fadd8 fmul8 fcom8 fcomp8 fsub8 fsubr8 fdiv8 fdivr8',
  'fld8 - fst8 fstp8 frstor0 - fnsave0 fnstsw2',
  'fiadd2 fimul2 ficom2 ficomp2 fisub2 fisubr2 fidiv2 fidivr2',
  'fild2 - fist2 fistp2 fbld10 fild8 fbstp10 fistp8',
].map((row) => row.split(' '))

/** x87 with registers: by opcode and ModRM.reg; `*` takes st(0) and st(i), `<` st(i) and st(0), `1` st(i) alone. */
export const X87_REGISTER = [
  'fadd* fmul* fcom* fcomp* fsub* fsubr* fdiv* fdivr*',
  'fld1 fxch* @ - @ @ @ @',
  'fcmovb* fcmove* fcmovbe* fcmovu* - @ - -',
  'fcmovnb* fcmovne* fcmovnbe* fcmovnu* @ fucomi* fcomi* -',
  'fadd< fmul< - - fsubr< fsub< fdivr< fdiv<',
  'ffree1 - fst1 fstp1 fucom* fucomp* - -',
  'faddp< fmulp< - @ fsubrp< fsubp< fdivrp< fdivp<',
  '- - - - @ fucomip* fcomip* -',
].map((row) => row.split(' '))

/** The x87 instructions that take all of ModRM: by opcode and ModRM. */
export const X87_WHOLE: Readonly<Record<number, string>> = {
  55760: 'fnop',
  55776: 'fchs',
  55777: 'fabs',
  55780: 'ftst',
  55781: 'fxam',
  55784: 'fld1',
  55785: 'fldl2t',
  55786: 'fldl2e',
  55787: 'fldpi',
  55788: 'fldlg2',
  55789: 'fldln2',
  55790: 'fldz',
  55792: 'f2xm1',
  55793: 'fyl2x',
  55794: 'fptan',
  55795: 'fpatan',
  55796: 'fxtract',
  55797: 'fprem1',
  55798: 'fdecstp',
  55799: 'fincstp',
  55800: 'fprem',
  55801: 'fyl2xp1',
  55802: 'fsqrt',
  55803: 'fsincos',
  55804: 'frndint',
  55805: 'fscale',
  55806: 'fsin',
  55807: 'fcos',
  56041: 'fucompp',
  56290: 'fnclex',
  56291: 'fninit',
  57049: 'fcompp',
  57312: 'fnstsw',
}
