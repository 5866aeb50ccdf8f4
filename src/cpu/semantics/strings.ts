import { copyBytes, fillBytes, type Local, load64, select, store } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i32, i64 } from '../../wasm/wasm-values.ts'
import { DF, FIELD, LOW_END, TF } from '../state.ts'
import type { Emitter } from './emitter.ts'
import { flagsOfSub } from './flags.ts'
import {
  ARITHMETIC,
  type FlagUse,
  flags,
  NO_OPERANDS,
  REGISTERS,
  type Semantic,
  semantic,
} from './semantic.ts'

/**
 * The string instructions. With a repeat prefix one execution carries out what lies in one page of the source and one of
 * the destination, as one copy or fill where it can, and counts as one instruction; the same instruction then follows again
 * until rcx is 0. So it can be interrupted, and its count is a matter of addresses alone.
 */
const RAX = 0
const RCX = 1
const RSI = 6
const RDI = 7
const PAGE = 4096

/** The source address is that of the record: rsi with its segment. The destination's segment is es, whose base is 0. */
type String = {
  readonly e: Emitter
  /** Bytes of rcx, rsi and rdi that count: the address size. */
  readonly address: 4 | 8
  readonly backward: I32
  readonly step: I64
}

function begin(e: Emitter, address: 4 | 8): String {
  const backward = e.let(e.field(FIELD.otherFlags).and(DF).ne(0))
  const step = e.let(select(backward, i64(-e.size), i64(e.size)))
  return { e, address, backward, step }
}

const sourceAt = (s: String): I64 => s.e.let(s.e.register(RSI, s.address).add(s.e.segmentBase()))
const destinationAt = (s: String): I64 => s.e.let(s.e.register(RDI, s.address))

function moveBy(s: String, register: number, bytes: I64): void {
  s.e.setRegister(register, s.e.register(register).add(bytes), s.address)
}

/** Elements from `at` on that lie wholly in its page, in the direction of the copy; at least 0. */
function elementsInPage(s: String, at: I64): I64 {
  const { size } = s.e
  const within = s.e.let(at.and(PAGE - 1))
  const forward = i64(PAGE).sub(within).divU(size)
  const fits = within.leU(PAGE - size)
  return select(s.backward, select(fits, within.divU(size).add(1), i64(0)), forward)
}

function smaller(e: Emitter, a: I64, b: I64): I64 {
  const x = e.let(a)
  const y = e.let(b)
  return e.let(select(x.ltU(y), x, y))
}

/** One element, whatever pages it touches. */
function element(s: String, name: string): void {
  const { e } = s
  if (name === 'movs') {
    e.store(destinationAt(s), e.let(e.load(sourceAt(s), e.size)), e.size)
    moveBy(s, RSI, s.step)
    moveBy(s, RDI, s.step)
  } else if (name === 'stos') {
    e.store(destinationAt(s), e.register(RAX, e.size), e.size)
    moveBy(s, RDI, s.step)
  } else if (name === 'lods') {
    e.setRegister(RAX, e.let(e.load(sourceAt(s), e.size)), e.size)
    moveBy(s, RSI, s.step)
  } else {
    const a = e.let(name === 'scas' ? e.register(RAX, e.size) : e.load(sourceAt(s), e.size))
    const b = e.let(e.load(destinationAt(s), e.size))
    if (name === 'cmps') moveBy(s, RSI, s.step)
    moveBy(s, RDI, s.step)
    flagsOfSub(e, a, b, e.let(a.sub(b)))
  }
}

/** With TF set there is a trap behind every element. */
function isSteppingOver(e: Emitter): I32 {
  return e.field(FIELD.otherFlags).and(TF).ne(0)
}

