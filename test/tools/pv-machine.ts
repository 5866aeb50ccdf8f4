import { PAGE, REGION, vaHigh } from '../../src/bits/address.ts'
import { Guest } from '../../src/guest/guest.ts'
import type { BoardOptions } from '../../src/machine/board/board.ts'
import { Memory } from '../../src/machine/memory.ts'
import { ARGUMENTS, GuestTrap, RSP, type Vcpu } from '../../src/machine/vcpu/vcpu.ts'
import { buildDomain } from '../../src/toolstack/build-domain.ts'
import { layoutFor, modelStartOfDay } from '../../src/toolstack/layouts/model.ts'
import { HYPERCALL, MEMORY_OP } from '../../src/xen/abi.ts'
import type { Domain } from '../../src/xen/domain.ts'
import { ownerOf } from '../../src/xen/frames/frame-record.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import type { PvVcpu } from '../../src/xen/pv-vcpu.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { Xen } from '../../src/xen/xen.ts'
import { assemble } from './assemble.ts'

/** Pages of the guest that tests use, as pfns: arguments of hypercalls, data, code, and a stack. */
const ARGUMENT_PAGE = 0x1ff
const LIST_PAGE = 0x1fe
const DATA = 0x200
const CODE = 0x210
const STACK = 0x220
const NR_PAGES = 0x2000
const KERNEL_BYTES = 0x40_0000
const SELF = 0x7ff0
const FLAT_CS = 0xe033
const UVMF_INVLPG = 2

/**
 * A domU, or a dom0, of 32 MiB on a machine of 256 MiB: for tests of what Xen does for real kernels, by hypercalls that the test
 * makes and by code that the guest executes. Pages are named by their pfn, from 0x200 on as in the recordings; addresses
 * that are numbers are 48-bit ones.
 */
export class PvMachine {
  readonly xen: Hypervisor
  readonly domain: Domain
  readonly pv: PvVcpu
  /** Its port. */
  readonly vcpu: Vcpu
  readonly data = REGION.kernelMap + DATA * PAGE
  readonly code = REGION.kernelMap + CODE * PAGE
  readonly stack = REGION.kernelMap + (STACK + 1) * PAGE
  private readonly layout = layoutFor(KERNEL_BYTES, 0, NR_PAGES)
  private labels: ReadonlyMap<string, number> = new Map()
  private running: Guest | null = null

  constructor(version = '4.17', privileged = false, board?: BoardOptions) {
    const ram = [{ start: 0x100, end: 0x1_0000 }]
    const host = { ram, map: [], passedThrough: [], ...(board === undefined ? {} : { board }) }
    this.xen = new Xen(xenVersion(version), host, new Memory(128 << 20))
    const { domain, vcpu } = buildDomain(this.xen, modelStartOfDay(this.layout), {
      id: privileged ? 0 : 1,
      privileged,
      nrPages: NR_PAGES,
    })
    this.domain = domain
    this.vcpu = vcpu
    this.pv = this.xen.vcpuOf(vcpu)
  }

  // ---- pages ----

  /** Where the boot tables map a page. */
  at(pfn: number): number {
    return REGION.kernelMap + pfn * PAGE
  }

  /** The same as the guest writes it, 64 bits. */
  va(pfn: number): bigint {
    return 0xffff_0000_0000_0000n + BigInt(this.at(pfn))
  }

  /** The frame that a page of the guest was built with, by the guest's own list. */
  mfn(pfn: number): number {
    return this.vcpu.load64(REGION.kernelMap + this.layout.mfnList + pfn * 8)
  }

  /** The same of a page that an address of the boot mapping lies in. */
  mfnOf(va: number): number {
    return this.mfn((va - REGION.kernelMap) / PAGE)
  }

  /** References and type of a frame, as Xen prints them: `8000000000000002/e400000000000001`. */
  counts(mfn: number): string {
    const record = this.xen.memory.record(mfn)
    const { u32 } = this.xen.memory
    return `${this.xen.refsText(u32[record + 1])}/${this.xen.typeText(u32[record])}`
  }

