import type { Memory } from '../../machine/memory.ts'
import type { Instruction } from '../../machine/vcpu/instruction.ts'
import { decode, type NoInstruction } from '../decode/decode.ts'
import type { Site } from '../site.ts'
import { FIELD, RECORD, RECORD_BYTES } from '../state.ts'
import { handlerNumber, isKept } from './handlers.ts'
import { pairKey } from './pairs.ts'
import { BEYOND, BREAKPOINT, CONTINUE, IN_REGION, RecordWriter, type Views } from './translate.ts'

const PAGE = 4096
/** A page's table: the address of the record for each offset, 4 bytes each, or 0. */
const MAP_BYTES = PAGE * 4
/** Instructions that are decoded at once, and the most records that they can take. */
const RUN = 48
/** The same of a page that was forgotten this often: what lies farther on will not last. */
const SHORT_RUN = 4
const OFTEN = 256
const RUN_BYTES = (RUN + 1) * 4 * RECORD_BYTES
const MAX_LENGTH = 15
/** What is free whenever code is looked up: room for the tables of two pages, and for what is decoded at once. */
const RESERVE = 2 * MAP_BYTES + RUN_BYTES
/** The smallest area that decoded instructions can be kept in. */
export const LEAST_CODE_BYTES = Math.ceil(RESERVE / PAGE) * PAGE
/** What `decodeAt` gives for an instruction whose last bytes are in the next page. */
export const STRADDLES = -1

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
  /** How often it was forgotten. */
  drops: number
}

/** Instructions after which the next bytes need not be code. */
const ENDS = new Set('jmp ret iret hlt ud2 ud1 retf jmpf sysret'.split(' '))

/**
 * Decoded instructions, by page of the machine's memory: whatever addresses the page is mapped at share them. Tables and
 * records lie in one area that is filled from its start; when it is full, everything is forgotten.
 *
 * A page with decoded instructions is never in the write half of the TLB, so every store to it is seen, and the page is
 * forgotten if bytes of an instruction change.
 *
 * A record is written once and never again. A page is forgotten by clearing its own table, and nothing else: its records are
 * no longer found, and whoever executes one of them ends its slice behind that instruction. The area is used again only
 * between two look-ups, when nobody has a record in hand.
 */
export class CodeCache {
  private readonly memory: Memory
  private readonly views: Views
  private readonly state: number
  private readonly start: number
  private readonly end: number
  private next: number
  private readonly pages = new Map<number, CodePage>()
  /** Addresses of their tables by page, or 0: what a jump to another page asks for. */
  private readonly maps: Uint32Array
  /** The same by the address of their table. */
  private readonly byMap = new Map<number, CodePage>()
  private readonly writer: RecordWriter
  /** Instructions that somebody outside looks at, by the number in their record. */
  private kept: Site[] = []
  /** Those that reach from one page into another, by the address of their record. */
  private readonly straddling = new Map<number, Site>()
  private readonly scratch = new Uint8Array(2 * MAX_LENGTH)
  /** Offsets in pages at which execution is to stop, whatever the page: who stops looks whether it is the right one. */
  breakpoints: ReadonlySet<number> = new Set()
  /** Told when tables have moved, so that no code TLB finds old ones. */
  onFlush: () => void = () => {}
  /** Told of a page of the machine's memory whose code is no longer true. */
  onDrop: (page: number) => void = () => {}
  private isStale = false

  /** @param bytes size of the area; a multiple of 4096, at least LEAST_CODE_BYTES */
  constructor(memory: Memory, views: Views, state: number, bytes: number) {
    this.memory = memory
    this.views = views
    this.state = state
    this.start = memory.takePages(bytes / PAGE) * PAGE
    this.end = this.start + bytes
    this.maps = new Uint32Array(memory.u8.length / PAGE)
    this.next = this.start
    this.writer = new RecordWriter(views, state)
  }

  /** The address of a page's table, made if there is none. */
  mapOf(page: number): number {
    const known = this.maps[page]
    return known !== 0 ? known : this.pageOf(page).map
  }

  private pageOf(page: number): CodePage {
    const known = this.pages.get(page)
    if (known !== undefined) return known
    const map = this.next
    this.next += MAP_BYTES
    this.memory.u8.fill(0, map, this.next)
    const made = {
      page,
      map,
      decoded: new Uint8Array(PAGE / 8),
      straddlers: new Set<CodePage>(),
      isActive: false,
      drops: 0,
    }
    this.pages.set(page, made)
    this.maps[page] = map
    this.byMap.set(map, made)
    return made
  }

  private activate(code: CodePage): void {
    if (code.isActive) return
    code.isActive = true
    this.memory.pageBecomesCode(code.page)
  }

  /** Have everything forgotten before anything is looked up again. What is being executed stays as it is until then. */
  forget(): void {
    this.isStale = true
  }