/** Carry out `n` elements of movs or stos between places in WebAssembly's memory. */
function bulk(s: String, name: string, n: I64, from: I32, to: I32): void {
  const { e } = s
  const bytes = e.let(n.wrap().mul(e.size))
  const value = e.let(e.register(RAX, e.size))
  const one = (source: I32, destination: I32): void => {
    e.emit(store(destination, name === 'movs' ? load64(source, e.size) : value, e.size))
  }
  // A copy that runs into its own source repeats it, where memory.copy would not.
  const isPlain =
    name === 'movs'
      ? to.sub(from).geU(bytes)
      : value.eq(value.and(0xff).mul(e.size === 8 ? i64(0x01010101, 0x01010101) : REPEAT[e.size]))
  e.if(
    s.backward.eqz().and(isPlain),
    () => e.emit(name === 'movs' ? copyBytes(to, from, bytes) : fillBytes(to, value.wrap(), bytes)),
    () => {
      const source = e.variable<I32>('i32')
      const destination = e.variable<I32>('i32')
      const count = e.variable<I64>('i64')
      e.set(source, from)
      e.set(destination, to)
      e.set(count, n)
      e.loop((again) => {
        one(source.value, destination.value)
        e.set(source, source.value.add(s.step.wrap()))
        e.set(destination, destination.value.add(s.step.wrap()))
        e.set(count, count.value.sub(1))
        e.brIf(again, count.value.ne(0))
      })
      e.if(n.geU(MANY), () => e.effort())
    },
  )
}

/** Elements, one by one, that take as long as hundreds of instructions. */
const MANY = 512

const REPEAT: Readonly<Record<number, number>> = { 1: 1, 2: 0x0101, 4: 0x01010101 }

/** rep movs and rep stos. */
function repeatMove(e: Emitter, address: 4 | 8, name: 'movs' | 'stos'): void {
  const count = e.let(e.register(RCX, address))
  e.if(count.ne(0), () => {
    const s = begin(e, address)
    const to = destinationAt(s)
    const room = elementsInPage(s, to)
    const from = name === 'movs' ? sourceAt(s) : to
    const n = e.let(smaller(e, count, name === 'movs' ? smaller(e, room, elementsInPage(s, from)) : room))
    const done = e.variable<I64>('i64')
    e.set(done, i64(1))
    e.block((end) => {
      e.block((single) => {
        e.brIf(single, n.leU(1).or(isSteppingOver(e)))
        const source = name === 'movs' ? e.let(e.host(from, e.size, 'read')) : i32(0)
        const destination = e.let(e.host(to, e.size, 'write more'))
        e.brIf(single, destination.ltU(LOW_END).or(source.ltU(name === 'movs' ? LOW_END : 0)))
        bulk(s, name, n, source, destination)
        e.set(done, n)
        if (name === 'movs') moveBy(s, RSI, n.mul(s.step))
        moveBy(s, RDI, n.mul(s.step))
        e.br(end)
      })
      element(s, name)
    })
    repeatFrom(s, count, done)
  })
}

function repeatFrom(s: String, count: I64, done: Local<I64>): void {
  const left = s.e.let(count.sub(done.value))
  s.e.setRegister(RCX, left, s.address)
  s.e.if(left.ne(0), () => s.e.again())
}

/** rep lods: each element overwrites the one before. */
function repeatLoad(e: Emitter, address: 4 | 8): void {
  const count = e.let(e.register(RCX, address))
  e.if(count.ne(0), () => {
    const s = begin(e, address)
    element(s, 'lods')
    const done = e.variable<I64>('i64')
    e.set(done, i64(1))
    repeatFrom(s, count, done)
  })
}