  /** Eight bytes of a page, by their number in it. */
  slot(pfn: number, slot: number): bigint {
    const lo = this.vcpu.load64(this.at(pfn) + slot * 8)
    return (BigInt(this.vcpu.hi) << 32n) | BigInt(lo)
  }

  setSlot(pfn: number, slot: number, value: number | bigint): void {
    const bits = BigInt.asUintN(64, BigInt(value))
    this.vcpu.store64(this.at(pfn) + slot * 8, Number(bits & 0xffffffffn), Number(bits >> 32n))
  }

  /** Set the first slots of a page. */
  setSlots(pfn: number, values: readonly (number | bigint)[]): void {
    for (const [i, value] of values.entries()) this.setSlot(pfn, i, value)
  }

  /** Words of 32 bits of the guest's memory. */
  words(va: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.vcpu.load32(va + i * 4))
  }

  setWords(va: number, words: readonly number[]): void {
    for (const [i, word] of words.entries()) this.vcpu.store32(va + i * 4, word >>> 0)
  }

  /** Words of a frame of the machine. */
  frame(mfn: number, offset: number, count: number): number[] {
    const at = this.xen.memory.frameWords(mfn) + offset / 4
    return [...this.xen.memory.u32.subarray(at, at + count)]
  }

  // ---- hypercalls ----

  /** A hypercall. Numbers are extended from 48 bits, as addresses are; a bigint is 64 bits as they stand. */
  call(nr: number, ...args: readonly (number | bigint)[]): number {
    for (const [i, value] of args.entries()) {
      if (typeof value === 'number') this.vcpu.setVa(ARGUMENTS[i], value)
      else this.vcpu.set(ARGUMENTS[i], Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))
    }
    return this.vcpu.hypercall(nr)
  }

  /** A hypercall of a command and a structure of u32 words, which it may change: its result, and the words after it. */
  op(nr: number, command: number, words: readonly number[], room = 8): { rc: number; words: number[] } {
    this.setWords(
      this.data,
      Array.from({ length: room }, (_, i) => words[i] ?? 0),
    )
    const rc = this.call(nr, command, this.data)
    return { rc, words: this.words(this.data, room) }
  }

  /** Change the boot mapping of a page: its own frame, or another, with these flags; nothing when they are 0. */
  map(pfn: number, flags: number | bigint, mfn = this.mfn(pfn)): number {
    const bits = BigInt(flags)
    const entry = bits === 0n ? 0n : (BigInt(mfn) << 12n) | bits
    return this.call(HYPERCALL.update_va_mapping, this.va(pfn), entry, UVMF_INVLPG)
  }

  /** One operation of mmuext_op. */
  mmuext(command: number, arg1: number | bigint, arg2: number | bigint = 0, domid = SELF): number {
    this.setSlots(ARGUMENT_PAGE, [command, arg1, arg2])
    return this.call(HYPERCALL.mmuext_op, this.va(ARGUMENT_PAGE), 1, 0, domid)
  }

  setGdt(entries: number, ...mfns: number[]): number {
    this.setSlots(ARGUMENT_PAGE, mfns)
    return this.call(HYPERCALL.set_gdt, this.va(ARGUMENT_PAGE), entries)
  }

  /**
   * A memory operation on a list of one frame: how many were done, and what the list says then.
   *
   * @param bits that the address of a new frame may have, 0 for any
   */
  reserve(command: number, frame: number, bits = 0): { rc: number; frame: number } {
    this.setSlots(LIST_PAGE, [frame])
    this.setSlots(ARGUMENT_PAGE, [this.va(LIST_PAGE), 1, BigInt(bits) << 32n, SELF])
    const rc = this.call(HYPERCALL.memory_op, command, this.va(ARGUMENT_PAGE))
    return { rc, frame: Number(this.slot(LIST_PAGE, 0)) }
  }

  /** Exchange a frame for one that is to be a page of the guest, and whose address has no more than so many bits; 0 for any. */
  exchange(mfn: number, pfn: number, bits = 0): { rc: number; done: number; mfn: number } {
    const list = this.va(LIST_PAGE)
    this.setSlots(LIST_PAGE, [mfn, pfn])
    this.setSlots(ARGUMENT_PAGE, [list, 1, 0, SELF, list + 8n, 1, BigInt(bits) << 32n, SELF, 0])
    const rc = this.call(HYPERCALL.memory_op, MEMORY_OP.exchange, this.va(ARGUMENT_PAGE))
    return { rc, done: Number(this.slot(ARGUMENT_PAGE, 8)), mfn: Number(this.slot(LIST_PAGE, 1)) }
  }

  /** Load a selector as an instruction would: `loaded`, or the exception with its error code and address. */
  loadSegment(selector: number): string {
    try {
      this.vcpu.loadSegment(selector)
      return 'loaded'
    } catch (trap) {
      if (!(trap instanceof GuestTrap)) throw trap
      return `${trap.vector}:${trap.error.toString(16)}:${trap.va.toString(16)}`
    }
  }

  /** What something makes Xen print, without `(XEN) `. */
  lines(run: () => unknown): string[] {
    const before = this.xen.console.lines.length
    run()
    return this.xen.console.lines.slice(before).map((line) => line.text.replace('(XEN) ', ''))
  }

  // ---- code ----

  /**
   * Put code at `code`, and a guest about to execute it: assembler's text, which may name hypercalls, `data` and `stack`, and
   * what `symbols` has; or bytes.
   */
  load(source: string | Uint8Array, symbols: Readonly<Record<string, number>> = {}): Guest {
    const bytes = typeof source === 'string' ? this.assembled(source, symbols) : source
    for (const [i, byte] of bytes.entries()) this.vcpu.store8(this.code + i, byte)
    this.vcpu.setVa(RSP, this.stack)
    this.running ??= new Guest(this.xen, this.vcpu, this.code)
    this.goTo(this.code)
    return this.running
  }

  private assembled(source: string, symbols: Readonly<Record<string, number>>): Uint8Array {
    const known = { ...HYPERCALL, data: this.data, stack: this.stack, ...symbols }
    const { bytes, labels } = assemble(source, { at: this.code, symbols: known })
    this.labels = labels
    return bytes
  }

  /** The address of a label of the code that was loaded last. */
  label(name: string): number {
    const address = this.labels.get(name)
    if (address === undefined) throw new Error(`no label ${name}`)
    return address
  }

  /** Let the guest go on at an address. */
  goTo(address: number): void {
    this.running?.cpu.setRip(address >>> 0, vaHigh(address))
  }

  /** A handler for an exception of the guest: a label of its code, or an offset in the code page. */
  handle(vector: number, where: string | number, flags = 0): void {
    const address = typeof where === 'string' ? this.label(where) : this.code + where
    this.pv.traps.set(vector, { flags, cs: FLAT_CS, address })
  }
}

/** What a domain's pages have for frames, by pfn, as Xen's own table says. */
export function framesOf(xen: Hypervisor, { owner }: Domain): number[] {
  const mfns: number[] = []
  for (let mfn = 0; mfn < xen.maxPage; mfn++) {
    const record = xen.memory.record(mfn)
    const isOwn = record !== -1 && ownerOf(xen, record) === owner
    const pfn = isOwn ? xen.m2p.get(mfn) : -1
    if (pfn >= 0) mfns[pfn] = mfn
  }
  return mfns
}

/** Assembler's text of a hypercall with two arguments, in four instructions. */
export function hypercall(nr: number, first: number, second = 0): string {
  return `
        mov eax, ${nr}
        mov edi, ${first}
        mov rsi, ${second}
        syscall
`
}

/** A jump to itself. */
export const FOREVER = 'forever: jmp forever\n'
