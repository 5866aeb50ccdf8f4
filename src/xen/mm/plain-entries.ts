import { SLOTS } from '../../bits/address.ts'
import { G, HI_GUEST_KERNEL, P, RW, US } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import {
  OWNER_WORD,
  RECORD_WORDS,
  REF_COUNT,
  TYPE_COUNT,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import type { Memory } from '../../machine/memory.ts'
import {
  callCode,
  FunctionBody,
  load32,
  load64,
  ModuleBuilder,
  select,
  store,
} from '../../wasm/wasm-module.ts'
import { I32, type I64, i32, i64 } from '../../wasm/wasm-values.ts'

/** Bits of an entry, in its high half, whose frame is above 2^31: no record is there. */
const HI_BEYOND = 0x000f_f800
/** Caching other than write-back, and the global bit: such an entry is for the rules to look at. */
const NOT_PLAIN = 0x098 | G
/** Type writable, not pinned, validated: the top five bits of the packed word. */
const WRITABLE_VALIDATED = (TYPE_CODE.writable << 2) | 1
/** The first writable reference on a frame that never had a type, and so cannot be cached as anything that must be flushed. */
const FIRST_WRITABLE = (TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED | 1
/** Of the owner's word: the owner, and the cache attributes that the frame was mapped with. */
const OWNER_AND_CACHING = 0x7ff

const BYTES = 4
const RECORD_BYTES = RECORD_WORDS * BYTES
const ENTRY_BYTES = 8

type Walk = (table: number, slot: number, badLo: number, badHi: number, owner: number) => number

/** By memory: compiled once, and linked to each. */
const linked = new WeakMap<Memory, Walk>()
let compiled: WebAssembly.Module | null = null

/**
 * Take the references of the plain entries of an L1 from a slot on, each as getPageFromL1e() would and adjusted as Xen
 * stores it: frames of the owner's own RAM, not at the limits of their counts, and for a writable entry of type `writable`
 * already. Nearly all of a boot's time under Xen would go into them, so this is WebAssembly over the machine's memory.
 *
 * @param table word index of the table
 * @param bad flags that the rules refuse in an L1 entry, in Xen's fold
 * @param owner the number that records have for the domain
 * @returns the first slot whose present entry is not plain, of which nothing is done, or 512
 */
export function takePlainEntries(
  memory: Memory,
  table: number,
  slot: number,
  bad: number,
  owner: number,
): number {
  const take = linked.get(memory) ?? link(memory)
  return take(table * BYTES, slot, (bad & 0xfff) | NOT_PLAIN, ((bad & 0xfff000) << 8) | HI_BEYOND, owner)
}

function link(memory: Memory): Walk {
  compiled ??= new WebAssembly.Module(build())
  const record = (frame: number): number => memory.record(frame)
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory: memory.wasm, record } })
  const take = exports.take as Walk
  linked.set(memory, take)
  return take
}

function build(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const record = module.import('record', { parameters: ['i32'], result: 'i32' })
  const parameters = ['i32', 'i32', 'i32', 'i32', 'i32'] as const
  const f = new FunctionBody(parameters)
  const [table, slot, badLo, badHi, owner] = parameters.map((_, i) => f.parameter<I32>(i).value)
  const at = f.local<I32>('i32')
  const end = f.local<I32>('i32')
  const bad = f.local<I64>('i64')
  const entry = f.local<I64>('i64')
  const frame = f.local<I32>('i32')
  // Neighbouring entries mostly map neighbouring frames: the record of the last one tells where the next one's is.
  const lastFrame = f.local<I32>('i32')
  const target = f.local<I32>('i32')
  const words = f.local<I64>('i64')
  const type = f.local<I32>('i32')
  const has = (flag: number): I32 => entry.value.wrap().and(flag)

  f.set(at, table.add(slot.mul(ENTRY_BYTES)))
  f.set(end, table.add(SLOTS * ENTRY_BYTES))
  f.set(bad, badLo.extend().or(badHi.extend().shl(32)))
  f.set(lastFrame, i32(-2))
  f.block((out) => {
    f.loop((again) => {
      f.block((next) => {
        f.brIf(out, at.value.eq(end.value))
        f.set(entry, load64(at.value, 8))
        f.brIf(next, has(P).eqz())
        f.brIf(out, entry.value.and(bad.value).eqz().eqz())
        f.set(frame, entry.value.shr(12).wrap())
        f.if(
          // Records of 64 Ki frames follow each other.
          frame.value.eq(lastFrame.value.add(1)).and(frame.value.and(0xffff).ne(0)),
          () => f.set(target, target.value.add(RECORD_BYTES)),
          () => {
            f.set(target, new I32(callCode(record, [frame.value])))
            f.brIf(out, target.value.eq(-1))
            f.set(target, target.value.mul(BYTES))
          },
        )
        f.set(lastFrame, frame.value)
        const ownerWord = load32(target.value, 4, OWNER_WORD * BYTES)
        f.brIf(out, ownerWord.and(OWNER_AND_CACHING).ne(owner))
        // Type and count of references are one word of 64 bits: neither carries into anything, as both have room.
        f.set(words, load64(target.value, 8))
        const count = words.value.shr(32).wrap().and(REF_COUNT)
        f.brIf(
          out,
          count
            .sub(1)
            .ltU(REF_COUNT - 2)
            .eqz(),
        )
        f.if(has(RW), () => {
          f.set(type, words.value.wrap())
          const isWritable = type.value.shr(TYPE_SHIFT - 2).eq(WRITABLE_VALIDATED)
          const hasRoom = type.value.and(TYPE_COUNT).ne(TYPE_COUNT)
          f.if(
            isWritable.and(hasRoom),
            () => f.set(words, words.value.add(1)),
            () => {
              f.brIf(out, type.value.eqz().eqz())
              f.set(words, words.value.or(i64(FIRST_WRITABLE, 0)))
            },
          )
        })
        f.emit(store(target.value, words.value.add(i64(0, 1)), 8))
        const kernels = entry.value.or(i64(US, HI_GUEST_KERNEL))
        const isMarked = entry.value.shr(32).wrap().and(HI_GUEST_KERNEL)
        const users = entry.value.or(select(isMarked, i64(0), i64(G)))
        f.emit(store(at.value, select(has(US), users, kernels), 8))
      })
      f.set(at, at.value.add(ENTRY_BYTES))
      f.br(again)
    })
  })
  f.return(at.value.sub(table).shr(3))
  module.function('take', { parameters, result: 'i32' }, f)
  return module.bytes()
}
