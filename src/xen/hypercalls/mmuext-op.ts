import { PAGE, vaOf } from '../../bits/address.ts'
import { EINVAL } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { MMUEXT } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import { isPinned, setPinned } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageOwner, mayActOn } from '../mm/foreign.ts'
import { getNamedPage, getPageAndType, putPageAndType } from '../mm/frame-type.ts'
import { copyFromGuest, isGuestRange } from '../mm/guest-copy.ts'
import { setLdt } from '../mm/ldt.ts'
import { getPage, putPage } from '../mm/references.ts'
import { newBaseptr, newUserBaseptr } from '../mm/roots.ts'
import { addFacts, isRefusal, passOn, refuse } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { arg32, argVa, wordsAt } from './arguments.ts'
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

const buffer = new Uint32Array(6)

/**
 * mmuext_op(ops, count, done*, foreign domain): what a kernel does with whole tables and with the TLB. Each operation
 * is {u32 command; u64 arg1; u64 arg2}. Batches stop at the first failure, and are put off like those of mmu_update: so Xen
 * reads each operation only when the one before it is carried out. Xen: do_mmuext_op().
 */
export function mmuextOp(call: Call): number {
  const { xen, domain: caller, port } = call
  const array = argVa(port, 0)
  const asked = arg32(port, 1)
  const count = asked & ~GOES_ON
  const done = argVa(port, 2)
  const before = asked === count ? 0 : doneBefore(port, done)
  const pageOwner = getPageOwner(xen, caller, arg32(port, 3) & 0xffff)
  if (isRefusal(pageOwner)) return pageOwner.errno
  if (xen.version.rules.policyForForeign && !mayActOn(caller, pageOwner)) {
    return refuse(xen, 'notAllowed', { domid: pageOwner.id })
  }
  if (!isGuestRange(array, count * 24)) return refuse(xen, 'unreadable', { va: array })
  let rc = 0
  let i = 0
  for (; i < count; i++) {
    if (i > 0 && xen.work.isTooLong) {
      rc = continueWith(port, array + i * 24, ((count - i) | GOES_ON) >>> 0)
      break
    }
    xen.work.done += COST_NS.request
    if (!copyFromGuest(port, array + i * 24, buffer, 6)) {
      rc = refuse(xen, 'unreadable', { va: array + i * 24 })
      break
    }
    const command = buffer[0]
    const mfn = buffer[3] * 0x1_0000_0000 + buffer[2]
    rc = doOne(call, pageOwner, buffer)
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

/** @param op words of the operation: command, padding, and two arguments of two halves each */
function doOne(call: Call, pageOwner: Domain, op: Uint32Array): number {
  const { xen, domain: caller, vcpu, port } = call
  const command = op[0]
  const lo = op[2]
  const hi = op[3]
  const mfn = hi * 0x1_0000_0000 + lo
  if (xen.version.rules.ownOperations && caller !== pageOwner && OWN_OPERATIONS.has(command)) {
    return refuse(xen, 'notAllowed', { domid: pageOwner.id })
  }
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
    case MMUEXT.INVLPG_MULTI: {
      const vcpus = wordsAt(call, vaOf(op[4], op[5]), 2)
      if (isRefusal(vcpus)) return addFacts(xen, {}, EINVAL)
      // vcpumask_to_pcpumask(): every domain here has one vCPU.
      if ((vcpus[0] & 1) === 0) return 0
      return command === MMUEXT.TLB_FLUSH_MULTI ? flushAll(xen) : flushPage(xen, port, lo, hi)
    }
    case MMUEXT.TLB_FLUSH_LOCAL:
    case MMUEXT.TLB_FLUSH_ALL:
      return flushAll(xen)
    case MMUEXT.INVLPG_LOCAL:
    case MMUEXT.INVLPG_ALL:
      return flushPage(xen, port, lo, hi)
    case MMUEXT.FLUSH_CACHE:
      return caller.privileged ? 0 : refuse(xen, 'flushCache')
    case MMUEXT.FLUSH_CACHE_GLOBAL:
      return caller.privileged ? 0 : refuse(xen, 'flushCacheGlobal')
    case MMUEXT.SET_LDT:
      return setLdt(xen, vcpu, lo, hi, op[4])
    case MMUEXT.CLEAR_PAGE:
      return clearPage(xen, pageOwner, mfn)
    case MMUEXT.COPY_PAGE:
      return copyPage(xen, pageOwner, mfn, op[5] * 0x1_0000_0000 + op[4])
    case MMUEXT.MARK_SUPER:
    case MMUEXT.UNMARK_SUPER:
      return markSuper(xen, mfn, command === MMUEXT.MARK_SUPER)
    default:
      return refuse(xen, 'mmuextCommand', { cmd: command })
  }
}

function flushAll(xen: Hypervisor): 0 {
  xen.flushTlbs()
  return 0
}

/** Forget the translation of an address, of which one that is not canonical has none. */
function flushPage(xen: Hypervisor, port: Vcpu, lo: number, hi: number): 0 {
  const va = vaOf(lo, hi)
  if (va !== -1) xen.flushPage(port, va)
  return 0
}

/** Nothing can be marked as a superpage, for want of the option or of the operation. */
function markSuper(xen: Hypervisor, mfn: number, mark: boolean): number {
  if (!xen.version.rules.superpagesByOption) return refuse(xen, 'superpages', { mfn })
  if (mfn % 512 !== 0) return refuse(xen, mark ? 'superpageUnaligned' : 'superpageUnmarkUnaligned', { mfn })
  return refuse(xen, mark ? 'superpageOff' : 'superpageUnmarkOff', { mfn })
}

/** MMUEXT_PIN_Ln_TABLE: one more type and page reference, held by the pinned bit until it is unpinned. */
function pinTable(xen: Hypervisor, domain: Domain, mfn: number, code: number): number {
  if (xen.version.rules.findsFramesQuietly) {
    // A frame that cannot be had at all is refused before pinning has begun, without its line.
    const record = xen.memory.record(mfn)
    if (record === -1 || !getPage(xen, mfn, record, domain)) return refuse(xen, 'noPage', { mfn })
    putPage(xen, mfn, record)
  }
  const rc = getNamedPage(xen, mfn, domain, code)
  if (rc !== 0) return passOn(xen, 'pinning', { rc, mfn })
  const record = xen.memory.record(mfn)
  if (isPinned(xen, record)) {
    putPageAndType(xen, mfn, record)
    return refuse(xen, 'alreadyPinned', { mfn })
  }
  setPinned(xen, record, true)
  return 0
}

function unpinTable(xen: Hypervisor, domain: Domain, mfn: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    return refuse(xen, 'unpinOwner', { mfn, pg_owner: domain.id })
  }
  if (!isPinned(xen, record)) {
    putPage(xen, mfn, record)
    return refuse(xen, 'notPinned', { mfn })
  }
  setPinned(xen, record, false)
  putPageAndType(xen, mfn, record)
  putPage(xen, mfn, record)
  return 0
}

