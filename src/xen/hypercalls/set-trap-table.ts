import { vaOf } from '../../bits/address.ts'
import type { Call } from '../call.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { refuse } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { argVa } from './arguments.ts'
import { continueWith } from './continuation.ts'

/**
 * {u8 vector, u8 flags, u16 cs, u64 address} each, ended by an address of 0: do_set_trap_table(). Xen reads and registers one
 * after the other, and a long table is put off between two, so those before a bad one stay.
 */
export function setTrapTable({ xen, vcpu, port }: Call): number {
  const array = argVa(port, 0)
  if (array === 0) {
    vcpu.traps.clear()
    return 0
  }
  const entry = new Uint32Array(4)
  for (let i = 0; ; i++) {
    if (i > 0 && xen.work.isTooLong) return continueWith(port, array + i * 16)
    xen.work.done += COST_NS.request
    if (!copyFromGuest(port, array + i * 16, entry, 4))
      return refuse(xen, 'unreadable', { va: array + i * 16 })
    if (entry[2] === 0 && entry[3] === 0) return 0
    const address = vaOf(entry[2], entry[3])
    if (address === -1) return refuse(xen, 'badArgument', { vector: entry[0] & 0xff })
    // Ring 0 is Xen's: a guest's selectors get ring 3.
    const cs = (entry[0] >>> 16) | 3
    vcpu.traps.set(entry[0] & 0xff, { flags: (entry[0] >>> 8) & 0xff, cs, address })
  }
}
