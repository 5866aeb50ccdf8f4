import { TWO_32 } from '../bits/address.ts'
import { DOMID } from '../bits/domid.ts'
import { RDI, RSI } from '../machine/vcpu/vcpu.ts'
import { HYPERCALL } from '../xen/abi.ts'
import type { Outcome } from './execute.ts'
import { PROBE } from './layout.ts'
import type { MultiCall } from './parse.ts'
import {
  CALL_DONE,
  CALLS,
  FAULTED,
  NOT_WRITTEN,
  type Pair,
  type Probe,
  pairOf,
  pairOfVa,
  REQUESTS,
} from './probe.ts'
import { extWords, mmuWords } from './requests.ts'

/** What one call of a multicall came to; null is what Xen did not write. Batches of one request say `done`. */
export type CallResult = { readonly rc: number | null; readonly done?: number | null }

const CALL_BYTES = 64
/** An operation of mmuext_op has three words, more than the others. */
const REQUEST_BYTES = 24
const USER_CS = 0xe033
const USER_SS = 0xe02b
/** Bit 1 of the flags register is always set; interrupts stay off, so that events stay masked. */
const FLAGS = 2
/** What iret takes from the stack, low to high: rax, r11, rcx, flags, rip, cs, rflags, rsp, ss. */
const TO_USER: readonly Pair[] = [
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  pairOfVa(PROBE.userCode),
  [USER_CS, 0],
  [FLAGS, 0],
  pairOfVa(PROBE.stack),
  [USER_SS, 0],
]

/**
 * One multicall. A call of it may be an iret that leaves for user mode: what runs there is one system call, which comes
 * back by the kernel's callback, or the page fault of its first instruction where the process does not map it.
 */
export function runMulticall(probe: Probe, calls: readonly MultiCall[], domain: number | null): Outcome {
  const { vcpu } = probe
  calls.forEach((call, i) => {
    writeCall(probe, call, i, domain)
  })
  TO_USER.forEach((word, i) => {
    probe.write(PROBE.stack + i * 8, word)
  })
  vcpu.setVa(RDI, CALLS)
  vcpu.set(RSI, calls.length)
  let rc = vcpu.hypercall(HYPERCALL.multicall)
  const outcome: Outcome = {}
  if (!vcpu.kernelMode) {
    const isBack = probe.guarded(() => {
      vcpu.fetch(PROBE.userCode)
      vcpu.systemCall()
    })
    if (isBack) outcome.back = 'syscall'
    else rc = FAULTED
  }
  probe.goOn()
  return { rc, ...outcome, calls: calls.map((call, i) => readCall(probe, call, i)) }
}

function writeCall(probe: Probe, call: MultiCall, i: number, domain: number | null): void {
  const at = CALLS + i * CALL_BYTES
  probe.vcpu.store32(CALL_DONE + i * 4, NOT_WRITTEN)
  const [number, args] = numberAndArguments(probe, call, i, domain)
  probe.write(at, [number, 0])
  probe.write(at + 8, [NOT_WRITTEN, 0])
  for (let a = 0; a < 6; a++) probe.write(at + 16 + a * 8, args[a] ?? [0, 0])
}

function numberAndArguments(
  probe: Probe,
  call: MultiCall,
  i: number,
  domain: number | null,
): readonly [number: number, args: readonly Pair[]] {
  if (call.kind === 'iret') return [HYPERCALL.iret, []]
  const owner: Pair = [domain ?? DOMID.SELF, 0]
  if (call.kind === 'uvm') {
    const args = [probe.argument(call.va), probe.entry(call.entry), pairOf(call.flags)]
    if (domain === null || domain === DOMID.SELF) return [HYPERCALL.update_va_mapping, args]
    return [HYPERCALL.update_va_mapping_otherdomain, [...args, owner]]
  }
  const request = REQUESTS + i * REQUEST_BYTES
  const words = call.kind === 'mmu' ? mmuWords(probe, call.request) : extWords(probe, call.request)
  words.forEach((word, w) => {
    probe.write(request + w * 8, word)
  })
  const number = call.kind === 'mmu' ? HYPERCALL.mmu_update : HYPERCALL.mmuext_op
  return [number, [pairOfVa(request), [1, 0], pairOfVa(CALL_DONE + i * 4), owner]]
}

function readCall(probe: Probe, call: MultiCall, i: number): CallResult {
  const lo = probe.vcpu.load64(CALLS + i * CALL_BYTES + 8)
  const { hi } = probe.vcpu
  const rc = lo === NOT_WRITTEN && hi === 0 ? null : (hi | 0) * TWO_32 + lo
  if (call.kind === 'uvm' || call.kind === 'iret') return { rc }
  const done = probe.vcpu.load32(CALL_DONE + i * 4)
  return { rc, done: done === NOT_WRITTEN ? null : done }
}
