import type { Memory } from '../../machine/memory.ts'
import { decode } from '../decode/decode.ts'
import type { Instruction } from '../decode/instruction.ts'
import { FIELD, RECORD, RECORD_BYTES } from '../state.ts'
import { handlerNumber } from './interpreter.ts'
import { pairKey } from './pairs.ts'
import { RecordWriter, type Views } from './translate.ts'

const PAGE = 4096
/** A page's table: the address of the record for each offset, 4 bytes each, or 0. */
const MAP_BYTES = PAGE * 4
/** Instructions that are decoded at once, and the most records that they can take. */
const RUN = 48
const RUN_BYTES = (RUN + 1) * 4 * RECORD_BYTES
const MAX_LENGTH = 15

/** A page of the machine's memory with decoded instructions in it. */
type CodePage = {
  /** Number of the page in the machine's memory. */
  readonly page: number
  /** Address of its table. */
  readonly map: number
  /** One bit for each byte that an instruction was decoded from. */
  readonly decoded: Uint8Array
  /** Pages whose last instruction reaches into this one. */
  readonly straddlers: Set<CodePage>
  /** Whether anything is decoded from it. One that was forgotten keeps its table, which is empty. */
  isActive: boolean
}

/** Instructions after which the next bytes need not be code. */
const ENDS = new Set('jmp ret iret hlt ud2 ud1 retf jmpf sysret'.split(' '))

/**
 * Decoded instructions, by page of the machine's memory: whatever addresses the page is mapped at share them. Tables and
 * records lie in one area that is filled from its start; when it is full, everything is forgotten.
 *
 * A page with decoded instructions is never in the write half of the TLB, so every store to it is seen: `written` forgets
 * the page if bytes of an instruction change.
 */
export class CodeCache {
  private readonly memory: Memory
  private readonly views: Views
  private readonly state: number
  private readonly start: number
  private readonly end: number
  private next: number
  private readonly pages = new Map<number, CodePage>()
  private readonly writer: RecordWriter
  /** Instructions that TypeScript carries out, by the number in their record. */
  private assisted: Instruction[] = []
  private readonly scratch = new Uint8Array(2 * MAX_LENGTH)
  /** Offsets in pages at which execution is to stop, whatever the page: who stops looks whether it is the right one. */
  breakpoints: ReadonlySet<number> = new Set()
  /** Told when tables have moved, so that no code TLB finds old ones. */
  onFlush: () => void = () => {}

  /** @param bytes size of the area; a multiple of 4096, at least 256 KiB. */
  constructor(memory: Memory, views: Views, state: number, bytes: number) {
    this.memory = memory
    this.views = views
    this.state = state
    this.start = memory.takePages(bytes / PAGE) * PAGE
    this.end = this.start + bytes
    this.next = this.start
    this.writer = new RecordWriter(views, state)
  }

  /** Whether a page of the machine's memory has decoded instructions. */
  isCode(page: number): boolean {
    return this.pages.get(page)?.isActive === true
  }

  /** The address of a page's table, made if there is none. */
  mapOf(page: number): number {
    return this.pageOf(page).map
  }

  private pageOf(page: number): CodePage {
    const known = this.pages.get(page)
    if (known !== undefined) return known
    const map = this.next
    this.next += MAP_BYTES
    const made = {
      page,
      map,
      decoded: new Uint8Array(PAGE / 8),
      straddlers: new Set<CodePage>(),
      isActive: false,
    }
    this.pages.set(page, made)
    return made
  }

  private activate(code: CodePage): void {
    if (code.isActive) return
    code.isActive = true
    this.memory.pageBecomesCode(code.page)
  }

  /** Make room for what one `decodeAt` may need. Tables that were found before are then no longer valid. */
  reserve(): void {
    if (this.next + 2 * MAP_BYTES + RUN_BYTES > this.end) this.flush()
  }

  flush(): void {
    this.memory.u8.fill(0, this.start, this.next)
    this.next = this.start
    const pages = [...this.pages.keys()]
    this.pages.clear()
    // Other cores forget these pages as well, so that no page is marked as code, or not, for one of them alone. Here nothing
    // is left of them to be dropped: the place of their records is what comes next.
    for (const page of pages) this.memory.touchPage(page)
    this.assisted = []
    this.onFlush()
  }

  /** The record for an offset of a page, or 0 when it is not decoded. */
  recordAt(map: number, offset: number): number {
    return this.memory.u32[(map >> 2) + offset]
  }

  instructionOf(record: number): Instruction {
    return this.assisted[this.memory.u32[(record + RECORD.immediate) >> 2]]
  }

  /** Whether a record is the check before an instruction that reaches into the next page. */
  isBeyond(record: number): boolean {
    return this.views.u16[record >> 1] === BEYOND
  }

  /** The table of the page that such a check expects behind its own. */
  expectedMap(record: number): number {
    return this.memory.u32[(record + RECORD.immediate) >> 2]
  }

