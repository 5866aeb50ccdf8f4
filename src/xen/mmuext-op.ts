import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../bits/errno.ts'
import { TYPE_CODE } from '../bits/type-word.ts'
import { TYPE_PINNED } from '../machine/frames.ts'
import type { Vcpu } from '../machine/vcpu.ts'
import { MMUEXT } from './abi.ts'
import { arg32, argVa } from './arguments.ts'
import type { Domain } from './domain.ts'
import { getPageOwner, mayActOn } from './foreign.ts'
import { getPageType, isPinned, putPageAndType } from './frame-type.ts'
import { copyFromGuest, isGuestRange } from './guest-copy.ts'
import type { Hypervisor } from './hypervisor.ts'
import { addDone } from './mmu-update.ts'
import { getPage, putPage } from './references.ts'
import { fillM2pSlot } from './tables.ts'

const OP_NAMES = new Map<number, string>(Object.entries(MMUEXT).map(([name, n]) => [n, name]))

const op = new Uint32Array(6)

/**
 * mmuext_op(ops, count, done*, foreign domain): what a kernel does with whole tables and with the TLB. Each operation
 * is {u32 command; u64 arg1; u64 arg2}. Batches stop at the first failure. Xen: do_mmuext_op().
 */
export function mmuextOp(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const array = argVa(vcpu, 0)
  const count = arg32(vcpu, 1)
  const done = argVa(vcpu, 2)
  const pageOwner = getPageOwner(xen, caller, arg32(vcpu, 3) & 0xffff)
  if (pageOwner === null) return ESRCH
  if (xen.version.messages !== 'seed' && !mayActOn(caller, pageOwner)) return EPERM
  if (!isGuestRange(array, count * 24)) return EFAULT
  let rc = 0
  let i = 0
  for (; i < count; i++) {
    if (!copyFromGuest(vcpu, array + i * 24, op, 6)) {
      rc = EFAULT
      break
    }
    const command = op[0]
    const mfn = op[3] * 0x1_0000_0000 + op[2]
    rc = doOne(xen, caller, vcpu, pageOwner, command, mfn)
    if (xen.sink !== null) {
      xen.sink({
        kind: 'hypercall',
        name: 'mmuext_op',
        rc,
        args: { command: OP_NAMES.get(command) ?? command, mfn },
      })
    }
    if (rc !== 0) break
  }
  if (done !== 0) addDone(vcpu, done, i)
  return rc
}

function doOne(
  xen: Hypervisor,
  caller: Domain,
  vcpu: Vcpu,
  pageOwner: Domain,
  command: number,
  mfn: number,
): number {
  switch (command) {
    case MMUEXT.PIN_L1_TABLE:
    case MMUEXT.PIN_L2_TABLE:
    case MMUEXT.PIN_L3_TABLE:
    case MMUEXT.PIN_L4_TABLE:
      return pinTable(xen, pageOwner, mfn, command + 1)
    case MMUEXT.UNPIN_TABLE:
      return unpinTable(xen, pageOwner, mfn)
    case MMUEXT.NEW_BASEPTR:
      return newBaseptr(xen, caller, vcpu, mfn)
    case MMUEXT.NEW_USER_BASEPTR:
      return newUserBaseptr(xen, caller, mfn)
    case MMUEXT.TLB_FLUSH_LOCAL:
    case MMUEXT.INVLPG_LOCAL:
    case MMUEXT.TLB_FLUSH_MULTI:
    case MMUEXT.INVLPG_MULTI:
    case MMUEXT.TLB_FLUSH_ALL:
    case MMUEXT.INVLPG_ALL:
      xen.flushTlbs()
      return 0
    default:
      xen.log('mmuextCommand', command)
      return ENOSYS
  }
}

/** Take the page and type reference of a frame for a caller that names it by its mfn; 0, or a negative error. */
function getPageAndType(xen: Hypervisor, mfn: number, domain: Domain, code: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    if (xen.version.messages === 'seed') xen.log('pageRef', mfn)
    return EINVAL
  }
  const rc = getPageType(xen, mfn, record, code)
  if (rc !== 0) putPage(xen, mfn, record)
  return rc
}

/** MMUEXT_PIN_Ln_TABLE: one more type and page reference, held by the pinned bit until it is unpinned. */
function pinTable(xen: Hypervisor, domain: Domain, mfn: number, code: number): number {
  const rc = getPageAndType(xen, mfn, domain, code)
  if (rc !== 0) {
    if (xen.version.messages === 'seed') xen.log('pinning', mfn)
    else if (xen.memory.record(mfn) !== -1) xen.log('pinning', rc, mfn)
    return rc
  }
  const record = xen.memory.record(mfn)
  if (isPinned(xen, record)) {
    xen.log('alreadyPinned', mfn)
    putPageAndType(xen, mfn, record)
    return EINVAL
  }
  xen.memory.u32[record] = (xen.memory.u32[record] | TYPE_PINNED) >>> 0
  return 0
}

function unpinTable(xen: Hypervisor, domain: Domain, mfn: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    xen.log('unpinOwner', mfn, domain.id)
    return EINVAL
  }
  if (!isPinned(xen, record)) {
    putPage(xen, mfn, record)
    xen.log('notPinned', mfn)
    return EINVAL
  }
  xen.memory.u32[record] = (xen.memory.u32[record] & ~TYPE_PINNED) >>> 0
  putPageAndType(xen, mfn, record)
  putPage(xen, mfn, record)
  return 0
}

/** A new root for the kernel. The reference on the new one is taken before the old one is given back. */
function newBaseptr(xen: Hypervisor, caller: Domain, vcpu: Vcpu, mfn: number): number {
  const old = vcpu.root
  if (mfn === old) return 0
  const rc = getPageAndType(xen, mfn, caller, TYPE_CODE.l4)
  if (rc !== 0) {
    xen.log('baseptr', mfn)
    return xen.version.newBaseptrReturnsCode ? rc : EINVAL
  }
  if (!xen.version.m2pOnPromotion) fillM2pSlot(xen, xen.memory.frameWords(mfn))
  vcpu.root = mfn
  xen.flushTlbs()
  putPageAndType(xen, old, xen.memory.record(old))
  return 0
}

function newUserBaseptr(xen: Hypervisor, caller: Domain, mfn: number): number {
  const old = caller.userRoot
  if (mfn === old && xen.version.messages !== 'seed') return 0
  if (mfn !== 0) {
    const rc = getPageAndType(xen, mfn, caller, TYPE_CODE.l4)
    if (rc !== 0) {
      if (xen.version.messages === 'seed') xen.log('userBaseptr', mfn)
      else xen.log('userBaseptr', rc, mfn)
      return xen.version.messages === 'seed' ? EINVAL : rc
    }
  }
  caller.userRoot = mfn
  if (old !== 0) putPageAndType(xen, old, xen.memory.record(old))
  return 0
}
