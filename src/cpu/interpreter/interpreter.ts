import {
  callCode,
  callIndirectCode,
  type FunctionType,
  load32,
  load64,
  loadSigned32,
  ModuleBuilder,
} from '../../wasm/wasm-module.ts'
import { I32, type I64, i32 } from '../../wasm/wasm-values.ts'
import { CODE_TLB, CODE_TLB_ENTRIES, CODE_TLB_ENTRY_BYTES, EXIT, FIELD, RECORD, REGION } from '../state.ts'
import { COMMON, FIRST_RARE, type Handler, handlerNumber, UNCOMMON } from './handlers.ts'
import { type Calls, InterpreterEmitter, RARE } from './interpreter-emitter.ts'

/**
 * The interpreter, generated: one function with a loop around a br_table, an arm for each handler. Common handlers are its
 * arms; the others are arms of a second function, so that the first stays small enough for V8 to compile well.
 *
 *     loop
 *       nothing left of the slice -> out
 *       br_table (handler of the record)
 *         arm:  read operands, compute, write;  record = the next one
 *     go to:  another page or an unknown place -> look it up, or have it decoded
 */
/** What the interpreter asks of the outside; see memory-port.ts, code-cache.ts and assist.ts. */
export type Imports = {
  /** Where the bytes at the state's `va` are: an address, or 0 after a fault. */
  translate(access: number, bytes: number): number
  /** Carry out the store that waits in the bounce buffer; 0 after a fault. */
  commit(): number
  /** The decoded instruction at the state's `rip`, whose page becomes the running one; 0 after a fault. */
  enter(): number
  /** Carry out the instruction at the state's `record`: 0 done, 1 fault, 2 go on at `rip`, 3 stop there. */
  assist(): number
  /** An instruction has taken as long as hundreds of others: 1 when the slice is to end behind it. */
  effort(): number
  /** Many jumps have come to the place of an entry of the running page's table. */
  hot(entry: number): number
}

const TYPES: Readonly<Record<keyof Imports, FunctionType>> = {
  translate: { parameters: ['i32', 'i32'], result: 'i32' },
  commit: { parameters: [], result: 'i32' },
  enter: { parameters: [], result: 'i32' },
  assist: { parameters: [], result: 'i32' },
  effort: { parameters: [], result: 'i32' },
  hot: { parameters: ['i32'], result: 'i32' },
}

/** @param counts whether jumps are counted, for regions to be made where many go */
function build(counts: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const hot = module.import('hot', TYPES.hot)
  const calls = {
    translate: module.import('translate', TYPES.translate),
    commit: module.import('commit', TYPES.commit),
    enter: module.import('enter', TYPES.enter),
    assist: module.import('assist', TYPES.assist),
    effort: module.import('effort', TYPES.effort),
    hot: counts ? hot : null,
  }
  // A region is a function of the same type: it takes a number and returns one.
  module.importTable()
  const region = module.typeOf(hot)
  const rare = module.function('rare', { parameters: ['i32', 'i32'], result: 'i32' }, rareFunction(calls))
  module.function('run', { parameters: ['i32'], result: 'i32' }, runFunction(calls, rare, region))
  return module.bytes()
}

/** rare(state, record): one instruction of those that are seldom; see RARE. */
function rareFunction(calls: Calls): InterpreterEmitter {
  const e = new InterpreterEmitter(calls, false)
  e.loadFlags()
  e.openBlocks(UNCOMMON.length + 1)
  e.brTable(load32(e.record.value, 2, RECORD.handler).sub(FIRST_RARE), UNCOMMON.length + 1)
  for (const handler of UNCOMMON) {
    e.closeBlock()
    writeHandler(e, handler)
  }
  e.closeBlock()
  e.unreachable()
  return e
}

function writeHandler(e: InterpreterEmitter, handler: Handler): void {
  e.size = handler.size
  e.form = handler.form
  e.isSimple = handler.isSimple
  e.isNear = handler.isNear
  handler.write(e)
  e.next()
  e.release()
}

