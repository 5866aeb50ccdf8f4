import { DF, EXIT, FIELD, IF } from '../state.ts'
import { type I32, i32 } from '../wasm/wasm-values.ts'
import { type Emitter, type Handler, operation } from './emitter.ts'
import { carryFlag, condition, flagBits, setCarry, setFlagBits } from './flags.ts'
import { push } from './moves.ts'

/** Jumps, calls and returns, and the instructions about single flags. */
const RAX = 0
const RCX = 1
const RSP = 4
const RBP = 5

/** A direct jump inside the page of its instruction, or to another page. */
const REACHES = ['near', 'away'] as const
type Reach = (typeof REACHES)[number]

function jumpTo(e: Emitter, reach: Reach): void {
  if (reach === 'near') e.jumpDirect()
  else e.jumpAway()
}

function direct(name: string, write: (e: Emitter, reach: Reach) => void): Handler[] {
  return REACHES.flatMap((reach) => operation(`${name}:${reach}`, [8], ['rr'], (e) => write(e, reach)))
}

function conditionalJumps(): Handler[] {
  const handlers: Handler[] = []
  for (let code = 0; code < 16; code++) {
    handlers.push(...direct(`j${code}`, (e, reach) => e.if(condition(e, code), () => jumpTo(e, reach))))
  }
  return handlers
}

/** loop, loope, loopne and jrcxz count with rcx, or with ecx after the prefix 67. */
function loops(): Handler[] {
  const handlers: Handler[] = []
  const ZERO = 4
  for (const bytes of [4, 8]) {
    const counting = (also: (e: Emitter) => I32 | null) => (e: Emitter, reach: Reach) => {
      const count = e.let(e.register(RCX, bytes).sub(1).zeroExtend(bytes))
      e.setRegister(RCX, count, bytes)
      const more = count.ne(0)
      const other = also(e)
      e.if(other === null ? more : more.and(other), () => jumpTo(e, reach))
    }
    handlers.push(
      ...direct(
        `loop${bytes}`,
        counting(() => null),
      ),
      ...direct(
        `loope${bytes}`,
        counting((e) => condition(e, ZERO)),
      ),
      ...direct(
        `loopne${bytes}`,
        counting((e) => condition(e, ZERO + 1)),
      ),
      ...direct(`jrcxz${bytes}`, (e, reach) => e.if(e.register(RCX, bytes).eqz(), () => jumpTo(e, reach))),
    )
  }
  return handlers
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

export function controlHandlers(): Handler[] {
  return [
    ...direct('jmp', jumpTo),
    ...direct('call', (e, reach) => {
      push(e, 8, e.let(e.nextRip()))
      jumpTo(e, reach)
    }),
    ...conditionalJumps(),
    ...loops(),
    ...operation('jmp', [8], ['rr', 'rm'], (e) => e.jump(e.let(e.source()))),
    ...operation('call', [8], ['rr', 'rm'], callIndirect),
    ...operation('ret', [8], ['rr'], ret),
    ...operation('enter', [2, 8], ['rr'], enter),
    ...operation('nop', [8], ['rr'], () => {}),
    // clflush: a load, as far as faults go.
    ...operation('touch', [1], ['rm'], (e) => {
      e.let(e.source())
    }),
    ...operation('clc', [8], ['rr'], (e) => setCarry(e, i32(0))),
    ...operation('stc', [8], ['rr'], (e) => setCarry(e, i32(1))),
    ...operation('cmc', [8], ['rr'], (e) => setCarry(e, carryFlag(e).xor(1))),
    ...operation('cld', [8], ['rr'], (e) => e.setField(FIELD.otherFlags, e.field(FIELD.otherFlags).and(~DF))),
    ...operation('std', [8], ['rr'], (e) => e.setField(FIELD.otherFlags, e.field(FIELD.otherFlags).or(DF))),
    ...operation('lahf', [8], ['rr'], (e) => {
      const ah = e.let(flagBits(e).and(ARITHMETIC_FLAGS_IN_AH).or(2).extend())
      e.setRegister(RAX, e.register(RAX, 1).or(ah.shl(8)), 2)
    }),
    ...operation('sahf', [8], ['rr'], (e) => {
      const ah = e.register(RAX, 2).shr(8).wrap()
      setFlagBits(e, flagBits(e).and(~ARITHMETIC_FLAGS_IN_AH).or(ah.and(ARITHMETIC_FLAGS_IN_AH)))
    }),
    ...operation('pushf', [2, 8], ['rr'], pushFlags),
    ...operation('syscall', [8], ['rr'], (e) => e.exit(EXIT.syscall)),
    ...operation('privileged', [8], ['rr'], (e) => e.exit(EXIT.privileged)),
    ...operation('segment', [8], ['rr'], (e) => e.exit(EXIT.segment)),
    ...operation('breakpoint', [8], ['rr'], (e) => e.exit(EXIT.breakpoint)),
    ...operation('undefined', [8], ['rr'], (e) => e.raise(6)),
    ...operation('general-protection', [8], ['rr'], (e) => e.raise(13)),
  ]
}

/**
 * What stands among decoded instructions and is none: it does not count.
 *
 *     continue     a run of decoded instructions ends; the next one begins at the displacement
 *     address64    compute the address of the next instruction into a field, where it does not fit a record
 *     address32    the same, cut to 32 bits: the prefix 67
 *     fpu          the next instruction uses the FPU: #NM when its owner has set `fpuTraps`
 *     beyond       the next instruction reaches into the following page: make sure that this is the page it was decoded in
 */
export const PSEUDO = ['continue', 'address64', 'address32', 'beyond', 'fpu'] as const
