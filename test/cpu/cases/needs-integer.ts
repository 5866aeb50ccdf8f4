import { NO_TARGET, PAGE, SPACE } from '../case.ts'
import { type Draft, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from './draft.ts'
import { segmentBase } from './encode.ts'
import { loosenScan, loosenShift } from './loose.ts'

/** What an instruction needs of registers, flags and memory, so that more happens than a fault. By mnemonic. */
export type Need = (draft: Draft) => void

/** Size in bits of the first operand that has one. */
function operandBits({ form }: Draft): number {
  return form.operands.find(({ bits }) => bits > 0)?.bits ?? 0
}

/** Interesting values of the operands' own sizes; immediates. */
export function ordinaryOperands(draft: Draft): void {
  const { form, values, state } = draft
  let immediates = 0
  for (const { kind, bits } of form.operands) {
    if (kind === 'r' && (draft.pinned & (1 << draft.reg)) === 0) {
      values.integer(bits)
      state.gpr[2 * draft.reg] = values.low
      state.gpr[2 * draft.reg + 1] = values.high
    } else if ((kind === 'rm' || kind === 'm') && bits > 0 && bits <= 64) {
      values.integer(bits)
      if (draft.memory || (draft.pinned & (1 << draft.rm)) === 0)
        setRm64(draft, values.low, values.high, bits)
    } else if (kind === 'imm') {
      values.integer(bits)
      draft.immediates[immediates++] = values.low
      if (bits === 64) draft.immediates[immediates++] = values.high
    }
  }
}

function setRm64(draft: Draft, low: number, high: number, bits: number): void {
  draft.setRm(0, low, bits >> 3)
  if (!draft.memory || bits === 64) draft.setRm(1, high, bits >> 3)
}

const shift: Need = (draft) => {
  const { random, form } = draft
  const bits = operandBits(draft)
  // All counts, with those that do something more often.
  const count = random.once(4) ? random.bits() & 0xff : random.between(0, 68)
  if (form.name.endsWith('cl')) draft.pin(RCX, ((random.bits() & 0xffff_ff00) | count) >>> 0, random.bits())
  ordinaryOperands(draft)
  draft.immediates[0] = count
  if (form.name.endsWith('cl')) {
    // The operand may be rcx itself, and hold something else now.
    loosenShift(draft, bits, draft.state.gpr[2 * RCX] & 0xff)
  } else {
    loosenShift(draft, bits, form.name.endsWith(', 1') ? 1 : count)
  }
}

function withBit(value: number, bit: number, set: boolean): number {
  return (set ? value | (1 << bit) : value & ~(1 << bit)) >>> 0
}

const divide: Need = (draft) => {
  const { random, values, form } = draft
  const bits = operandBits(draft)
  const signed = form.mnemonic === 'idiv'
  ordinaryOperands(draft)
  values.integer(bits)
  let [low, high] = [values.low, values.high]
  const choice = random.bits() & 3
  const negative = signed && (random.bits() & 1) !== 0
  if (bits === 8) {
    // The dividend is ax: mostly one whose quotient fits.
    if (choice !== 0) low = ((low & 0xffff_0000) | (((low & 0xff) ^ (negative ? 0xffff : 0)) & 0xffff)) >>> 0
    draft.pin(RAX, low, high)
    return
  }
  if (signed && choice !== 0) {
    // The sign of the lower half goes with that of the upper one.
    if (bits === 64) high = withBit(high, 31, negative)
    else low = withBit(low, bits - 1, negative)
  }
  draft.pin(RAX, low, high)
  const extension = negative ? 0xffff_ffff : 0
  if (choice === 0) draft.pin(RDX, random.bits(), random.bits())
  else if (choice === 1) draft.pin(RDX, random.bits() & 15, 0)
  else draft.pin(RDX, extension, bits === 64 ? extension : random.bits())
}

const bitTest: Need = (draft) => {
  const { random, form, window } = draft
  const bits = operandBits(draft)
  ordinaryOperands(draft)
  if (form.modrm !== 'register' || !draft.memory) return
  // The offset reaches beyond the operand, backwards too; it has the operand's size, and what lies above does not count.
  const far = window.at === PAGE - 64 && !draft.nonCanonical
  if (far) draft.address = PAGE - 8 + random.between(-16, 16)
  const offset = far ? random.between(-192, 192) : random.between(0, bits)
  const noise = random.bits()
  if (bits === 16) draft.pin(draft.reg, ((offset & 0xffff) | (noise & 0xffff_0000)) >>> 0, random.bits())
  else draft.pin(draft.reg, offset >>> 0, bits === 32 ? noise : offset < 0 ? 0xffff_ffff : 0)
}

const scan: Need = (draft) => {
  const bits = operandBits(draft)
  ordinaryOperands(draft)
  const low = draft.getRm(0, bits >> 3)
  const zero = bits === 16 ? (low & 0xffff) === 0 : low === 0 && (bits === 32 || draft.getRm(1, 8) === 0)
  loosenScan(draft, zero)
}

const compareExchange: Need = (draft) => {
  const bits = operandBits(draft)
  const bytes = bits >> 3
  ordinaryOperands(draft)
  if (draft.random.once(2)) return draft.pinInteger(RAX, bits)
  draft.pin(RAX, draft.getRm(0, bytes), bits === 64 ? draft.getRm(1, bytes) : draft.random.bits())
}

/** cmpxchg8b and cmpxchg16b: rdx:rax against memory, then rcx:rbx. */
const compareExchangePair: Need = (draft) => {
  const { random, form } = draft
  const wide = form.rexW
  const bytes = wide ? 16 : 8
  for (const register of [RAX, RDX, RCX, RBX]) draft.pinInteger(register, wide ? 64 : 32)
  if (random.once(2)) return
  const { gpr } = draft.state
  const words = wide ? [gpr[0], gpr[1], gpr[2 * RDX], gpr[2 * RDX + 1]] : [gpr[0], gpr[2 * RDX]]
  for (const [word, value] of words.entries()) draft.setRm(word, value, bytes)
}

const translate: Need = (draft) => {
  const { random, window } = draft
  const al = random.bits() & 0xff
  draft.pin(RAX, ((random.bits() & 0xffff_ff00) | al) >>> 0, random.bits())
  const address = SPACE.data + window.at + random.between(0, window.bytes) - al - segmentBase(draft.segment)
  draft.pin(RBX, address, draft.short ? random.bits() : 0)
}

/** rsp, where the instruction pushes and pops a few times 8 bytes within the data. */
function pinStack(draft: Draft): number {
  const { random, window } = draft
  if (random.once(200)) {
    draft.pin(RSP, random.bits() & ~7, 0x7000_0000)
    return -1
  }
  const middle = window.bytes === 64 ? (window.at === 0 ? 8 : window.at + 64) : PAGE
  const slot = middle + (random.once(4) ? random.between(-20, 20) : 8 * random.between(-3, 3))
  const inside = Math.max(window.at, Math.min(window.at + window.bytes + 8, slot))
  draft.pinAddress(RSP, inside)
  return inside
}

const stack: Need = (draft) => {
  const slot = pinStack(draft)
  const { mnemonic } = draft.form
  const low = draft.state.gpr[2 * RSP]
  ordinaryOperands(draft)
  // The operand of push may be rsp itself; it points to the stack all the same.
  if (slot >= 0) draft.pinAddress(RSP, slot)
  else draft.pin(RSP, low, 0x7000_0000)
  if (mnemonic === 'popf' || mnemonic === 'popfq') {
    // Neither a trap behind the next instruction, nor checks of alignment that only some machines have switched on.
    draft.setData(slot, draft.random.bits() & ~0x4_0100)
  }
  if (mnemonic === 'pop' && draft.memory) {
    // An address that rsp is part of is computed with the new rsp: leave room behind it.
    draft.address = Math.min(draft.address, draft.window.at + draft.window.bytes - 16)
  }
}

const leave: Need = (draft) => {
  pinStack(draft)
  // It is rbp that it pops from.
  draft.pin(RBP, draft.state.gpr[2 * RSP], draft.state.gpr[2 * RSP + 1])
  draft.pin(RSP, draft.random.bits(), draft.random.bits())
}

/** enter: up to 31 levels, each a word that is read below rbp and pushed. */
const enter: Need = (draft) => {
  const { random } = draft
  draft.pinAddress(RSP, PAGE + 8 * random.between(0, 20))
  draft.pinAddress(RBP, PAGE + random.between(0, 160))
  draft.immediates = [random.between(0, 128), random.once(4) ? random.bits() & 0xff : random.between(0, 6)]
}

/** An offset in the code's pages, out of the way of the code. */
function farTarget(draft: Draft): number {
  const { random } = draft
  return random.once(2) ? 0x40 + (random.bits() & 0x1ff) : PAGE + 0x100 + (random.bits() & 0x7ff)
}

/** Where an indirect branch goes: mostly to code; to data, which is not executable; to where nothing is. */
function destination(draft: Draft): number {
  const { random } = draft
  const choice = random.bits() & 31
  if (choice === 0) return SPACE.data + (random.bits() & 0xfff)
  if (choice === 1) return SPACE.code + 2 * PAGE + (random.bits() & 0xfff)
  draft.target = farTarget(draft)
  return SPACE.code + draft.target
}

const indirect: Need = (draft) => {
  const { mnemonic } = draft.form
  const goal = destination(draft)
  if (mnemonic === 'call') pinStack(draft)
  if (!draft.memory && mnemonic === 'call' && draft.rm === RSP) draft.rm = RBX
  // All of the operand must be known: where a random address is not canonical, processors differ in who faults.
  const { window } = draft
  draft.address = Math.max(window.at, Math.min(window.at + window.bytes - 8, draft.address))
  setRm64(draft, goal, 0, 64)
  // What could not be set is somewhere else.
  if (draft.getRm(0, 8) !== goal || draft.getRm(1, 8) !== 0) draft.target = NO_TARGET
}

const ret: Need = (draft) => {
  const slot = pinStack(draft)
  const goal = destination(draft)
  if (slot >= 0) {
    draft.setData(slot, goal)
    draft.setData(slot + 4, 0)
  }
  draft.immediates[0] = draft.random.once(4) ? draft.random.bits() & 0xffff : draft.random.between(0, 64)
}

/** Far returns to where the code is anyway: selectors as Linux gives them to a 64-bit process. */
const CODE_SELECTOR = 0x33
const DATA_SELECTOR = 0x2b

const farReturn: Need = (draft) => {
  const { random, form } = draft
  const frame = PAGE - 16
  draft.target = farTarget(draft)
  const stack = SPACE.data + random.between(0, 2 * PAGE)
  // Neither a trap behind the next instruction nor RF, which would be seen where no instruction follows.
  const flags = random.bits() & ~0x5_4100
  const words = form.mnemonic === 'iretq' ? [flags, stack, DATA_SELECTOR] : []
  draft.pinAddress(RSP, frame)
  for (const [i, word] of [SPACE.code + draft.target, CODE_SELECTOR, ...words].entries()) {
    draft.setData(frame + 8 * i, word)
    draft.setData(frame + 8 * i + 4, 0)
  }
  draft.immediates[0] = random.between(0, 64)
}

const loop: Need = (draft) => {
  const { random } = draft
  const choice = random.bits()
  const low = (choice & 3) === 3 ? random.bits() : choice & 3
  draft.pin(RCX, low, choice & 4 ? 0 : random.bits())
}

const interrupt: Need = (draft) => {
  // Neither those that a program may raise (int3, into) nor Linux's system call.
  do draft.immediates[0] = draft.random.bits() & 0xff
  while ([3, 4, 0x80].includes(draft.immediates[0]))
}

export const INTEGER_NEEDS: Readonly<Record<string, Need>> = {
  rol: shift,
  ror: shift,
  rcl: shift,
  rcr: shift,
  shl: shift,
  shr: shift,
  sar: shift,
  shld: shift,
  shrd: shift,
  div: divide,
  idiv: divide,
  bt: bitTest,
  bts: bitTest,
  btr: bitTest,
  btc: bitTest,
  bsf: scan,
  bsr: scan,
  cmpxchg: compareExchange,
  cmpxchg8b: compareExchangePair,
  cmpxchg16b: compareExchangePair,
  xlatb: translate,
  push: stack,
  pop: stack,
  pushf: stack,
  pushfq: stack,
  popf: stack,
  popfq: stack,
  leave,
  leave16: leave,
  enter,
  enter16: enter,
  call: (draft) => (draft.form.modrm === 'none' ? void pinStack(draft) : indirect(draft)),
  jmp: (draft) => (draft.form.modrm === 'none' ? undefined : indirect(draft)),
  ret,
  iretq: farReturn,
  retfq: farReturn,
  loop,
  loope: loop,
  loopne: loop,
  jrcxz: loop,
  int: interrupt,
}

/** String instructions: rsi and rdi in the data, rcx small. */
export function stringOperands(draft: Draft): void {
  const { random, form, window, values, state, short } = draft
  const bytes = { b: 1, w: 2, d: 4, q: 8 }[form.mnemonic.at(-1) as 'b' | 'w' | 'd' | 'q']
  const repeats = form.prefixes.some((prefix) => prefix !== 0x66)
  const count = repeats ? random.between(0, Math.floor(40 / bytes) + 2) : 1
  const down = (state.rflags & 0x400) !== 0
  // Where the last element ends is in the data, but at the edges, where some runs go over them.
  const span = Math.max(count - 1, 0) * bytes
  const room = window.bytes - span - bytes
  const place = () => window.at + random.between(0, Math.max(1, room + 1)) + (down ? span : 0)
  const high = () => (short ? random.bits() : 0)
  let [source, destination] = [place(), place()]
  if (window.bytes === 64 && random.once(2)) {
    // Into the read-only page, or below the first page: the run stops with a part of it done.
    destination = window.at === 0 ? (down ? bytes * 2 : -bytes) : 2 * PAGE - bytes * (down ? -1 : 2)
    source = random.once(2) ? destination : source
  }
  draft.pin(RSI, SPACE.data + source - segmentBase(draft.segment), high())
  draft.pin(RDI, SPACE.data + destination, high())
  // How an empty run leaves the upper half of rcx, with 32-bit addresses, differs between processors.
  if (repeats) draft.pin(RCX, count, short && count > 0 ? random.bits() : 0)
  values.integer(8 * bytes)
  // Elements that are equal, so that comparisons go on for a while.
  const same = random.bits() & 3
  if (same !== 0) {
    const pattern = values.low & 0xff
    for (let i = 0; i < state.data.length; i++)
      if (same !== 1 || (random.bits() & 15) !== 0) state.data[i] = pattern
    if (same === 3) state.data[random.between(0, state.data.length)] ^= 1
    if (random.once(2)) draft.pin(RAX, (pattern * 0x0101_0101) >>> 0, (pattern * 0x0101_0101) >>> 0)
  }
}
