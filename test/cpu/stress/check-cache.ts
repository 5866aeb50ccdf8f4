import { isDeepStrictEqual } from 'node:util'
import type { Cpu } from '../../../src/cpu/cpu.ts'
import { decode } from '../../../src/cpu/decode/decode.ts'
import { handlerNumber } from '../../../src/cpu/interpreter/handlers.ts'
import { pairKey } from '../../../src/cpu/interpreter/pairs.ts'
import { BREAKPOINT, RecordWriter } from '../../../src/cpu/interpreter/translate.ts'
import type { Site } from '../../../src/cpu/site.ts'
import {
  CODE_TLB,
  CODE_TLB_ENTRIES,
  CODE_TLB_ENTRY_BYTES,
  FIELD,
  RECORD,
  RECORD_BYTES,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
} from '../../../src/cpu/state.ts'
import type { Instruction } from '../../../src/machine/vcpu/instruction.ts'
import { brokenRegions } from './check-regions.ts'

/**
 * What always holds of decoded instructions: each entry of a page's table leads to the records that the page's bytes, as they
 * are now, are decoded to; tables and records lie in the area, each in a place of its own; and every store to a byte that was
 * decoded is seen.
 */
const PAGE = 4096
const MAP_BYTES = PAGE * 4
const MAX_LENGTH = 15
const REGION = handlerNumber('region')
const BEYOND = handlerNumber('beyond')
const CONTINUE = handlerNumber('continue')

/** What the cache keeps for itself. */
type CodePage = {
  readonly page: number
  readonly map: number
  readonly decoded: Uint8Array
  readonly straddlers: ReadonlySet<CodePage>
  readonly isActive: boolean
}
type Cache = {
  readonly start: number
  readonly end: number
  readonly next: number
  readonly isStale: boolean
  readonly pages: ReadonlyMap<number, CodePage>
  readonly breakpoints: ReadonlySet<number>
  keptSite(record: number): Site
}

/** Everything that is wrong with a core's decoded instructions, a sentence each. */
export function brokenInvariants(cpu: Cpu): string[] {
  return new Check(cpu).all()
}

/** Call `look` after everything that makes a core forget decoded instructions. */
export function afterInvalidations(cpu: Cpu, look: () => void): void {
  const cache = cacheOf(cpu) as unknown as Record<'drop' | 'flush', (page: number) => unknown>
  // One of them leads to others; only the end of all is looked at.
  let depth = 0
  for (const name of ['drop', 'flush'] as const) {
    const whole = cache[name].bind(cache)
    cache[name] = (page) => {
      depth++
      const result = whole(page)
      depth--
      if (depth === 0) look()
      return result
    }
  }
}

function cacheOf(cpu: Cpu): Cache {
  // biome-ignore lint/complexity/useLiteralKeys: the cache is the core's own
  return cpu['cache'] as unknown as Cache
}

class Check {
  private readonly cpu: Cpu
  private readonly cache: Cache
  private readonly wrong: string[] = []
  /** What lies in the area: first and last byte of every table and every entry's records. */
  private readonly taken: { readonly start: number; readonly end: number }[] = []
  private readonly scratch = new Uint8Array(8 * RECORD_BYTES)
  private readonly writer: RecordWriter
  private readonly byMap: ReadonlyMap<number, CodePage>

  constructor(cpu: Cpu) {
    this.cpu = cpu
    this.cache = cacheOf(cpu)
    const { buffer } = this.scratch
    const views = { u8: this.scratch, u16: new Uint16Array(buffer), i32: new Int32Array(buffer) }
    this.writer = new RecordWriter(views, cpu.state)
    this.byMap = new Map([...this.cache.pages.values()].map((code) => [code.map, code]))
  }

  all(): string[] {
    // Nothing of it will be used any more.
    if (this.cache.isStale) return []
    for (const code of this.cache.pages.values()) this.page(code)
    this.overlaps()
    this.codeTlb()
    this.writeHalf()
    return [...this.wrong, ...brokenRegions(this.cpu, this.cache.pages)]
  }