  /**
   * Decode a run of instructions from an offset on.
   * @param nextPage the page of memory that is mapped behind it; asked for only when the first instruction needs it. -1 ends
   *   the attempt: 0 is returned then.
   */
  decodeAt(page: number, offset: number, nextPage: () => number): number {
    const code = this.pageOf(page)
    this.activate(code)
    const bytes = page * PAGE
    const first = this.next
    this.writer.at = first
    const { u8 } = this.memory
    let at = offset
    for (let n = 0; n < RUN && at < PAGE; n++) {
      if (n > 0 && this.recordAt(code.map, at) !== 0) break
      const isBreak = this.breakpoints.has(at)
      const decoded = decode(u8, bytes + at, bytes + PAGE)
      if (decoded === 'truncated') {
        if (n > 0) break
        return this.straddle(code, at, nextPage)
      }
      this.setRecord(code, at, this.writer.at)
      if (typeof decoded === 'string') {
        this.mark(code, at, Math.min(MAX_LENGTH, PAGE - at))
        this.writer.plain(decoded === 'undefined' ? 'undefined8rr' : 'general-protection8rr', at)
        return this.finish(at, first)
      }
      this.mark(code, at, decoded.length)
      if (isBreak) this.writer.plain('breakpoint8rr', at)
      else if (n < RUN - 1) this.pair(code, decoded, at)
      this.writer.instruction(decoded, at, this.keep)
      at += decoded.length
      if (ENDS.has(decoded.name)) break
    }
    this.writer.plain('continue', at, at)
    this.next = this.writer.at
    return first
  }

  /** Join a comparison with the jump behind it, if that lies here and is decoded next. */
  private pair(code: CodePage, first: Instruction, at: number): void {
    if (first.name !== 'cmp' && first.name !== 'test') return
    const behind = at + first.length
    if (behind >= PAGE || this.recordAt(code.map, behind) !== 0 || this.breakpoints.has(behind)) return
    const bytes = code.page * PAGE
    const second = decode(this.memory.u8, bytes + behind, bytes + PAGE)
    if (typeof second === 'string') return
    const key = pairKey(first, second)
    const jump = second.operands[0]
    if (key === null || jump.kind !== 'target') return
    const to = behind + second.length + jump.displacement
    if (to >= 0 && to < PAGE) this.writer.pair(key, first, second, at)
  }

  private finish(offset: number, first: number): number {
    this.writer.plain('decode', offset)
    this.next = this.writer.at
    return first
  }

  private readonly keep = (i: Instruction): number => this.assisted.push(i) - 1

  private setRecord(code: CodePage, offset: number, record: number): void {
    this.memory.u32[(code.map >> 2) + offset] = record
  }

  private mark(code: CodePage, offset: number, length: number): void {
    for (let i = offset; i < offset + length && i < PAGE; i++) code.decoded[i >> 3] |= 1 << (i & 7)
  }

  /** An instruction whose last bytes lie in the next page. */
  private straddle(code: CodePage, at: number, nextPage: () => number): number {
    const following = nextPage()
    if (following === -1) return 0
    const here = PAGE - at
    const { u8 } = this.memory
    this.scratch.set(u8.subarray(code.page * PAGE + at, (code.page + 1) * PAGE))
    this.scratch.set(u8.subarray(following * PAGE, following * PAGE + MAX_LENGTH), here)
    const decoded = decode(this.scratch, 0, here + MAX_LENGTH)
    const behind = this.pageOf(following)
    this.activate(behind)
    behind.straddlers.add(code)
    // Tables are taken from the same area, so the first record's place is known only now.
    const first = this.next
    this.writer.at = first
    this.setRecord(code, at, this.writer.at)
    this.mark(code, at, here)
    this.writer.plain('beyond', at, 0, behind.map)
    if (typeof decoded === 'string') {
      this.mark(behind, 0, MAX_LENGTH - here)
      this.writer.plain(decoded === 'undefined' ? 'undefined8rr' : 'general-protection8rr', at)
      return this.finish(at, first)
    }
    this.mark(behind, 0, decoded.length - here)
    this.writer.instruction(decoded, at, this.keep)
    // Where the slice may end: behind the instruction, in the next page.
    this.writer.plain('continue', at + decoded.length, at + decoded.length)
    this.next = this.writer.at
    return first
  }

  /** Whether a store to `bytes` bytes at an offset of a page changes decoded instructions. */
  isDecoded(page: number, offset: number, bytes: number): boolean {
    const code = this.pages.get(page)
    if (code === undefined) return false
    for (let i = offset; i < offset + bytes; i++) {
      if ((code.decoded[i >> 3] & (1 << (i & 7))) !== 0) return true
    }
    return false
  }

  /**
   * Forget what was decoded from a page. If code runs in it, the record after the running one, and itself should it be
   * repeated, send execution back to decode.
   */
  drop(page: number): void {
    const code = this.pages.get(page)
    if (code?.isActive !== true) return
    code.isActive = false
    code.decoded.fill(0)
    this.memory.u8.fill(0, code.map, code.map + MAP_BYTES)
    if (this.memory.u32[(this.state + FIELD.map) >> 2] === code.map) {
      const record = this.memory.u32[(this.state + FIELD.record) >> 2]
      this.views.u16[record >> 1] = DECODE
      this.views.u16[(record + RECORD_BYTES) >> 1] = DECODE
    }
    for (const other of code.straddlers) this.drop(other.page)
    code.straddlers.clear()
  }
}

const DECODE = handlerNumber('decode') as number
const BEYOND = handlerNumber('beyond') as number
