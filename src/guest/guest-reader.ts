import { PAGE } from '../bits/address.ts'
import type { Vcpu } from '../machine/vcpu/vcpu.ts'

const TWO_48 = 2 ** 48

/** A guest's memory as its own tables map it right now. Whoever reads it raises no fault. */
export class GuestReader {
  private readonly vcpu: Vcpu
  private readonly bytes: Uint8Array

  /** @param bytes the machine's memory */
  constructor(vcpu: Vcpu, bytes: Uint8Array) {
    this.vcpu = vcpu
    this.bytes = bytes
  }

  /** The byte at a 48-bit address; -1 where nothing is mapped. */
  byte(va: number): number {
    const at = ((va % TWO_48) + TWO_48) % TWO_48
    const page = this.vcpu.tryReadable(at)
    return page === -1 ? -1 : this.bytes[page * 4 + (at % PAGE)]
  }

  /** The four bytes there as a number; -1 where one of them is not mapped. */
  word(va: number): number {
    let value = 0
    for (let i = 3; i >= 0; i--) {
      const byte = this.byte(va + i)
      if (byte === -1) return -1
      value = value * 256 + byte
    }
    return value
  }
}