  private page(code: CodePage): void {
    this.taken.push({ start: code.map, end: code.map + MAP_BYTES })
    const table = this.cpu.words.subarray(code.map >> 2, (code.map + MAP_BYTES) >> 2)
    if (!code.isActive) {
      if (table.some((record) => record !== 0)) this.say(code, 0, 'has entries, but was dropped')
      if (code.decoded.some((bits) => bits !== 0)) this.say(code, 0, 'has decoded bytes, but was dropped')
      return
    }
    if (this.cpu.memory.decoded?.[code.page] !== 1) this.say(code, 0, 'is not known as code')
    for (const [offset, record] of table.entries()) if (record !== 0) this.entry(code, offset, record)
  }

  /** The records from an entry's on, compared with what the bytes at its offset give. */
  private entry(code: CodePage, offset: number, leading: number): void {
    const { cache, writer } = this
    const record = this.plain(leading)
    if (record !== leading) this.taken.push({ start: leading, end: leading + RECORD_BYTES })
    if (
      record < cache.start ||
      record + RECORD_BYTES > cache.next ||
      record % RECORD_BYTES !== cache.start % RECORD_BYTES
    ) {
      this.say(code, offset, `leads to ${record.toString(16)}, which is no record`)
      return
    }
    const { u8 } = this.cpu.memory
    const page = code.page * PAGE
    let decoded = decode(u8, page + offset, page + PAGE)
    let at = record
    writer.at = 0
    let behind: CodePage | undefined
    if (decoded === 'truncated') {
      behind = this.byMap.get(this.word(record + RECORD.immediate))
      if (
        this.handler(record) !== BEYOND ||
        behind === undefined ||
        !behind.isActive ||
        !behind.straddlers.has(code)
      ) {
        this.say(code, offset, 'reaches into a page that does not know')
        return
      }
      const bytes = new Uint8Array(2 * MAX_LENGTH)
      const here = PAGE - offset
      bytes.set(u8.subarray(page + offset, page + PAGE))
      bytes.set(u8.subarray(behind.page * PAGE, behind.page * PAGE + MAX_LENGTH), here)
      decoded = decode(bytes, 0, here + MAX_LENGTH)
      writer.plain(BEYOND, offset, 0, behind.map)
    }
    const length = typeof decoded === 'string' ? MAX_LENGTH : decoded.length
    for (let i = 0; i < length; i++) {
      const owner = offset + i < PAGE ? code : behind
      const bit = (offset + i) & (PAGE - 1)
      if (owner !== undefined && (owner.decoded[bit >> 3] & (1 << (bit & 7))) === 0)
        this.say(code, offset, 'has a byte that is not marked')
    }
    if (cache.breakpoints.has(offset)) writer.plain(BREAKPOINT, offset)
    let isKept = false
    if (typeof decoded === 'string') writer.fault(decoded, offset)
    else {
      if (this.isPair(code, decoded, offset, at + writer.at)) this.pair(code, decoded, offset)
      writer.instruction(decoded, offset, () => {
        isKept = true
        return 0
      })
    }
    const end = writer.at
    for (let n = 0; n < end; n += RECORD_BYTES, at += RECORD_BYTES) {
      const isLast = n + RECORD_BYTES === end
      if (isLast && isKept) {
        if (!isDeepStrictEqual(cache.keptSite(at), { instruction: decoded, page: code.page, offset }))
          this.say(code, offset, 'keeps another instruction')
      }
      if (!this.isSame(n, at, isLast && isKept))
        this.say(code, offset, `has another record than its bytes give, at ${at.toString(16)}`)
    }
    this.taken.push({ start: record, end: at })
    if (typeof decoded !== 'string') this.following(code, offset + decoded.length, at)
  }

