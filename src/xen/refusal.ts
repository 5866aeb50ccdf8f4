import {
  EACCES,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  ENOBUFS,
  ENODEV,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOSYS,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
} from '../bits/errno.ts'
import type { Fact, Facts, MessageId } from './console/messages.ts'
import type { Hypervisor } from './hypervisor.ts'
import type { Errnos } from './versions/errnos.ts'

/** What a guest is told: one number in all versions, or the name of the version's own. */
type Answer = number | keyof Errnos

/** Reasons that Xen prints a line about, in the words of data/xen-messages.json. */
const PRINTED = {
  // Entries of tables
  badL1Flags: EINVAL,
  badL2Flags: EINVAL,
  badL3Flags: EINVAL,
  badL4Flags: EINVAL,
  badL1FlagsMod: EINVAL,
  badL2FlagsMod: EINVAL,
  badL3FlagsMod: EINVAL,
  badL4FlagsMod: EINVAL,
  superpageFlag: EINVAL,
  xenSlotL4: EINVAL,
  otherOwner: EBUSY,
  gettingMfn: EBUSY,
  cacheOfHeap: EACCES,
  mmioDenied: EPERM,
  ptwrAccess: EINVAL,
  // Frames
  pageRef: EINVAL,
  badType: EINVAL,
  typeOverflow: EINVAL,
  steal: EINVAL,
  // Requests
  unknownDomain: ESRCH,
  itselfForeign: ESRCH,
  setForeign: ESRCH,
  setForeignDomain: ESRCH,
  normalUpdate: EINVAL,
  machphys: EINVAL,
  mmuCommand: ENOSYS,
  mmuextCommand: ENOSYS,
  alreadyPinned: EINVAL,
  notPinned: EINVAL,
  unpinOwner: EINVAL,
  setLdt: EINVAL,
  flushCache: 'flushCache',
  flushCacheGlobal: 'flushCacheGlobal',
  superpageUnaligned: EINVAL,
  superpageUnmarkUnaligned: EINVAL,
  superpageOff: ENOSYS,
  superpageUnmarkOff: ENOSYS,
  multicallReentry: EINVAL,
} as const satisfies Partial<Record<MessageId, Answer>>

/** Reasons without a line. */
const SILENT = {
  /** The guest's tables do not lead to the memory that it names, or not for stores. */
  unreadable: EFAULT,
  unwritable: EFAULT,
  /** A number that stands for nothing here. */
  unknownCommand: ENOSYS,
  notOffered: ENOSYS,
  unknownTableOwner: 'unknownTableOwner',
  noDomain: ESRCH,
  noVcpu: ENOENT,
  /** Only for domains with devices, or for the domain itself. */
  notAllowed: EPERM,
  /** A value that the argument cannot have. */
  badArgument: EINVAL,
  /** A frame that is no memory, or another's, or free. */
  noPage: EINVAL,
  /** All ones, by which guests write "no frame". */
  noFrame: EINVAL,
  /** A table one level above what is wanted, which a linear page table may name all the same. */
  linearType: EINVAL,
  badDescriptor: EINVAL,
  /** An entry of L2 to L4 for another domain's frame than the table's. */
  foreignUpper: EINVAL,
  /** A frame in use as something that is stored to by no hypercall. */
  notStorable: EINVAL,
  /** No L1 of the caller's own maps the address. */
  noL1: EINVAL,
  superpages: EOPNOTSUPP,
  /** The other end of an event channel is not there, or there already. */
  badPort: EINVAL,
  boundAlready: EEXIST,
  isUp: EEXIST,
  noPortLeft: ENOSPC,
  noWatchdog: ENOSPC,
  noPirqLeft: ENOSPC,
  /** A line that has another number, or had one; and one that Xen itself uses. */
  mappedAlready: EEXIST,
  lineOfXen: EBUSY,
  heldAlready: EBUSY,
  isProgrammed: EEXIST,
  noDevice: ENODEV,
  otherInterface: EACCES,
  noFirmware: ESRCH,
  lastCpu: EOPNOTSUPP,
  noRoom: ENOBUFS,
  outOfMemory: ENOMEM,
  debugRegister: 'debugRegister',
  vcpuInfoPlace: 'vcpuInfoPlace',
  vcpuInfoTwice: 'vcpuInfoTwice',
  lateTimer: 'lateTimer',
  areaPlace: ENXIO,
} as const satisfies Record<string, Answer>

