import { A, D, HI_NX, P, RW, US } from '../../src/bits/pte.ts'
import { Cpu } from '../../src/cpu/cpu.ts'
import { FIELD } from '../../src/cpu/state.ts'
import type { Tier } from '../../src/cpu/tier.ts'
import { Memory } from '../../src/machine/memory.ts'
import { type CpuCase, type CpuResult, initialState, NO_VECTOR, PAGE, SPACE, type Subject } from './case.ts'

/** Frames of the subject's machine: four tables, then the pages that the tables map; those of code once for each case of a batch. */
const FRAME = { l4: 1, l3: 2, l2: 3, codeL1: 4, dataL1: 5, data: 10, readOnly: 12, code: 16 } as const
const CODE_PAGES = SPACE.codeBytes / PAGE
const INT3 = 0xcc
const BREAKPOINT_VECTOR = 3
const PAGE_FAULT_VECTOR = 14
/** More than any case needs; one that runs on has a bug. */
const BUDGET = 100_000
/** Cases that are compiled as one module. */
export const BATCH = 100

/** How a subject runs its cases. */
export type SubjectOptions = {
  /** Instructions that it executes at a time; all of a case's when left out. */
  readonly slice?: number
  /** `region`: every case is compiled before it runs, a batch of them together. Default `interpreter`. */
  readonly tier?: Tier
}

