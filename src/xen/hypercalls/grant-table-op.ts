import { vaOf } from '../../bits/address.ts'
import { DOMID } from '../../bits/domid.ts'
import { EFAULT, EINVAL, ENOSYS } from '../../bits/errno.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { GNTTABOP } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest, copyToGuest } from '../mm/guest-copy.ts'
import { COST_NS } from '../sched/work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith } from './continuation.ts'

/** Statuses that an operation finds in its structure. */
const STATUS = { okay: 0, general_error: -1, bad_domain: -2, bad_handle: -4 } as const

/** Bytes of the structures, and where in them the status is. */
const MAP = { bytes: 32, status: 18 } as const
const UNMAP = { bytes: 24, status: 20 } as const

/**
 * grant_table_op(command, structures*, count): the table with which a domain lets others use its pages. It can be set up
 * in version 1; there is nobody whose grants could be mapped. Xen: do_grant_table_op().
 */
export function grantTableOp({ xen, domain: caller, port }: Call): number {
  const [argument, count] = [argVa(port, 1), arg32(port, 2)]
  switch (arg32(port, 0)) {
    case GNTTABOP.setup_table:
      if (count !== 1) return EINVAL
      return setupTable(xen, caller, port, argument)
    case GNTTABOP.query_size: {
      if (count !== 1) return EINVAL
      // {u16 domain, out u32 frames, u32 most, s16 status}
      const frames = Math.max(1, caller.grantFrames.length)
      return put(port, argument + 4, [frames, xen.version.abi.grantFrames, STATUS.okay])
    }
    case GNTTABOP.set_version: {
      const version = new Uint32Array(1)
      if (!copyFromGuest(port, argument, version, 1)) return EFAULT
      if (version[0] !== 1 && version[0] !== 2) return EINVAL
      // As with gnttab=max-ver:1 on Xen's command line: guests that want the second make do with the first.
      return version[0] === 1 ? 0 : ENOSYS
    }
    case GNTTABOP.get_version:
      return put(port, argument + 4, [1])
    case GNTTABOP.map_grant_ref:
      return putStatus(xen, port, argument, count, MAP, STATUS.bad_domain)
    case GNTTABOP.unmap_grant_ref:
      return putStatus(xen, port, argument, count, UNMAP, STATUS.bad_handle)
    default:
      return ENOSYS
  }
}

function put(port: Vcpu, va: number, words: readonly number[]): number {
  return copyToGuest(port, va, words, words.length) ? 0 : EFAULT
}

/** {u16 domain, u32 frames, out s16 status, u64 list*}: the frames of the table, of which there may be more each time. */
function setupTable(xen: Hypervisor, caller: Domain, port: Vcpu, argument: number): number {
  const words = new Uint32Array(6)
  if (!copyFromGuest(port, argument, words, 6)) return EFAULT
  const [id, wanted] = [words[0] & 0xffff, words[1]]
  if (id !== DOMID.SELF && id !== caller.id) return put(port, argument + 8, [STATUS.bad_domain & 0xffff])
  if (wanted > xen.version.abi.grantFrames) return put(port, argument + 8, [STATUS.general_error & 0xffff])
  const frames = grantFrames(xen, caller, wanted)
  const list = vaOf(words[4], words[5])
  for (let i = 0; i < wanted; i++) if (put(port, list + i * 8, [frames[i], 0]) !== 0) return EFAULT
  return put(port, argument + 8, [STATUS.okay])
}

/** The frames of a domain's grant table, at least `count` of them: Xen's own, shared with the guest. */
export function grantFrames(xen: Hypervisor, domain: Domain, count: number): readonly number[] {
  while (domain.grantFrames.length < count) {
    domain.grantFrames.push(xen.allocateXenFrame(domain.owner))
  }
  return domain.grantFrames
}

/** The same status for every one of the operations; a long list of them is put off. */
function putStatus(
  xen: Hypervisor,
  port: Vcpu,
  argument: number,
  count: number,
  layout: { readonly bytes: number; readonly status: number },
  status: number,
): number {
  const words = new Uint32Array(1)
  for (let i = 0; i < count; i++) {
    if (i > 0 && xen.work.isTooLong) {
      return continueWith(port, arg32(port, 0), argument + i * layout.bytes, count - i)
    }
    xen.work.done += COST_NS.request
    // The status is a half of a word: the other half stays.
    const at = argument + i * layout.bytes + layout.status
    const shift = (at & 2) * 8
    if (!copyFromGuest(port, at - (at & 2), words, 1)) return EFAULT
    const word = (words[0] & ~(0xffff << shift)) | ((status & 0xffff) << shift)
    if (!copyToGuest(port, at - (at & 2), [word], 1)) return EFAULT
  }
  return 0
}
