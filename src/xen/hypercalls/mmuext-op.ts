import { PAGE, vaOf } from '../../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import { TYPE_PINNED } from '../../machine/frames.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { MMUEXT } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageOwner, mayActOn } from '../mm/foreign.ts'
import { getPageType, isPinned, putPageAndType } from '../mm/frame-type.ts'
import { copyFromGuest, isGuestRange } from '../mm/guest-copy.ts'
import { dropLdt, setLdt } from '../mm/ldt.ts'
import { getPage, putPage } from '../mm/references.ts'
import { fillM2pSlot, isM2pStrict, zapM2pSlot } from '../mm/tables.ts'
import { COST_NS } from '../sched/work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith, GOES_ON } from './continuation.ts'
import { doneBefore, writeDone } from './mmu-update.ts'

const OP_NAMES = new Map<number, string>(Object.entries(MMUEXT).map(([name, n]) => [n, name]))

/** Operations about the caller itself, which newer versions refuse where another domain is named. */
const OWN_OPERATIONS: ReadonlySet<number> = new Set([
  MMUEXT.NEW_BASEPTR,
  MMUEXT.NEW_USER_BASEPTR,
  MMUEXT.TLB_FLUSH_LOCAL,
  MMUEXT.INVLPG_LOCAL,
  MMUEXT.TLB_FLUSH_MULTI,
  MMUEXT.INVLPG_MULTI,
  MMUEXT.TLB_FLUSH_ALL,
  MMUEXT.INVLPG_ALL,
  MMUEXT.FLUSH_CACHE,
  MMUEXT.FLUSH_CACHE_GLOBAL,
  MMUEXT.SET_LDT,
])

const op = new Uint32Array(6)
const vcpuMask = new Uint32Array(2)

/**
 * mmuext_op(ops, count, done*, foreign domain): what a kernel does with whole tables and with the TLB. Each operation
 * is {u32 command; u64 arg1; u64 arg2}. Batches stop at the first failure, and are put off like those of mmu_update. Xen:
 * do_mmuext_op().
 */
