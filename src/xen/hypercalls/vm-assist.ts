import { EINVAL, ENOSYS } from '../../bits/errno.ts'
import type { Call } from '../call.ts'
import { ASSIST_M2P_STRICT } from '../mm/tables.ts'
import { arg32 } from './arguments.ts'

/** vm_assist(command, type): switch a convenience of Xen on or off. */
export function vmAssist({ xen, domain: caller, port }: Call): number {
  const [command, type] = [arg32(port, 0), arg32(port, 1)]
  if (!xen.version.abi.assists.includes(type)) return EINVAL
  if (command > 1) return ENOSYS
  // m2p_strict has bit 32, which a number's bit operations do not reach; it has a bit of its own here.
  const bit = type === 32 ? ASSIST_M2P_STRICT : 1 << type
  caller.assist = command === 0 ? caller.assist | bit : caller.assist & ~bit
  return 0
}
