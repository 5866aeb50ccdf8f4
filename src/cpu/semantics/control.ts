import { type I32, i32 } from '../../wasm/wasm-values.ts'
import { AF, CF, DF, EXIT, FIELD, IF, PF, SF, ZF } from '../state.ts'
import type { Emitter } from './emitter.ts'
import { CONDITION_FLAGS, carryFlag, condition, flagBits, setCarry, setFlagBits } from './flags.ts'
import { push } from './moves.ts'
import {
  ALL_FLAGS,
  flags,
  LOADING,
  ONE_SIZE,
  OWNERS_FLAGS,
  plainSemantic,
  READS_ONE,
  type Semantic,
  STACK_SIZES,
  semantic,
} from './semantic.ts'

/** Jumps, calls and returns, and the instructions about single flags. */
const RAX = 0
const RCX = 1
const RSP = 4
const RBP = 5

/** A jump to the target that the instruction names, when its condition holds. */
function conditionalJumps(): Semantic[] {
  return CONDITION_FLAGS.map((reads, code) =>
    plainSemantic({
      name: `jcc ${code}`,
      mnemonics: [],
      flags: flags({ reads }),
      ...DIRECT,
      write: (e) => e.if(condition(e, code), () => e.jumpDirect()),
    }),
  )
}

/** loop, loope, loopne and jrcxz count with rcx, or with ecx after the prefix 67: the last part of their names. */
function loops(bytes: 4 | 8): Semantic[] {
  const ZERO = 4
  const counting = (name: string, reads: number, also: (e: Emitter) => I32 | null): Semantic =>
    plainSemantic({
      name: `${name} ${bytes}`,
      mnemonics: [],
      flags: flags({ reads }),
      ...DIRECT,
      write: (e) => {
        const count = e.let(e.register(RCX, bytes).sub(1).zeroExtend(bytes))
        e.setRegister(RCX, count, bytes)
        const more = count.ne(0)
        const other = also(e)
        e.if(other === null ? more : more.and(other), () => e.jumpDirect())
      },
    })
  return [
    counting('loop', 0, () => null),
    counting('loope', ZF, (e) => condition(e, ZERO)),
    counting('loopne', ZF, (e) => condition(e, ZERO + 1)),
    plainSemantic({
      name: `jrcxz ${bytes}`,
      mnemonics: [],
      ...DIRECT,
      write: (e) => e.if(e.register(RCX, bytes).eqz(), () => e.jumpDirect()),
    }),
  ]
}

function callIndirect(e: Emitter): void {
  const target = e.let(e.source())
  push(e, 8, e.nextRip())
  e.jump(target)
}

/** ret, with the bytes of arguments that it removes. */
function ret(e: Emitter): void {
  const top = e.let(e.register(RSP))
  const target = e.let(e.load(top, 8))
  e.setRegister(RSP, top.add(8).add(e.immediate()))
  e.jump(target)
}

/** enter without nested frames; those go the slow way. */
function enter(e: Emitter): void {
  const frame = e.let(e.register(RSP).sub(e.size))
  e.store(frame, e.register(RBP, e.size), e.size)
  e.setRegister(RBP, frame, e.size)
  e.setRegister(RSP, frame.sub(e.immediate()))
}

/** rflags as the guest sees them. Bit 1 and IF are always set: interrupts are the hypervisor's. */
function pushFlags(e: Emitter): void {
  const flags = flagBits(e)
    .or(e.field(FIELD.otherFlags))
    .or(IF | 2)
  push(e, e.size, e.let(flags.extend()))
}

const ARITHMETIC_FLAGS_IN_AH = 0xd5

const IN_AH = flags({ reads: CF | PF | AF | ZF | SF })
const FROM_AH = flags({ sets: CF | PF | AF | ZF | SF })

/** What a jump to its own target is, and one to an address that is computed. */
const DIRECT = { endsBlock: true, isDirect: true } as const
const INDIRECT = { operands: READS_ONE, sizes: ONE_SIZE, forms: LOADING, endsBlock: true } as const

/** What the owner carries out: the core stops before it. */
const OWNERS = { flags: OWNERS_FLAGS, endsBlock: true } as const

/** Instructions that ring 3 may not execute, or only the hypervisor can answer. */
const PRIVILEGED =
  'hlt in out ins outs cli sti clts invd wbinvd wrmsr rdmsr rdpmc lgdt lidt sgdt sidt lldt ltr sldt str lmsw smsw ' +
  'invlpg swapgs sysret sysexit'
