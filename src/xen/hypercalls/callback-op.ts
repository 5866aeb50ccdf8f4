import { vaOf } from '../../bits/address.ts'
import { CALLBACK } from '../abi.ts'
import type { Call } from '../call.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { arg32, argHigh, argVa, wordsAt } from './arguments.ts'
import { flat } from './flat.ts'

const KNOWN: ReadonlySet<number> = new Set(Object.values(CALLBACK))

type Request = {
  /** Null to take the callback back. */
  readonly callback: { readonly flags: number; readonly address: number } | null
  readonly type: number
}

/**
 * callback_op(command, {u16 type, u16 flags, u64 address}*): where Xen enters the guest for events, system calls and
 * failures. 0 registers, 1 takes back, which only the NMI's can be. Xen: do_callback_op().
 */
export const callbackOp = flat(read, apply)

function read(call: Call): Request | Refusal {
  const { xen, port } = call
  const cmd = arg32(port, 0)
  if (cmd > 1) return refused(xen, 'unknownCommand', { cmd })
  const words = wordsAt(call, argVa(port, 1), cmd === 0 ? 4 : 1)
  if (isRefusal(words)) return words
  const type = words[0] & 0xffff
  const address = cmd === 0 ? vaOf(words[2], words[3]) : 0
  if (address === -1) return refused(xen, 'badArgument', { type })
  if (!KNOWN.has(type)) return refused(xen, 'notOffered', { type })
  return { type, callback: cmd === 0 ? { flags: words[0] >>> 16, address } : null }
}

function apply({ xen, vcpu }: Call, { callback, type }: Request): number {
  if (callback !== null) vcpu.callbacks.set(type, callback)
  else if (type === CALLBACK.nmi) vcpu.callbacks.delete(type)
  else return refuse(xen, 'badArgument', { type })
  return 0
}

/** set_callbacks(event, failsafe, syscall): the same, before there was callback_op. Bad addresses are ignored. */
export function setCallbacks({ vcpu, port }: Call): number {
  for (const [i, type] of [CALLBACK.event, CALLBACK.failsafe, CALLBACK.syscall].entries()) {
    const address = vaOf(arg32(port, i), argHigh(port, i))
    if (address !== -1) vcpu.callbacks.set(type, { flags: 0, address })
  }
  return 0
}
