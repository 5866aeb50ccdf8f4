import { PAGE, REGION } from '../../bits/address.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'

/**
 * Copies between Xen and a guest through the guest's own tables. A pointer into Xen's range, a page that is not there
 * or, for stores, not writable, ends the copy: the hypercall returns -EFAULT or what its rules say.
 */

/** Whether a guest may pass this address: anywhere but Xen's range (`__addr_ok`). -1 is a non-canonical one. */
export function isGuestAddress(va: number): boolean {
  return va >= 0 && (va < REGION.xenStart || va >= REGION.xenEnd)
}

/** Whether a whole array may be passed. */
export function isGuestRange(va: number, bytes: number): boolean {
  return isGuestAddress(va) && (va >= REGION.xenEnd || va + bytes <= REGION.xenStart)
}

/** Read `count` u32 words from `va` into `out`. False when a byte of them cannot be read; of nothing, all can. */
export function copyFromGuest(port: Vcpu, va: number, out: Uint32Array, count: number): boolean {
  if (count === 0) return true
  const { u32 } = port.memory
  const first = (va >>> 0) & (PAGE - 1)
  if ((first & 3) === 0 && first + count * 4 <= PAGE) {
    const page = isGuestAddress(va) ? port.tryReadable(va) : -1
    if (page === -1) return false
    const at = page + (first >>> 2)
    for (let i = 0; i < count; i++) out[i] = u32[at + i]
    return true
  }
  if ((first & 3) === 0) {
    let page = -1
    for (let i = 0; i < count; i++) {
      const at = va + i * 4
      const offset = (at >>> 0) & (PAGE - 1)
      if (page === -1 || offset === 0) {
        page = isGuestAddress(at) ? port.tryReadable(at) : -1
        if (page === -1) return false
      }
      out[i] = u32[page + (offset >>> 2)]
    }
    return true
  }
  for (let i = 0; i < count; i++) {
    let word = 0
    for (let b = 0; b < 4; b++) {
      const byte = copyByteFromGuest(port, va + i * 4 + b)
      if (byte === -1) return false
      word |= byte << (8 * b)
    }
    out[i] = word
  }
  return true
}

/** One byte, or -1. */
export function copyByteFromGuest(port: Vcpu, va: number): number {
  const page = isGuestAddress(va) ? port.tryReadable(va) : -1
  return page === -1 ? -1 : port.memory.u8[page * 4 + ((va >>> 0) & (PAGE - 1))]
}

/** Write one byte; false when it cannot be. */
export function copyByteToGuest(port: Vcpu, va: number, byte: number): boolean {
  const page = isGuestAddress(va) ? port.tryWritable(va) : -1
  if (page === -1) return false
  port.memory.u8[page * 4 + ((va >>> 0) & (PAGE - 1))] = byte
  return true
}

/** Write `count` u32 words to `va`. False when a byte of them cannot be written; what came before it is written. */
export function copyToGuest(port: Vcpu, va: number, words: ArrayLike<number>, count: number): boolean {
  if ((va & 3) === 0) {
    // An aligned word lies in one page.
    for (let i = 0; i < count; i++) {
      const at = va + i * 4
      const page = isGuestAddress(at) ? port.tryWritable(at) : -1
      if (page === -1) return false
      port.memory.u32[page + (((at >>> 0) & (PAGE - 1)) >>> 2)] = words[i]
    }
    return true
  }
  for (let i = 0; i < count * 4; i++) {
    if (!copyByteToGuest(port, va + i, words[i >> 2] >>> (8 * (i & 3)))) return false
  }
  return true
}