export function mmuextOp(call: Call): number {
  const { xen, domain: caller, port } = call
  const array = argVa(port, 0)
  const asked = arg32(port, 1)
  const count = asked & ~GOES_ON
  const done = argVa(port, 2)
  const before = asked === count ? 0 : doneBefore(port, done)
  const pageOwner = getPageOwner(xen, caller, arg32(port, 3) & 0xffff)
  if (pageOwner === null) return ESRCH
  if (xen.version.rules.policyForForeign && !mayActOn(caller, pageOwner)) return EPERM
  if (!isGuestRange(array, count * 24)) return EFAULT
  let rc = 0
  let i = 0
  for (; i < count; i++) {
    if (i > 0 && xen.work.isTooLong) {
      rc = continueWith(port, array + i * 24, ((count - i) | GOES_ON) >>> 0)
      break
    }
    xen.work.done += COST_NS.request
    if (!copyFromGuest(port, array + i * 24, op, 6)) {
      rc = EFAULT
      break
    }
    const command = op[0]
    const mfn = op[3] * 0x1_0000_0000 + op[2]
    rc = doOne(call, pageOwner, command, mfn)
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
  if (done !== 0) writeDone(port, done, before + i)
  return rc
}

function doOne(call: Call, pageOwner: Domain, command: number, mfn: number): number {
  const { xen, domain: caller, vcpu, port } = call
  if (xen.version.rules.ownOperations && caller !== pageOwner && OWN_OPERATIONS.has(command)) return EPERM
  switch (command) {
    case MMUEXT.PIN_L1_TABLE:
    case MMUEXT.PIN_L2_TABLE:
    case MMUEXT.PIN_L3_TABLE:
    case MMUEXT.PIN_L4_TABLE:
      return pinTable(xen, pageOwner, mfn, command + 1)
    case MMUEXT.UNPIN_TABLE:
      return unpinTable(xen, pageOwner, mfn)
    case MMUEXT.NEW_BASEPTR:
      return newBaseptr(call, mfn)
    case MMUEXT.NEW_USER_BASEPTR:
      return newUserBaseptr(call, mfn)
    case MMUEXT.TLB_FLUSH_MULTI:
    case MMUEXT.INVLPG_MULTI:
      if (!copyFromGuest(port, vaOf(op[4], op[5]), vcpuMask, 2)) return EINVAL
      // vcpumask_to_pcpumask(): every domain here has one vCPU.
      if ((vcpuMask[0] & 1) !== 0) flush(xen, port, command === MMUEXT.TLB_FLUSH_MULTI)
      return 0
    case MMUEXT.TLB_FLUSH_LOCAL:
    case MMUEXT.TLB_FLUSH_ALL:
      flush(xen, port, true)
      return 0
    case MMUEXT.INVLPG_LOCAL:
    case MMUEXT.INVLPG_ALL:
      flush(xen, port, false)
      return 0
    case MMUEXT.FLUSH_CACHE:
      if (caller.privileged) return 0
      xen.log('flushCache')
      return xen.version.errnos.flushCache
    case MMUEXT.FLUSH_CACHE_GLOBAL:
      if (caller.privileged) return 0
      xen.log('flushCacheGlobal')
      return xen.version.errnos.flushCacheGlobal
    case MMUEXT.SET_LDT:
      return setLdt(xen, vcpu, op[2], op[3], op[4])
    case MMUEXT.CLEAR_PAGE:
      return clearPage(xen, pageOwner, mfn)
    case MMUEXT.COPY_PAGE:
      return copyPage(xen, pageOwner, mfn, op[5] * 0x1_0000_0000 + op[4])
    case MMUEXT.MARK_SUPER:
    case MMUEXT.UNMARK_SUPER:
      return markSuper(xen, mfn, command === MMUEXT.MARK_SUPER)
    default:
      xen.log('mmuextCommand', { cmd: command })
      return ENOSYS
  }
}

/** Forget every translation, or that of the address in the request. */
function flush(xen: Hypervisor, port: Vcpu, all: boolean): void {
  if (all) xen.flushTlbs()
  else {
    const va = vaOf(op[2], op[3])
    if (va !== -1) xen.flushPage(port, va)
  }
}

/** Nothing can be marked as a superpage, for want of the option or of the operation. */
function markSuper(xen: Hypervisor, mfn: number, mark: boolean): number {
  if (!xen.version.rules.superpagesByOption) return EOPNOTSUPP
  if (mfn % 512 !== 0) {
    xen.log(mark ? 'superpageUnaligned' : 'superpageUnmarkUnaligned', { mfn })
    return EINVAL
  }
  xen.log(mark ? 'superpageOff' : 'superpageUnmarkOff')
  return ENOSYS
}

/** Take the page and type reference of a frame that a caller names: get_page_and_type_from_mfn(). Negative error, or 0. */
function getPageAndType(xen: Hypervisor, mfn: number, domain: Domain, code: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    xen.log('pageRef', { mfn })
    return EINVAL
  }
  const rc = getPageType(xen, mfn, record, code)
  if (rc !== 0) putPage(xen, mfn, record)
  return rc
}

/** MMUEXT_PIN_Ln_TABLE: one more type and page reference, held by the pinned bit until it is unpinned. */
function pinTable(xen: Hypervisor, domain: Domain, mfn: number, code: number): number {
  if (xen.version.rules.findsFramesQuietly) {
    // A frame that cannot be had at all is refused before pinning has begun, without its line.
    const record = xen.memory.record(mfn)
    if (record === -1 || !getPage(xen, mfn, record, domain)) return EINVAL
    putPage(xen, mfn, record)
  }
  const rc = getPageAndType(xen, mfn, domain, code)
  if (rc !== 0) {
    xen.log('pinning', { rc, mfn })
    return rc
  }
  const record = xen.memory.record(mfn)
  if (isPinned(xen, record)) {
    xen.log('alreadyPinned', { mfn })
    putPageAndType(xen, mfn, record)
    return EINVAL
  }
  xen.memory.u32[record] = (xen.memory.u32[record] | TYPE_PINNED) >>> 0
  return 0
}