/** Instructions that read descriptors. */
const SEGMENT = 'lar lsl verr verw lss lfs lgs callf jmpf'
/** Instructions that the processor does not have here: #UD. */
const UNDEFINED = 'ud1 ud2 popcnt clac stac xgetbv xsetbv rdtscp sysenter'
const NO_OPERATION = 'nop pause endbr64 prefetch lfence mfence sfence'

export const CONTROL_SEMANTICS: readonly Semantic[] = [
  plainSemantic({ name: 'jmp', mnemonics: [], ...DIRECT, write: (e) => e.jumpDirect() }),
  plainSemantic({
    name: 'call',
    mnemonics: [],
    usesStack: true,
    ...DIRECT,
    write: (e) => {
      push(e, 8, e.let(e.nextRip()))
      e.jumpDirect()
    },
  }),
  ...conditionalJumps(),
  ...loops(4),
  ...loops(8),
  semantic({ name: 'jmp indirect', mnemonics: [], ...INDIRECT, write: (e) => e.jump(e.let(e.source())) }),
  semantic({ name: 'call indirect', mnemonics: [], usesStack: true, ...INDIRECT, write: callIndirect }),
  plainSemantic({ name: 'ret', usesStack: true, endsBlock: true, write: ret }),
  plainSemantic({ name: 'enter', mnemonics: [], sizes: STACK_SIZES, usesStack: true, write: enter }),
  plainSemantic({ name: 'nop', mnemonics: NO_OPERATION.split(' '), write: () => {} }),
  // A load, as far as faults go.
  semantic({
    name: 'clflush',
    operands: READS_ONE,
    sizes: [1],
    forms: ['rm'],
    write: (e) => {
      e.let(e.source())
    },
  }),
  plainSemantic({ name: 'clc', flags: flags({ sets: CF }), write: (e) => setCarry(e, i32(0)) }),
  plainSemantic({ name: 'stc', flags: flags({ sets: CF }), write: (e) => setCarry(e, i32(1)) }),
  plainSemantic({
    name: 'cmc',
    flags: flags({ reads: CF, sets: CF }),
    write: (e) => setCarry(e, carryFlag(e).xor(1)),
  }),
  plainSemantic({
    name: 'cld',
    flags: flags({ sets: DF }),
    write: (e) => e.setField(FIELD.otherFlags, e.field(FIELD.otherFlags).and(~DF)),
  }),
  plainSemantic({
    name: 'std',
    flags: flags({ sets: DF }),
    write: (e) => e.setField(FIELD.otherFlags, e.field(FIELD.otherFlags).or(DF)),
  }),
  plainSemantic({
    name: 'lahf',
    flags: IN_AH,
    write: (e) => {
      const ah = e.let(flagBits(e).and(ARITHMETIC_FLAGS_IN_AH).or(2).extend())
      e.setRegister(RAX, e.register(RAX, 1).or(ah.shl(8)), 2)
    },
  }),
  plainSemantic({
    name: 'sahf',
    flags: FROM_AH,
    write: (e) => {
      const ah = e.register(RAX, 2).shr(8).wrap()
      setFlagBits(e, flagBits(e).and(~ARITHMETIC_FLAGS_IN_AH).or(ah.and(ARITHMETIC_FLAGS_IN_AH)))
    },
  }),
  plainSemantic({
    name: 'pushf',
    sizes: STACK_SIZES,
    flags: flags({ reads: ALL_FLAGS }),
    usesStack: true,
    write: pushFlags,
  }),
  plainSemantic({ name: 'syscall', ...OWNERS, write: (e) => e.exit(EXIT.syscall) }),
  plainSemantic({
    name: 'privileged',
    mnemonics: PRIVILEGED.split(' '),
    ...OWNERS,
    isKept: true,
    write: (e) => e.exit(EXIT.privileged),
  }),
  plainSemantic({
    name: 'segment',
    mnemonics: SEGMENT.split(' '),
    ...OWNERS,
    isKept: true,
    write: (e) => e.exit(EXIT.segment),
  }),
  plainSemantic({ name: 'breakpoint', mnemonics: [], ...OWNERS, write: (e) => e.exit(EXIT.breakpoint) }),
  plainSemantic({
    name: 'undefined',
    mnemonics: UNDEFINED.split(' '),
    endsBlock: true,
    write: (e) => e.raise(INVALID_OPCODE),
  }),
  plainSemantic({
    name: 'general protection',
    mnemonics: [],
    endsBlock: true,
    write: (e) => e.raise(GENERAL_PROTECTION),
  }),
]

const INVALID_OPCODE = 6
const GENERAL_PROTECTION = 13