/** MMUEXT_CLEAR_PAGE: zero a frame that can be had as writable. */
function clearPage(xen: Hypervisor, domain: Domain, mfn: number): number {
  if (getWritable(xen, mfn, domain) !== 0) return passOn(xen, 'clearing', { mfn }, EINVAL)
  xen.work.done += COST_NS.page
  xen.memory.clearFrame(mfn)
  putPageAndType(xen, mfn, xen.memory.record(mfn))
  return 0
}

/** MMUEXT_COPY_PAGE: copy any frame of the domain to one that can be had as writable. */
function copyPage(xen: Hypervisor, domain: Domain, to: number, from: number): number {
  const source = xen.memory.record(from)
  if (source === -1 || !getPage(xen, from, source, domain)) {
    refuse(xen, xen.version.rules.findsFramesQuietly ? 'noPage' : 'pageRef', { mfn: from })
    return passOn(xen, 'copyingFrom', { mfn: from })
  }
  let rc = 0
  if (getWritable(xen, to, domain) !== 0) rc = passOn(xen, 'copyingTo', { mfn: to }, EINVAL)
  else {
    xen.work.done += COST_NS.page
    const words = xen.memory.frameWords(from)
    xen.memory.u32.copyWithin(xen.memory.frameWords(to), words, words + PAGE / 4)
    putPageAndType(xen, to, xen.memory.record(to))
  }
  putPage(xen, from, source)
  return rc
}

function getWritable(xen: Hypervisor, mfn: number, domain: Domain): number {
  const get = xen.version.rules.findsFramesQuietly ? getPageAndType : getNamedPage
  return get(xen, mfn, domain, TYPE_CODE.writable)
}