/** repe and repne, cmps and scas: until rcx is 0 or elements differ, or are equal. */
function repeatCompare(e: Emitter, address: 4 | 8, name: 'cmps' | 'scas', whileEqual: boolean): void {
  const count = e.let(e.register(RCX, address))
  e.if(count.ne(0), () => {
    const s = begin(e, address)
    const second = destinationAt(s)
    const first = name === 'cmps' ? sourceAt(s) : second
    const room = elementsInPage(s, second)
    const n = e.let(smaller(e, count, name === 'cmps' ? smaller(e, room, elementsInPage(s, first)) : room))
    const done = e.variable<I64>('i64')
    e.set(done, i64(1))
    const a = e.variable<I64>('i64')
    const b = e.variable<I64>('i64')
    e.block((end) => {
      e.block((single) => {
        e.brIf(single, n.leU(1).or(isSteppingOver(e)))
        const source = e.variable<I32>('i32')
        const destination = e.variable<I32>('i32')
        e.set(source, name === 'cmps' ? e.host(first, e.size, 'read') : i32(0))
        e.set(destination, e.host(second, e.size, 'read'))
        e.brIf(single, destination.value.ltU(LOW_END).or(source.value.ltU(name === 'cmps' ? LOW_END : 0)))
        e.set(done, i64(0))
        e.set(a, e.register(RAX, e.size))
        e.loop((again) => {
          if (name === 'cmps') e.set(a, load64(source.value, e.size))
          e.set(b, load64(destination.value, e.size))
          e.set(source, source.value.add(s.step.wrap()))
          e.set(destination, destination.value.add(s.step.wrap()))
          e.set(done, done.value.add(1))
          const goesOn = whileEqual ? a.value.eq(b.value) : a.value.ne(b.value)
          e.brIf(again, goesOn.and(done.value.ltU(n)))
        })
        e.if(done.value.geU(MANY), () => e.effort())
        if (name === 'cmps') moveBy(s, RSI, done.value.mul(s.step))
        moveBy(s, RDI, done.value.mul(s.step))
        e.br(end)
      })
      e.set(a, name === 'scas' ? e.register(RAX, e.size) : e.load(first, e.size))
      e.set(b, e.load(second, e.size))
      if (name === 'cmps') moveBy(s, RSI, s.step)
      moveBy(s, RDI, s.step)
    })
    flagsOfSub(e, a.value, b.value, e.let(a.value.sub(b.value)))
    const left = e.let(count.sub(done.value))
    e.setRegister(RCX, left, address)
    const goesOn = whileEqual ? a.value.eq(b.value) : a.value.ne(b.value)
    e.if(left.ne(0).and(goesOn), () => e.again())
  })
}

const MOVES = flags({ reads: DF })
const COMPARES = flags({ reads: DF, sets: ARITHMETIC })
/** With a count of 0 nothing is compared. */
const REPEATED_COMPARES = flags({ reads: DF, maySet: ARITHMETIC })

/** Names are the prefix, the mnemonic and the address size: see select.ts. */
function ofAddressSize(address: 4 | 8): Semantic[] {
  const string = (name: string, use: FlagUse, write: (e: Emitter) => void): Semantic =>
    semantic({
      name: `${name} ${address}`,
      mnemonics: [],
      operands: NO_OPERANDS,
      forms: REGISTERS,
      flags: use,
      write,
    })
  const moves = ['movs', 'stos', 'lods'] as const
  const compares = ['cmps', 'scas'] as const
  return [
    ...moves.map((name) => string(name, MOVES, (e) => element(begin(e, address), name))),
    ...compares.map((name) => string(name, COMPARES, (e) => element(begin(e, address), name))),
    string('rep movs', MOVES, (e) => repeatMove(e, address, 'movs')),
    string('rep stos', MOVES, (e) => repeatMove(e, address, 'stos')),
    string('rep lods', MOVES, (e) => repeatLoad(e, address)),
    ...compares.flatMap((name) => [
      string(`rep ${name}`, REPEATED_COMPARES, (e) => repeatCompare(e, address, name, true)),
      string(`repne ${name}`, REPEATED_COMPARES, (e) => repeatCompare(e, address, name, false)),
    ]),
  ]
}

export const STRING_SEMANTICS: readonly Semantic[] = [...ofAddressSize(4), ...ofAddressSize(8)]
const STRINGS: ReadonlySet<Semantic> = new Set(STRING_SEMANTICS)

/** Whether a semantic is one of these: they know their addresses, and access memory without naming it. */
export function isString(semantic: Semantic): boolean {
  return STRINGS.has(semantic)
}