/** run(state): execute until the slice is used up or something is the owner's. The reason is one of EXIT. */
function runFunction(calls: Calls & { enter: number }, rare: number, region: number): InterpreterEmitter {
  const e = new InterpreterEmitter(calls, true)
  const { record, left, page, map, target, reason } = e
  const loadPlace = (): void => {
    e.set(page, e.field64(FIELD.page))
    e.set(map, e.field(FIELD.map))
    e.set(left, e.field(FIELD.left))
  }
  loadPlace()
  e.loadFlags()
  e.set(e.tlb, e.field(FIELD.tlb))
  e.set(record, e.field(FIELD.record))
  const handler = load32(record.value, 2, RECORD.handler)
  e.block((stored) => {
    e.block((here) => {
      e.loop((next) => {
        e.block((slow) => {
          e.block((goTo) => {
            e.block((fault) => {
              e.labels = { next, goTo, fault, here, stored }
              // EXIT.budget is 0, which is what `reason` starts as.
              e.brIf(here, left.value.eqz())
              e.set(left, left.value.sub(1))
              e.openBlocks(FIRST_RARE + 1)
              e.brTable(handler, FIRST_RARE + 1)
              e.closeBlock()
              e.assist()
              e.release()
              pseudoHandlers(e, slow)
              enterRegion(e, { region, slow, loadPlace })
              for (const common of COMMON) {
                e.closeBlock()
                writeHandler(e, common)
              }
              e.closeBlock()
              callRare(e, rare)
            })
            e.uncount()
            e.set(reason, i32(EXIT.exception))
            e.br(here)
          })
          lookUp(e, slow, next)
        })
        // What is not known is decoded; the jump that leads to it is over, so a fault is that of its target.
        e.setField(FIELD.rip, target.value, 8)
        e.setField(FIELD.left, left.value)
        e.set(record, new I32(callCode(calls.enter, [])))
        loadPlace()
        e.brIf(next, record.value.ne(0))
        e.set(reason, i32(EXIT.exception))
        e.br(stored)
      })
      e.unreachable()
    })
    e.setField(FIELD.rip, page.value.add(load32(record.value, 2, RECORD.offset).extend()), 8)
  })
  e.saveFlags()
  e.setField(FIELD.left, left.value)
  e.setField(FIELD.record, record.value)
  e.return(reason.value)
  return e
}

/** Find the record at `target`: the running page's table, or that of a page which code ran in of late. */
function lookUp(e: InterpreterEmitter, slow: { depth: number }, next: { depth: number }): void {
  const { record, map, target } = e
  enterPage(e, slow)
  const at = e.let(map.value.add(target.value.wrap().and(4095).shl(2)))
  e.set(record, load32(at, 4))
  e.if(record.value.ne(0), () => {
    e.countJump(at)
    e.br(next)
  })
  e.release()
}

/** The address of the code TLB's entry for an address. */
function codeTlbEntry(e: InterpreterEmitter, at: I64): I32 {
  const number = at.shr(12).wrap()
  const slot = e.let(number.and(CODE_TLB_ENTRIES - 1))
  return e.let(e.field(FIELD.codeTlb).add(slot.mul(CODE_TLB_ENTRY_BYTES)))
}

/** Make the page of `target` the running one, if code ran in it of late. */
function enterPage(e: InterpreterEmitter, slow: { depth: number }): void {
  const { page, map, target } = e
  const newPage = e.let(target.value.and(-4096))
  e.if(newPage.ne(page.value), () => {
    const entry = codeTlbEntry(e, target.value)
    e.brIf(slow, load64(entry, 8, CODE_TLB.tag).ne(newPage))
    e.set(page, newPage)
    e.set(map, load32(entry, 4, CODE_TLB.map))
    e.setField(FIELD.page, newPage, 8)
    e.setField(FIELD.map, map.value)
  })
}

function callRare(e: InterpreterEmitter, rare: number): void {
  const { next, fault } = e.labels as NonNullable<InterpreterEmitter['labels']>
  e.saveFlags()
  e.setField(FIELD.left, e.left.value)
  const outcome = e.let(new I32(callCode(rare, [e.state.value, e.record.value])))
  e.set(e.left, e.field(FIELD.left))
  e.brIf(fault, outcome.eq(RARE.fault))
  e.loadFlags()
  e.brIf(next, outcome.eq(RARE.again))
  e.if(outcome.eq(RARE.assist), () => e.assist())
  e.advance()
  e.br(next)
  e.release()
}