/** The core with a case's address space around it. */
export function createSubject({ slice = BUDGET, tier = 'interpreter' }: SubjectOptions = {}): Subject & {
  readonly cpu: Cpu
} {
  const batch = tier === 'region' ? BATCH : 1
  const memory = new Memory(2 ** 24)
  memory.reset([{ start: 0, end: FRAME.code + batch * CODE_PAGES }], () => {})
  const entry = (table: number, slot: number, frame: number, flags: number, high = 0): void => {
    const at = memory.frameWords(table) + slot * 2
    memory.u32[at] = frame * PAGE + flags
    memory.u32[at + 1] = high
  }
  const all = P | RW | US | A
  entry(FRAME.l4, 0, FRAME.l3, all)
  entry(FRAME.l3, 0, FRAME.l2, all)
  entry(FRAME.l2, SPACE.code >>> 21, FRAME.codeL1, all)
  entry(FRAME.l2, SPACE.data >>> 21, FRAME.dataL1, all)
  for (let i = 0; i < SPACE.dataBytes / PAGE; i++) entry(FRAME.dataL1, i, FRAME.data + i, all | D, HI_NX)
  entry(FRAME.dataL1, SPACE.dataBytes / PAGE, FRAME.readOnly, P | US | A, HI_NX)
  const cpu = new Cpu(memory, { tier })
  cpu.root = FRAME.l4
  const pages = (frame: number): number[] => [0, 1].map((i) => memory.frameWords(frame + i) * 4)
  /** The pages of code of each case of a batch. */
  const codes = Array.from({ length: batch }, (_, n) => pages(FRAME.code + n * CODE_PAGES))
  const data = pages(FRAME.data)
  for (const page of codes.flat()) memory.u8.fill(INT3, page, page + PAGE)
  const entries = memory.frameWords(FRAME.codeL1)
  const places = new Map<CpuCase, number>()
  /** The pages of code that are mapped. */
  let code = codes[0]

  /** Map the pages of code of a case of the batch. */
  function show(n: number): void {
    code = codes[n]
    for (let i = 0; i < CODE_PAGES; i++) {
      memory.u32[entries + 2 * i] = (FRAME.code + n * CODE_PAGES + i) * PAGE + (all | D)
      cpu.tlb.flushPage(SPACE.code + i * PAGE, 0)
    }
  }
  show(0)

  /** Lay out as many cases as a batch has, and compile them all at once. */
  function prepare(cases: readonly CpuCase[]): void {
    places.clear()
    for (const [n, one] of cases.entries()) {
      places.set(one, n)
      put(codes[n], one.codeAt, one.code, one.code.length)
    }
    cpu.compileAt(shown(cases))
  }

  /** Where the cases begin, each while it is mapped. */
  function* shown(cases: readonly CpuCase[]): Generator<{ readonly va: number }> {
    for (const [n, one] of cases.entries()) {
      show(n)
      yield { va: SPACE.code + one.codeAt }
    }
  }
  const put = (at: readonly number[], offset: number, bytes: Uint8Array | number, length: number): void => {
    for (let i = 0; i < length; i++) {
      const o = offset + i
      if (o >= 2 * PAGE) return
      memory.u8[at[o >> 12] + (o & 4095)] = typeof bytes === 'number' ? bytes : bytes[i]
    }
  }

  function load(one: CpuCase): void {
    if (tier === 'region') {
      if (!places.has(one)) prepare([one])
      show(places.get(one) ?? 0)
    } else put(code, one.codeAt, one.code, one.code.length)
    put(data, one.dataAt, one.state.data, one.state.data.length)
    cpu.words.set(one.state.gpr, cpu.state >> 2)
    cpu.setFlags(one.state.rflags)
    cpu.setBase(FIELD.fsBase, SPACE.fsBase, 0)
    cpu.setBase(FIELD.gsBase, SPACE.gsBase, 0)
    cpu.setSelector(1, 0x33)
    cpu.setSelector(2, 0x2b)
    cpu.setRip(SPACE.code + one.codeAt, 0)
    if (!one.usesFpu) return
    cpu.mxcsr = one.state.mxcsr
    cpu.setWord(FIELD.controlWord, one.state.fcw)
    cpu.setWord(FIELD.statusWord, one.state.fsw)
    cpu.setWord(FIELD.tagWord, one.state.ftw)
    for (let n = 0; n < 16; n++) cpu.xmm(n).set(one.state.xmm.subarray(n * 4, n * 4 + 4))
    for (let n = 0; n < 8; n++) {
      cpu.x87((n + ((one.state.fsw >> 11) & 7)) & 7).set(one.state.st.subarray(n * 16, n * 16 + 16))
    }
  }

  function result(one: CpuCase, vector: number, error: number, va: number): CpuResult {
    const state = initialState(one.state.data.length)
    state.gpr.set(cpu.words.subarray(cpu.state >> 2, (cpu.state >> 2) + 32))
    state.rflags = cpu.getFlags()
    for (let i = 0; i < state.data.length; i++) {
      const o = one.dataAt + i
      state.data[i] = memory.u8[data[o >> 12] + (o & 4095)]
    }
    state.mxcsr = cpu.mxcsr
    state.fcw = cpu.word(FIELD.controlWord)
    state.fsw = cpu.word(FIELD.statusWord)
    state.ftw = cpu.word(FIELD.tagWord)
    for (let n = 0; n < 16; n++) state.xmm.set(cpu.xmm(n), n * 4)
    for (let n = 0; n < 8; n++) state.st.set(cpu.x87((n + ((state.fsw >> 11) & 7)) & 7), n * 16)
    return {
      vector,
      errorCode: error,
      addressLow: va >>> 0,
      // The core has 48 bits of the address; bit 47 stands for those above.
      addressHigh: (Math.floor(va / 2 ** 32) | (va >= 2 ** 47 ? 0xffff_0000 : 0)) >>> 0,
      ripLow: cpu.ripLow,
      ripHigh: cpu.ripHigh,
      state,
    }
  }

  return {
    cpu,
    ...(tier === 'region' ? { batch, prepare } : {}),
    run(one) {
      load(one)
      let exit = cpu.run(slice)
      for (let done = slice; exit.reason === 'budget' && done < BUDGET; done += slice) exit = cpu.run(slice)
      // Behind the code, and at its target, stands int3.
      const last = cpu.ripLow - 1 - SPACE.code
      const isAtEnd = last === one.codeAt + one.code.length || last === one.target
      const isTrap = exit.reason === 'exception' && exit.vector === BREAKPOINT_VECTOR
      let ended: CpuResult
      if (isTrap && isAtEnd && cpu.ripHigh === 0) {
        cpu.setRip(cpu.ripLow - 1, 0)
        ended = result(one, NO_VECTOR, 0, 0)
      } else if (exit.reason === 'exception') {
        ended = result(one, exit.vector, exit.error, exit.vector === PAGE_FAULT_VECTOR ? exit.va : 0)
      } else if (exit.reason === 'privileged' || exit.reason === 'segment') {
        ended = result(one, 13, 0, 0)
      } else {
        throw new Error(`case ${one.form} ended with ${exit.reason}`)
      }
      put(code, one.codeAt, INT3, one.code.length)
      places.delete(one)
      // All of it: with other flags than a case was made for, strings go the other way.
      for (const page of data) memory.u8.fill(0, page, page + PAGE)
      for (const page of code) cpu.codeWritten(page / PAGE)
      return ended
    },
  }
}
