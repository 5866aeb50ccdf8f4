import { ARGUMENTS, RAX } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from '../mm/guest-copy.ts'
import { refuse } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith, PREEMPTED } from './continuation.ts'
import type { Hypercall } from './hypercalls.ts'

type HypercallOf = (lo: number, hi: number) => Hypercall | undefined

/**
 * multicall(entries, count): hypercalls of {u64 number, u64 result, u64 arguments[6]}, each result written back. A call
 * that leaves for user mode is the last one: what follows would act on a process's tables (XSA-213). It is put off between
 * two calls; a call that is put off itself leaves the rest of it in its entry. Xen reads and carries out one call after the
 * other, so those before one that cannot be read are done. Xen: do_multicall().
 *
 * @param hypercallOf the hypercall of a number in two halves
 */
export function multicall(call: Call, hypercallOf: HypercallOf): number {
  const { xen, port } = call
  const [array, count] = [argVa(port, 0), arg32(port, 1)]
  const result = (rc: number): number => {
    port.setNumber(RAX, rc)
    return rc
  }
  if (xen.inMulticall) return result(refuse(xen, 'multicallReentry'))
  if (!isGuestRange(array, count * 64)) return result(refuse(xen, 'unreadable', { va: array }))
  let kept = port.regs.slice()
  let inKernel = port.kernelMode
  let rc = 0
  let i = 0
  let isPreempted = false
  xen.inMulticall = true
  try {
    const entry = new Uint32Array(16)
    for (; i < count && rc === 0; i++) {
      isPreempted = i > 0 && xen.work.isTooLong
      if (isPreempted) break
      xen.work.done += COST_NS.request
      if (!copyFromGuest(port, array + i * 64, entry, 16)) {
        rc = refuse(xen, 'unreadable', { va: array + i * 64 })
        break
      }
      for (let a = 0; a < ARGUMENTS.length; a++) port.set(ARGUMENTS[a], entry[4 + a * 2], entry[5 + a * 2])
      if (!inKernel) xen.userModeCalls++
      const handler = hypercallOf(entry[0], entry[1])
      const answer =
        handler === undefined ? refuse(xen, 'unknownCommand', { cmd: entry[0] }) : handler.call(call)
      if (answer === PREEMPTED) {
        const rest = ARGUMENTS.flatMap((register) => [port.regs[register * 2], port.regs[register * 2 + 1]])
        isPreempted = copyToGuest(port, array + i * 64 + 16, rest, rest.length)
        if (!isPreempted) rc = refuse(xen, 'unwritable', { va: array + i * 64 + 16 })
        break
      }
      if (handler?.leavesResult !== true) port.setNumber(RAX, answer)
      if (inKernel && !port.kernelMode) {
        // The process goes on with the registers that iret has given it.
        inKernel = false
        kept = port.regs.slice()
        if (xen.version.rules.multicallEndsInUserMode) {
          // The result goes where the process has the array, if it has it.
          copyToGuest(port, array + i * 64 + 8, [port.regs[RAX * 2], port.regs[RAX * 2 + 1]], 2)
          return answer
        }
      }
      const words = [port.regs[RAX * 2], port.regs[RAX * 2 + 1]]
      if (!copyToGuest(port, array + i * 64 + 8, words, 2))
        rc = refuse(xen, 'unwritable', { va: array + i * 64 + 8 })
    }
  } finally {
    xen.inMulticall = false
    port.regs.set(kept)
  }
  return isPreempted ? continueWith(port, array + i * 64, count - i) : result(rc)
}
