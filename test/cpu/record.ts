import { type CpuCase, type CpuResult, type CpuState, initialState, NO_VECTOR } from './case.ts'

/**
 * How a case travels to the harness on the host's processor and back: one record, which the harness runs and fills in where
 * it stands. All numbers are little-endian. `test/cpu/native/record.h` is made from the same table.
 */
export type Field = {
  readonly name: string
  readonly at: number
  readonly bytes: number
  readonly meaning: string
}

/** Longest code of a case, in bytes. */
export const MAX_CODE = 32

/** In the order of their offsets, without gaps. Behind the last one stand `data_bytes` bytes of data. */
export const RECORD: readonly Field[] = [
  { name: 'record_bytes', at: 0, bytes: 4, meaning: 'length of the record with its data, a multiple of 16' },
  { name: 'number', at: 4, bytes: 4, meaning: 'number of the case' },
  { name: 'uses_fpu', at: 8, bytes: 4, meaning: 'whether x87 and SSE state is loaded and stored' },
  { name: 'code_at', at: 12, bytes: 4, meaning: 'offset of the code in its pages' },
  { name: 'code_bytes', at: 16, bytes: 4, meaning: 'length of the code' },
  { name: 'target', at: 20, bytes: 4, meaning: 'offset of a second place to stop at' },
  { name: 'data_at', at: 24, bytes: 4, meaning: 'offset of the data in its pages' },
  { name: 'data_bytes', at: 28, bytes: 4, meaning: 'length of the data' },
  { name: 'code', at: 32, bytes: MAX_CODE, meaning: 'the code' },
  {
    name: 'vector',
    at: 64,
    bytes: 4,
    meaning: 'the exception, or all ones; from here on the harness writes',
  },
  { name: 'error_code', at: 68, bytes: 4, meaning: 'error code of the exception' },
  { name: 'address', at: 72, bytes: 8, meaning: 'CR2 of a page fault' },
  { name: 'rip', at: 80, bytes: 8, meaning: 'rip afterwards' },
  { name: 'rflags', at: 88, bytes: 8, meaning: 'RFLAGS' },
  { name: 'gpr', at: 96, bytes: 128, meaning: 'general registers by number' },
  { name: 'fcw', at: 224, bytes: 2, meaning: 'x87 control word; from here on as FXSAVE has it' },
  { name: 'fsw', at: 226, bytes: 2, meaning: 'x87 status word' },
  { name: 'ftw', at: 228, bytes: 2, meaning: 'x87 abridged tags' },
  { name: 'fop', at: 230, bytes: 2, meaning: 'x87 last opcode, not compared' },
  { name: 'fip', at: 232, bytes: 8, meaning: 'x87 last instruction, not compared' },
  { name: 'fdp', at: 240, bytes: 8, meaning: 'x87 last operand, not compared' },
  { name: 'mxcsr', at: 248, bytes: 4, meaning: 'MXCSR' },
  { name: 'mxcsr_mask', at: 252, bytes: 4, meaning: 'bits of MXCSR that exist, not compared' },
  { name: 'st', at: 256, bytes: 128, meaning: 'x87 registers from ST(0) on, 16 bytes each' },
  { name: 'xmm', at: 384, bytes: 256, meaning: 'xmm0 to xmm15' },
]

/** Where the data of a record starts. */
export const RECORD_HEAD = 640

const at = Object.fromEntries(RECORD.map((field) => [field.name, field.at])) as Record<string, number>
const GPR = at.gpr
const ST = at.st
const XMM = at.xmm
const CODE = at.code

/** Bytes of a case's record. */
export function recordBytes(one: CpuCase): number {
  return RECORD_HEAD + ((one.state.data.length + 15) & ~15)
}

/** Write a case to `start` of a buffer that has room for its `recordBytes`. @returns where the next record starts */
export function writeCase(one: CpuCase, number: number, view: DataView, start: number): number {
  const bytes = new Uint8Array(view.buffer, view.byteOffset)
  const length = recordBytes(one)
  const word = (offset: number, value: number) => view.setUint32(start + offset, value, true)
  bytes.fill(0, start, start + length)
  word(at.record_bytes, length)
  word(at.number, number)
  word(at.uses_fpu, one.usesFpu ? 1 : 0)
  word(at.code_at, one.codeAt)
  word(at.code_bytes, one.code.length)
  word(at.target, one.target)
  word(at.data_at, one.dataAt)
  word(at.data_bytes, one.state.data.length)
  bytes.set(one.code, start + CODE)
  word(at.vector, NO_VECTOR)
  writeState(one.state, view, start)
  return start + length
}

function writeState(state: CpuState, view: DataView, start: number): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset)
  view.setUint32(start + at.rflags, state.rflags, true)
  for (let i = 0; i < 32; i++) view.setUint32(start + GPR + 4 * i, state.gpr[i], true)
  for (let i = 0; i < 64; i++) view.setUint32(start + XMM + 4 * i, state.xmm[i], true)
  view.setUint32(start + at.mxcsr, state.mxcsr, true)
  view.setUint16(start + at.fcw, state.fcw, true)
  view.setUint16(start + at.fsw, state.fsw, true)
  view.setUint16(start + at.ftw, state.ftw, true)
  bytes.set(state.st, start + ST)
  bytes.set(state.data, start + RECORD_HEAD)
}

/** Read what the harness made of a record. */
export function readResult(view: DataView, start: number): CpuResult {
  const word = (offset: number) => view.getUint32(start + offset, true)
  const dataBytes = word(at.data_bytes)
  const state = initialState(dataBytes)
  state.rflags = word(at.rflags)
  for (let i = 0; i < 32; i++) state.gpr[i] = word(GPR + 4 * i)
  for (let i = 0; i < 64; i++) state.xmm[i] = word(XMM + 4 * i)
  state.mxcsr = word(at.mxcsr)
  state.fcw = view.getUint16(start + at.fcw, true)
  state.fsw = view.getUint16(start + at.fsw, true)
  state.ftw = view.getUint16(start + at.ftw, true)
  const bytes = new Uint8Array(view.buffer, view.byteOffset)
  state.st.set(bytes.subarray(start + ST, start + ST + 128))
  state.data.set(bytes.subarray(start + RECORD_HEAD, start + RECORD_HEAD + dataBytes))
  return {
    vector: word(at.vector),
    errorCode: word(at.error_code),
    addressLow: word(at.address),
    addressHigh: word(at.address + 4),
    ripLow: word(at.rip),
    ripHigh: word(at.rip + 4),
    state,
  }
}
