import { REGION, SLOTS } from '../../bits/address.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { kernelVa } from '../symbols.ts'
import type { PfnRange } from './xen-memory-setup.ts'

/** What a look-up answers for a pfn without a frame. */
export const INVALID_P2M = -1
/** Added to the frame of an identity pfn, so that one number says both. Frames are below 2^40. */
export const IDENTITY = 2 ** 40

/**
 * The p2m: for each pfn the machine frame behind it. Xen's list, in the guest's own memory, is the tree's leaves; what
 * the kernel adds are the ranges without RAM, which become the identity (68df0da7f42b). Linux: arch/x86/xen/p2m.c.
 */
export class KernelP2m {
  private readonly vcpu: Vcpu
  /** Address of the list in the kernel map. */
  private readonly list: number
  private readonly nrPages: number
  private identity: readonly PfnRange[] = []
  /** Leaves that the kernel added after Xen's list, by pfn / 512: pairs of halves. */
  private readonly added = new Map<number, Uint32Array>()

  constructor(vcpu: Vcpu, listPhysical: number, nrPages: number) {
    this.vcpu = vcpu
    this.list = kernelVa(listPhysical)
    this.nrPages = nrPages
  }

  /** get_phys_to_machine(): a frame, `IDENTITY` plus the frame, or INVALID_P2M. */
  get(pfn: number): number {
    if (this.isIdentity(pfn)) return IDENTITY + pfn
    if (pfn >= this.nrPages) {
      const leaf = this.added.get(Math.floor(pfn / SLOTS))
      const at = (pfn % SLOTS) * 2
      return leaf === undefined ? INVALID_P2M : frameOf(leaf[at], leaf[at + 1])
    }
    const lo = this.vcpu.load64(this.list + pfn * 8)
    return frameOf(lo, this.vcpu.hi)
  }

  /**
   * What 512 pfns from `first` (a multiple of 512) on are: `plain` leaves of the list, which are loaded into `out` as pairs
   * of halves; `empty`, without a frame; or `mixed`, so that each must be looked up.
   */
  region(first: number, out: Uint32Array): 'plain' | 'empty' | 'mixed' {
    for (const range of this.identity) if (range.start < first + SLOTS && range.end > first) return 'mixed'
    if (first + SLOTS <= this.nrPages) {
      this.vcpu.loadEntries(this.list + first * 8, out, SLOTS)
      return 'plain'
    }
    if (first < this.nrPages) return 'mixed'
    const leaf = this.added.get(first / SLOTS)
    if (leaf === undefined) return 'empty'
    out.set(leaf)
    return 'plain'
  }

  /** The frame of a pfn that must have one: pfn_to_mfn() for a table. */
  mfn(pfn: number): number {
    const mfn = this.get(pfn)
    return mfn >= IDENTITY ? mfn - IDENTITY : mfn
  }

  /**
   * Take pfns of Xen's list out of it, at most `count` from `pfn` on and none beyond a page of the list: their frames go
   * into `out` as pairs of halves. Returns how many.
   */
  takeOut(pfn: number, count: number, out: Uint32Array): number {
    const taken = Math.min(count, SLOTS - (pfn % SLOTS), this.nrPages - pfn)
    this.vcpu.loadEntries(this.list + pfn * 8, out, taken)
    this.vcpu.storeEntries(this.list + pfn * 8, INVALID_LEAF, taken)
    return taken
  }

  /** Frames for `count` pfns beyond Xen's list, given as pairs of halves: the kernel's own leaves. */
  extend(pfn: number, count: number, mfns: Uint32Array): void {
    for (let i = 0; i < count; i++) {
      const number = Math.floor((pfn + i) / SLOTS)
      let leaf = this.added.get(number)
      if (leaf === undefined) {
        leaf = INVALID_LEAF.slice()
        this.added.set(number, leaf)
      }
      const at = ((pfn + i) % SLOTS) * 2
      leaf[at] = mfns[i * 2]
      leaf[at + 1] = mfns[i * 2 + 1]
    }
  }

  setIdentity(ranges: readonly PfnRange[]): void {
    this.identity = ranges
  }

  private isIdentity(pfn: number): boolean {
    for (const range of this.identity) if (pfn >= range.start && pfn < range.end) return true
    return false
  }
}

/**
 * mfn_to_pfn() of the frames at `from` to `to`, given and answered as pairs of halves. Frames that follow each other are
 * looked up in one load.
 */
export function mfnsToPfns(vcpu: Vcpu, mfns: Uint32Array, pfns: Uint32Array, from: number, to: number): void {
  for (let done = from; done < to; ) {
    const first = mfns[done * 2]
    const most = Math.min(to - done, SLOTS - (first & (SLOTS - 1)))
    let run = 1
    while (run < most && mfns[(done + run) * 2] === first + run) run++
    vcpu.loadEntries(REGION.m2p + first * 8, pfns.subarray(done * 2), run)
    done += run
  }
}

/** A page of the list without a frame. */
const INVALID_LEAF = new Uint32Array(SLOTS * 2).fill(0xffffffff)

function frameOf(lo: number, hi: number): number {
  return hi === 0xffffffff ? INVALID_P2M : hi * 0x1_0000_0000 + lo
}

/** mfn_to_pfn(): what Xen's table says of a frame. */
export function mfnToPfn(vcpu: Vcpu, mfn: number): number {
  const lo = vcpu.load64(REGION.m2p + mfn * 8)
  return vcpu.hi * 0x1_0000_0000 + lo
}