const ANSWERS: Readonly<Record<Reason, Answer>> = { ...PRINTED, ...SILENT }

export type Reason = keyof typeof PRINTED | keyof typeof SILENT

export const REASONS = Object.keys(ANSWERS) as readonly Reason[]

/** What a refusal speaks of: `mfn`, `pfn`, `saw` and `exp`, `level`, `table` and `slot`, `flags` and so on, where there are such. */
export type RefusalFacts = Readonly<Record<string, Exclude<Fact, bigint>>>

/** Why Xen did not do what it was asked for: what stood in the way, what that was about, and what the guest is told. */
export class Refusal {
  readonly reason: Reason
  readonly facts: RefusalFacts
  /** Negative, as a hypercall returns it. */
  readonly errno: number

  constructor(reason: Reason, facts: RefusalFacts, errno: number) {
    this.reason = reason
    this.facts = facts
    this.errno = errno
  }
}

/** What the line of a reason prints must be given; of a reason without one, what there is to say. */
type FactsOf<R extends Reason> = R extends MessageId
  ? Facts<R> extends []
    ? [facts?: RefusalFacts]
    : [facts: Facts<R>[0] & RefusalFacts]
  : [facts?: RefusalFacts]

const NOTHING: RefusalFacts = {}

/**
 * Refuse: the version's line is printed, the refusal is what Xen refused last (`xen.refusal`), and its errno is returned.
 * This is the one place where a request begins to fail.
 */
export function refuse<R extends Reason>(xen: Hypervisor, reason: R, ...facts: FactsOf<R>): number {
  return refused(xen, reason, ...facts).errno
}

/** The same, for who hands the refusal on as a value. */
export function refused<R extends Reason>(xen: Hypervisor, reason: R, ...[facts]: FactsOf<R>): Refusal {
  if (reason in PRINTED) xen.print(reason as keyof typeof PRINTED, facts ?? NOTHING)
  const answer: Answer = ANSWERS[reason]
  const errno = typeof answer === 'string' ? (xen.version.errnos[answer] ?? EINVAL) : answer
  const refusal = new Refusal(reason, facts ?? NOTHING, errno)
  xen.refusal = refusal
  return refusal
}

/**
 * A refusal on its way to the guest: whoever asked for what was refused prints a line of its own. See `addFacts` for the rest.
 */
export function passOn<Id extends MessageId>(
  xen: Hypervisor,
  id: Id,
  facts: RefusalFacts & (Facts<Id> extends [] ? unknown : Facts<Id>[0]),
  errno: number | null = null,
): number {
  xen.print(id, facts)
  return addFacts(xen, facts, errno)
}

/**
 * Whoever asked for what was refused knows more of where it was, and may have another number for it. The reason, and what is
 * said of it already, stay.
 *
 * @param errno what the guest is told now, or null where that stays
 * @returns what it is told
 */
export function addFacts(xen: Hypervisor, facts: RefusalFacts, errno: number | null = null): number {
  const { refusal } = xen
  if (refusal === null) throw new Error('nothing was refused that more could be said of')
  const { reason, facts: known } = refusal
  xen.refusal = new Refusal(reason, { ...facts, ...known }, errno ?? refusal.errno)
  return xen.refusal.errno
}

/** A number that a table of the version has for an operation that is answered and not carried out. */
export function answered(xen: Hypervisor, command: number, answer: number): number {
  if (answer >= 0) return answer
  refuse(xen, 'notOffered', { cmd: command })
  return addFacts(xen, NOTHING, answer)
}

/** Whether what was read is no request, but why there is none. */
export function isRefusal(request: object): request is Refusal {
  return request instanceof Refusal
}

/** A frame whose type stood in the way of another, and the types that Xen saw and wanted, as the version prints them. */
export type TypeInTheWay = {
  readonly mfn: number
  readonly pfn: number
  readonly saw: string
  readonly exp: string
}

/** The frame whose type stood in the way, where that was the reason: what people ask about. */
export function typeInTheWay(refusal: Refusal | null): TypeInTheWay | null {
  return refusal?.reason === 'badType' ? (refusal.facts as TypeInTheWay) : null
}
