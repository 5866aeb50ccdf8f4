import { vaOf } from '../../src/bits/address.ts'
import { ARGUMENTS, RAX, RSP } from '../../src/machine/host.ts'
import { KernelRun, type KernelSpec } from '../../src/run/kernel/kernel-boot.ts'
import { copyFromGuest } from '../../src/xen/mm/guest-copy.ts'
import { CallLog } from './call-log.ts'
import type { Recorded } from './record-xen.ts'
import { structureOf } from './roles.ts'

const STRIDE = 1_000_000

/** Boot a kernel here and record its hypercalls, up to its first process. */
export function recordOurs(spec: KernelSpec): Recorded {
  const run = new KernelRun(spec, { stride: () => STRIDE })
  const { guest, start } = run.machine
  const { vcpu } = start
  const log = new CallLog()
  const register = (n: number): bigint => (BigInt(vcpu.regs[n * 2 + 1]) << 32n) | BigInt(vcpu.regs[n * 2])
  const read = (address: bigint, bytes: number): Uint8Array | null => {
    const words = new Uint32Array((bytes + 3) >>> 2)
    const [low, high] = [Number(BigInt.asUintN(32, address)), Number(BigInt.asIntN(32, address >> 32n))]
    const isRead = copyFromGuest(vcpu, vaOf(low, high), words, words.length)
    return isRead ? new Uint8Array(words.buffer, 0, bytes) : null
  }
  let behind = 0
  guest.beforeHypercall = () => {
    behind = guest.rip
    const args = ARGUMENTS.slice(0, 5).map(register)
    const nr = vcpu.regs[RAX * 2]
    const structure = structureOf(nr, args)
    log.made(register(RSP), {
      nr,
      args,
      bytes: structure === null ? null : read(structure.va, structure.bytes),
    })
  }
  guest.afterHypercall = () => {
    // A call that is put off goes back to its instruction, and is made again.
    if (guest.rip === behind) log.returned(register(RSP), vcpu.number(RAX))
    return !log.isOver
  }
  while (!log.isOver && run.outcome === null) {
    if (run.step(STRIDE) === 'waiting') guest.passTime(STRIDE)
  }
  return { calls: log.calls, log: run.result().console.join('\n') }
}
