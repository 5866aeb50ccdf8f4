import { PAGE, REGION, vaHigh } from '../../src/bits/address.ts'
import { Guest } from '../../src/guest/guest.ts'
import { Memory } from '../../src/machine/memory.ts'
import { ARGUMENTS, type Vcpu } from '../../src/machine/vcpu/vcpu.ts'
import { buildDomain } from '../../src/toolstack/build-domain.ts'
import { layoutFor, modelStartOfDay } from '../../src/toolstack/layouts/model.ts'
import type { Domain } from '../../src/xen/domain.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import type { PvVcpu } from '../../src/xen/pv-vcpu.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { Xen } from '../../src/xen/xen.ts'

/** Pages of the guest that tests use: two for data, one for code, one for a stack. Pseudo-physical frames. */
const DATA = 0x200
const CODE = 0x210
const STACK = 0x220

/** A domU, or a dom0, of 32 MiB for tests of what Xen does for real kernels: hypercalls with structures, and code given as bytes. */
export class PvMachine {
  readonly xen: Hypervisor
  readonly domain: Domain
  readonly pv: PvVcpu
  /** Its port. */
  readonly vcpu: Vcpu
  readonly data = REGION.kernelMap + DATA * PAGE
  readonly code = REGION.kernelMap + CODE * PAGE
  readonly stack = REGION.kernelMap + (STACK + 1) * PAGE
  private running: Guest | null = null

  constructor(version = '4.17', privileged = false) {
    const ram = [{ start: 0x100, end: 0x1_0000 }]
    this.xen = new Xen(xenVersion(version), { ram, map: [], passedThrough: [] }, new Memory(128 << 20))
    const { domain, vcpu } = buildDomain(this.xen, modelStartOfDay(layoutFor(0x40_0000, 0, 0x2000)), {
      id: privileged ? 0 : 1,
      privileged,
      nrPages: 0x2000,
    })
    this.domain = domain
    this.vcpu = vcpu
    this.pv = this.xen.vcpuOf(vcpu)
  }

  /** A hypercall whose arguments are numbers; addresses are 48-bit ones. */
  call(nr: number, ...args: number[]): number {
    for (const [i, value] of args.entries()) this.vcpu.setVa(ARGUMENTS[i], value)
    return this.vcpu.hypercall(nr)
  }

  /** A hypercall of a command and a structure of u32 words, which it may change: its result, and the words after it. */
  op(nr: number, command: number, words: readonly number[], room = 8): { rc: number; words: number[] } {
    for (let i = 0; i < room; i++) this.vcpu.store32(this.data + i * 4, words[i] ?? 0)
    const rc = this.call(nr, command, this.data)
    return { rc, words: this.words(this.data, room) }
  }

  /** Words of the guest's memory. */
  words(va: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.vcpu.load32(va + i * 4))
  }

  /** Words of a frame of the machine. */
  frame(mfn: number, offset: number, count: number): number[] {
    const at = this.xen.memory.frameWords(mfn) + offset / 4
    return [...this.xen.memory.u32.subarray(at, at + count)]
  }

  /** The frame that a page of the guest has. */
  mfnOf(va: number): number {
    for (let mfn = 0x100; mfn < 0x1_0000; mfn++) {
      if (this.xen.m2p.get(mfn) === (va - REGION.kernelMap) / PAGE) return mfn
    }
    throw new Error('no such page')
  }

  /** Put bytes of code at `code`, and a guest about to execute them. */
  load(...code: number[]): Guest {
    for (const [i, byte] of code.entries()) this.vcpu.store8(this.code + i, byte)
    this.vcpu.setVa(4, this.stack)
    this.running ??= new Guest(this.xen, this.vcpu, this.code)
    this.running.cpu.setRip(this.code >>> 0, vaHigh(this.code))
    return this.running
  }

  /** A handler for an exception of the guest: code at an offset of the code page. */
  handle(vector: number, offset: number, flags = 0): void {
    this.pv.traps.set(vector, { flags, cs: 0xe033, address: this.code + offset })
  }
}

/** Bytes of a number, lowest first. */
export function bytes(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) & 0xff)
}

/** Machine code of a hypercall: mov $nr, %eax; mov $first, %edi; movabs $second, %rsi; syscall. */
export function hypercallCode(nr: number, first: number, second = 0): number[] {
  const high = bytes(vaHigh(second), 4)
  return [
    0xb8,
    ...bytes(nr, 4),
    0xbf,
    ...bytes(first, 4),
    0x48,
    0xbe,
    ...bytes(second >>> 0, 4),
    ...high,
    0x0f,
    0x05,
  ]
}

/** jmp to itself. */
export const FOREVER = [0xeb, 0xfe]