/** Run a compiled region, and those that it leads to, and go on where the last one ends. */
function enterRegion(
  e: InterpreterEmitter,
  { region, slow, loadPlace }: { region: number; slow: { depth: number }; loadPlace: () => void },
): void {
  const { next, goTo, stored } = e.labels as NonNullable<InterpreterEmitter['labels']>
  const { record, page, map, target } = e
  const word = (at: number): I32 => load32(record.value, 4, at)
  const isRegion = load32(record.value, 2, RECORD.handler).eq(handlerNumber('region'))
  const found = load32(map.value.add(target.value.wrap().and(4095).shl(2)), 4)
  const outcome = e.variable<I32>('i32')
  e.closeBlock()
  e.uncount()
  e.saveFlags()
  e.setField(FIELD.left, e.left.value)
  e.loop((again) => {
    e.set(outcome, new I32(callIndirectCode(word(RECORD.b), region, [e.state.value])))
    e.set(page, e.field64(FIELD.page))
    e.set(map, e.field(FIELD.map))
    e.set(target, e.field64(FIELD.rip))
    e.block((end) => {
      e.brIf(end, outcome.value.eq(REGION.handedOver).or(outcome.value.eq(REGION.elsewhere)))
      e.brIf(end, e.field(FIELD.left).eqz())
      enterPage(e, end)
      e.set(record, found)
      e.brIf(end, record.value.eqz())
      e.brIf(again, isRegion)
    })
  })
  loadPlace()
  e.loadFlags()
  e.brIf(goTo, outcome.value.eq(REGION.jumped))
  e.if(outcome.value.eq(REGION.elsewhere), () => {
    e.set(record, word(RECORD.target))
    e.br(next)
  })
  // The place behind an instruction is looked up when something is left for it, that of a jump at once.
  e.brIf(stored, e.left.value.eqz())
  e.brIf(goTo, outcome.value.eq(REGION.fell))
  e.set(record, found)
  e.brIf(slow, record.value.eqz())
  e.if(isRegion, () => e.set(record, word(RECORD.target)))
  e.br(next)
  e.release()
}

/** In the order of PSEUDO, but for the last one. */
function pseudoHandlers(e: InterpreterEmitter, slow: { depth: number }): void {
  const { next } = e.labels as NonNullable<InterpreterEmitter['labels']>
  e.closeBlock()
  e.uncount()
  e.jump(e.page.value.add(loadSigned32(e.record.value, RECORD.displacement)))
  for (const cut of [8, 4]) {
    e.closeBlock()
    e.uncount()
    e.setField(FIELD.computed, e.offset().add(e.immediate()).zeroExtend(cut), 8)
    e.next()
  }
  e.closeBlock()
  e.uncount()
  const following = e.let(e.page.value.add(4096))
  const entry = codeTlbEntry(e, following)
  const isSame = load64(entry, 8, CODE_TLB.tag)
    .eq(following)
    .and(load64(entry, 4, CODE_TLB.map).eq(e.immediate()))
  e.if(isSame, () => {
    e.advance()
    e.br(next)
  })
  e.set(e.target, e.page.value.add(load32(e.record.value, 2, RECORD.offset).extend()))
  e.br(slow)
  e.closeBlock()
  e.if(e.field(FIELD.fpuTraps).ne(0), () => e.raise(DEVICE_NOT_AVAILABLE))
  e.uncount()
  e.next()
  e.release()
}

/** #NM. */
const DEVICE_NOT_AVAILABLE = 7

const compiled = new Map<boolean, WebAssembly.Module>()

/** Where compiled regions are, for an interpreter that runs them. */
export type RegionTable = { readonly table: WebAssembly.Table; readonly counts: boolean }

/** Run the interpreter over a memory. A module is built and compiled once. */
export function instantiate(
  memory: WebAssembly.Memory,
  imports: Imports,
  { table, counts }: RegionTable,
): (state: number) => number {
  const module = compiled.get(counts) ?? new WebAssembly.Module(build(counts))
  compiled.set(counts, module)
  const instance = new WebAssembly.Instance(module, { env: { memory, table, ...imports } })
  return instance.exports.run
}