  private isPair(code: CodePage, first: Instruction, offset: number, at: number): boolean {
    const second = this.second(code, first, offset)
    const key = second === null ? null : pairKey(first, second)
    return key !== null && this.handler(at) === handlerNumber(key)
  }

  private second(code: CodePage, first: Instruction, offset: number): Instruction | null {
    const page = code.page * PAGE
    const second = decode(this.cpu.memory.u8, page + offset + first.length, page + PAGE)
    return typeof second === 'string' ? null : second
  }

  private pair(code: CodePage, first: Instruction, offset: number): void {
    const second = this.second(code, first, offset) as Instruction
    this.writer.pair(handlerNumber(pairKey(first, second) as string), first, second, offset)
  }

  /** Behind an instruction's records follow those of the next one, or a record that leads there. */
  private following(code: CodePage, offset: number, at: number): void {
    if (offset < PAGE && this.plain(this.word(code.map + offset * 4)) === at) return
    this.writer.at = 0
    this.writer.plain(CONTINUE, offset, offset)
    if (!this.isSame(0, at, false)) this.say(code, offset, `is not what follows at ${at.toString(16)}`)
    this.taken.push({ start: at, end: at + RECORD_BYTES })
  }

  /** Whether the record written at `n` of the scratch is the one at `at`. One that is kept has a number of its own. */
  private isSame(n: number, at: number, isKept: boolean): boolean {
    for (let i = 0; i < RECORD_BYTES; i += 4) {
      if (isKept && i === RECORD.immediate) continue
      const expected = new DataView(this.scratch.buffer).getUint32(n + i, true)
      // An immediate is an operand in the record itself.
      const isOwn = (i === RECORD.a || i === RECORD.b) && expected === n + RECORD.immediate
      if (this.word(at + i) !== (isOwn ? at + RECORD.immediate : expected)) return false
    }
    return true
  }

  private overlaps(): void {
    const { start, next, end } = this.cache
    if (next > end) this.wrong.push('the area is overfull')
    this.taken.sort((a, b) => a.start - b.start || a.end - b.end)
    let last = { start, end: start }
    for (const one of this.taken) {
      const isAgain = one.start === last.start && one.end === last.end
      if (one.start < last.end && !isAgain)
        this.wrong.push(`what lies at ${one.start.toString(16)} lies over something else`)
      last = one
    }
    if (last.end > next) this.wrong.push('something lies behind what is used')
  }

  private codeTlb(): void {
    const table = this.cpu.word(FIELD.codeTlb)
    for (let n = 0; n < CODE_TLB_ENTRIES; n++) {
      const at = table + n * CODE_TLB_ENTRY_BYTES
      if ((this.word(at + CODE_TLB.tag) & 1) !== 0) continue
      if (!this.byMap.has(this.word(at + CODE_TLB.map)))
        this.wrong.push(`entry ${n} of the code TLB leads to no table`)
    }
  }

  /** No page with decoded instructions may be stored to unseen. */
  private writeHalf(): void {
    const table = this.cpu.word(FIELD.tlb)
    for (let n = 0; n < TLB_ENTRIES; n++) {
      const at = table + n * TLB_ENTRY_BYTES
      if ((this.word(at + TLB.write) & 1) !== 0) continue
      const code = this.cache.pages.get(this.word(at + TLB.host) / PAGE)
      if (code?.isActive === true) this.say(code, 0, 'is in the write half of the TLB')
    }
  }

  /** The record of the guest's instruction: that of a region leads to it. */
  private plain(record: number): number {
    return record !== 0 && this.handler(record) === REGION ? this.word(record + RECORD.target) : record
  }

  private word(at: number): number {
    return this.cpu.words[at >> 2]
  }

  private handler(record: number): number {
    return this.word(record) & 0xffff
  }

  private say(code: CodePage, offset: number, what: string): void {
    this.wrong.push(`page ${code.page.toString(16)}, offset ${offset.toString(16)}: ${what}`)
  }
}
