import type { Call } from '../call.ts'
import { ASSIST_M2P_STRICT } from '../mm/tables.ts'
import { type Refusal, refused } from '../refusal.ts'
import { arg32 } from './arguments.ts'
import { flat } from './flat.ts'

type Request = { readonly bit: number; readonly on: boolean }

/** vm_assist(command, type): switch a convenience of Xen on or off. */
export const vmAssist = flat(read, apply)

function read({ xen, port }: Call): Request | Refusal {
  const [cmd, type] = [arg32(port, 0), arg32(port, 1)]
  if (!xen.version.abi.assists.includes(type)) return refused(xen, 'badArgument', { type })
  if (cmd > 1) return refused(xen, 'unknownCommand', { cmd })
  // m2p_strict has bit 32, which a number's bit operations do not reach; it has a bit of its own here.
  return { bit: type === 32 ? ASSIST_M2P_STRICT : 1 << type, on: cmd === 0 }
}

function apply({ domain }: Call, { bit, on }: Request): number {
  domain.assist = on ? domain.assist | bit : domain.assist & ~bit
  return 0
}