  /**
   * Begin to look code up: there is room for what that may need. Records and tables that were found before may no longer
   * be valid.
   */
  begin(): void {
    if (this.isStale || this.next + RESERVE > this.end) this.flush()
  }

  private flush(): void {
    this.isStale = false
    this.next = this.start
    const pages = [...this.pages.keys()]
    this.pages.clear()
    this.byMap.clear()
    this.straddling.clear()
    // Other cores forget these pages as well, so that no page is marked as code, or not, for one of them alone.
    for (const page of pages) this.memory.touchPage(page)
    for (const page of pages) this.maps[page] = 0
    this.kept = []
    this.onFlush()
  }

  /** The record for an offset of a page, or 0 when it is not decoded. */
  recordAt(map: number, offset: number): number {
    return this.memory.u32[(map >>> 2) + offset]
  }

  /** The instruction of a record that is kept, as one is that somebody outside carries out. */
  keptSite(record: number): Site {
    return this.kept[this.memory.u32[(record + RECORD.immediate) >>> 2]]
  }

  /**
   * The instruction of the record that is being executed. What is not kept is decoded once more: it has stored nothing yet
   * when somebody asks, so its bytes are still those of its record. Null where they are no instruction all the same, as when
   * a page walk of its own has set a bit in them.
   */
  siteOf(record: number): Site | null {
    if (isKept(this.views.u16[record >>> 1])) return this.keptSite(record)
    const known = this.straddling.get(record)
    if (known !== undefined) return known
    const page = this.runningPage()
    if (page === -1) return null
    const offset = this.views.u16[(record + RECORD.offset) >>> 1]
    const instruction = decode(this.memory.u8, page * PAGE + offset, (page + 1) * PAGE)
    return typeof instruction === 'string' ? null : { instruction, page, offset }
  }

  /** The page of the machine's memory that code runs in, or ran in last; -1 while the next one is looked for. */
  runningPage(): number {
    return this.byMap.get(this.memory.u32[(this.state + FIELD.map) >>> 2])?.page ?? -1
  }

  /** The address of a page's table, or 0 where it has none. */
  knownMap(page: number): number {
    return this.maps[page]
  }

  // ---- regions ----

  /** Bytes of a page are part of a region: stores to them have to be seen. */
  markCompiled(page: number, offset: number, length: number): void {
    const code = this.pageOf(page)
    this.activate(code)
    this.mark(code, offset, length)
  }

  /** Whether the record for an offset of a page can be preceded by a region's. */
  canLead(map: number, offset: number): boolean {
    const record = this.recordAt(map, offset)
    return (
      record !== 0 && !this.isRegion(record) && !this.isBeyond(record) && this.next + RECORD_BYTES <= this.end
    )
  }

  /**
   * Put a region's record before the plain one for an offset of a page, where `canLead` says so.
   * @param place its place in the table of functions
   * @returns the region's record, or 0
   */
  lead(map: number, offset: number, place: number): number {
    if (!this.canLead(map, offset)) return 0
    const record = this.next
    this.writer.at = record
    this.writer.region(offset, place, this.recordAt(map, offset))
    this.next = this.writer.at
    this.memory.u32[(map >>> 2) + offset] = record
    return record
  }

  /** Let the plain record be found again. */
  unlead(page: number, offset: number, record: number): void {
    const code = this.pages.get(page)
    if (code === undefined || this.recordAt(code.map, offset) !== record) return
    this.memory.u32[(code.map >>> 2) + offset] = this.memory.u32[(record + RECORD.target) >>> 2]
  }

  private isRegion(record: number): boolean {
    return this.views.u16[record >>> 1] === IN_REGION
  }

  /** Whether a record is the stop before an instruction at a breakpoint. */
  isBreakpoint(record: number): boolean {
    return this.views.u16[record >>> 1] === BREAKPOINT
  }

  /** Whether a record is the check before an instruction that reaches into the next page. */
  isBeyond(record: number): boolean {
    return this.views.u16[record >>> 1] === BEYOND
  }