function unpinTable(xen: Hypervisor, domain: Domain, mfn: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    xen.log('unpinOwner', { mfn, pg_owner: domain.id })
    return EINVAL
  }
  if (!isPinned(xen, record)) {
    putPage(xen, mfn, record)
    xen.log('notPinned', { mfn })
    return EINVAL
  }
  xen.memory.u32[record] = (xen.memory.u32[record] & ~TYPE_PINNED) >>> 0
  putPageAndType(xen, mfn, record)
  putPage(xen, mfn, record)
  return 0
}

/**
 * MMUEXT_NEW_BASEPTR: a new root for the kernel, new_guest_cr3(). The reference on the new one is taken before the old
 * one is given back. The LDT's pages go: where the new tables map it is another question.
 */
export function newBaseptr({ xen, domain: caller, vcpu, port }: Call, mfn: number): number {
  const old = port.root
  // The root is only loaded again.
  if (mfn === old && xen.version.rules.sameRootIsKept) return 0
  const rc = getPageAndType(xen, mfn, caller, TYPE_CODE.l4)
  if (rc !== 0) {
    xen.log('baseptr', { mfn })
    return xen.version.errnos.badRoot ?? rc
  }
  dropLdt(xen, vcpu)
  if (!xen.version.rules.m2pOnPromotion && !isM2pStrict(caller)) fillM2pSlot(xen, xen.memory.frameWords(mfn))
  port.root = mfn
  xen.flushTlbs()
  putPageAndType(xen, old, xen.memory.record(old))
  return 0
}

function newUserBaseptr({ xen, domain: caller, vcpu }: Call, mfn: number): number {
  const old = vcpu.userRoot
  if (mfn === old && xen.version.rules.sameRootIsKept) return 0
  if (mfn !== 0) {
    const rc = getPageAndType(xen, mfn, caller, TYPE_CODE.l4)
    if (rc !== 0) {
      xen.log('userBaseptr', { rc, mfn })
      return xen.version.errnos.badRoot ?? rc
    }
    // A strict guest's processes do not see the M2P: zap_ro_mpt().
    if (isM2pStrict(caller)) zapM2pSlot(xen, xen.memory.frameWords(mfn))
  }
  vcpu.userRoot = mfn
  if (old !== 0) putPageAndType(xen, old, xen.memory.record(old))
  return 0
}

/** MMUEXT_CLEAR_PAGE: zero a frame that can be had as writable. */
function clearPage(xen: Hypervisor, domain: Domain, mfn: number): number {
  if (getWritable(xen, mfn, domain) !== 0) {
    xen.log('clearing', { mfn })
    return EINVAL
  }
  xen.work.done += COST_NS.page
  xen.memory.clearFrame(mfn)
  putPageAndType(xen, mfn, xen.memory.record(mfn))
  return 0
}

/** MMUEXT_COPY_PAGE: copy any frame of the domain to one that can be had as writable. */
function copyPage(xen: Hypervisor, domain: Domain, to: number, from: number): number {
  const source = xen.memory.record(from)
  if (source === -1 || !getPage(xen, from, source, domain)) {
    if (!xen.version.rules.findsFramesQuietly) xen.log('pageRef', { mfn: from })
    xen.log('copyingFrom', { mfn: from })
    return EINVAL
  }
  let rc = 0
  if (getWritable(xen, to, domain) !== 0) {
    xen.log('copyingTo', { mfn: to })
    rc = EINVAL
  } else {
    xen.work.done += COST_NS.page
    const words = xen.memory.frameWords(from)
    xen.memory.u32.copyWithin(xen.memory.frameWords(to), words, words + PAGE / 4)
    putPageAndType(xen, to, xen.memory.record(to))
  }
  putPage(xen, from, source)
  return rc
}

function getWritable(xen: Hypervisor, mfn: number, domain: Domain): number {
  if (!xen.version.rules.findsFramesQuietly) return getPageAndType(xen, mfn, domain, TYPE_CODE.writable)
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return EINVAL
  const rc = getPageType(xen, mfn, record, TYPE_CODE.writable)
  if (rc !== 0) putPage(xen, mfn, record)
  return rc
}