  /** Decode a run of instructions from an offset on: its first record, or STRADDLES. */
  decodeAt(page: number, offset: number): number {
    const code = this.pageOf(page)
    const bytes = page * PAGE
    const first = this.next
    this.writer.at = first
    const { u8 } = this.memory
    const run = code.drops < OFTEN ? RUN : SHORT_RUN
    const keep = (i: Instruction, where: number): number => this.keep(i, page, where)
    let at = offset
    let ahead: Instruction | NoInstruction | null = null
    for (let n = 0; n < run && at < PAGE; n++) {
      if (n > 0 && this.recordAt(code.map, at) !== 0) break
      const decoded: Instruction | NoInstruction = ahead ?? decode(u8, bytes + at, bytes + PAGE)
      if (decoded === 'truncated') {
        if (n > 0) break
        return STRADDLES
      }
      this.activate(code)
      this.setRecord(code, at, this.writer.at)
      const isBreak = this.breakpoints.has(at)
      if (isBreak) this.writer.plain(BREAKPOINT, at)
      if (typeof decoded === 'string') {
        this.mark(code, at, Math.min(MAX_LENGTH, PAGE - at))
        this.writer.fault(decoded, at)
        this.next = this.writer.at
        return first
      }
      this.mark(code, at, decoded.length)
      ahead = isBreak || n === run - 1 ? null : this.pair(code, decoded, at)
      this.writer.instruction(decoded, at, keep)
      at += decoded.length
      if (ENDS.has(decoded.name)) break
    }
    this.writer.plain(CONTINUE, at, at)
    this.next = this.writer.at
    return first
  }

  /**
   * Join a comparison with the jump behind it, if that lies here and is decoded next.
   * @returns what is behind a comparison, where that was looked at
   */
  private pair(code: CodePage, first: Instruction, at: number): Instruction | NoInstruction | null {
    if (first.name !== 'cmp' && first.name !== 'test') return null
    const behind = at + first.length
    if (behind >= PAGE || this.recordAt(code.map, behind) !== 0 || this.breakpoints.has(behind)) return null
    const bytes = code.page * PAGE
    const second = decode(this.memory.u8, bytes + behind, bytes + PAGE)
    if (typeof second === 'string') return second
    const key = pairKey(first, second)
    const jump = second.operands[0]
    if (key === null || jump.kind !== 'target') return second
    const to = behind + second.length + jump.displacement
    if (to >= 0 && to < PAGE) this.writer.pair(handlerNumber(key), first, second, at)
    return second
  }

  private keep(instruction: Instruction, page: number, offset: number): number {
    return this.kept.push({ instruction, page, offset }) - 1
  }

  private setRecord(code: CodePage, offset: number, record: number): void {
    this.memory.u32[(code.map >>> 2) + offset] = record
  }

  private mark(code: CodePage, offset: number, length: number): void {
    for (let i = offset; i < offset + length && i < PAGE; i++) code.decoded[i >> 3] |= 1 << (i & 7)
  }

  /**
   * The record of an instruction that reaches from the end of one page into another, which is mapped behind it now. The
   * record before it is the check of that.
   */
  straddlerAt(page: number, offset: number, following: number): number {
    const code = this.pageOf(page)
    const behind = this.pageOf(following)
    const known = this.recordAt(code.map, offset)
    const isSame = known !== 0 && this.memory.u32[(known + RECORD.immediate) >>> 2] === behind.map
    return (isSame ? known : this.straddle(code, offset, behind)) + RECORD_BYTES
  }

  private straddle(code: CodePage, at: number, behind: CodePage): number {
    const here = PAGE - at
    const { u8 } = this.memory
    this.scratch.set(u8.subarray(code.page * PAGE + at, (code.page + 1) * PAGE))
    this.scratch.set(u8.subarray(behind.page * PAGE, behind.page * PAGE + MAX_LENGTH), here)
    const decoded = decode(this.scratch, 0, here + MAX_LENGTH)
    this.activate(code)
    this.activate(behind)
    behind.straddlers.add(code)
    const first = this.next
    this.writer.at = first
    this.setRecord(code, at, first)
    this.mark(code, at, here)
    this.writer.plain(BEYOND, at, 0, behind.map)
    if (this.breakpoints.has(at)) this.writer.plain(BREAKPOINT, at)
    if (typeof decoded === 'string') {
      this.mark(behind, 0, MAX_LENGTH - here)
      this.writer.fault(decoded, at)
    } else {
      this.mark(behind, 0, decoded.length - here)
      const { page } = code
      this.writer.instruction(decoded, at, (i, where) => this.keep(i, page, where))
      this.straddling.set(this.writer.at - RECORD_BYTES, { instruction: decoded, page, offset: at })
      // Where the slice may end: behind the instruction, in the next page.
      this.writer.plain(CONTINUE, at + decoded.length, at + decoded.length)
    }
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
   * Forget what was decoded from a page, and from those that have an instruction reaching into it.
   * @returns whether one of them is the page that code runs in, or ran in last
   */
  drop(page: number): boolean {
    const code = this.pages.get(page)
    if (code?.isActive !== true) return false
    code.isActive = false
    code.drops++
    code.decoded.fill(0)
    this.memory.u8.fill(0, code.map, code.map + MAP_BYTES)
    this.onDrop(page)
    let isRunning = this.runningPage() === page
    for (const other of code.straddlers) if (this.drop(other.page)) isRunning = true
    code.straddlers.clear()
    return isRunning
  }
}
