import { vaOf } from '../../bits/address.ts'
import { DOMID } from '../../bits/domid.ts'
import { GNTTABOP } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { arg32, argVa, giveWords, wordsAt } from './arguments.ts'
import { continueWith } from './continuation.ts'
import { applyOperation, flat, type Operation, type OperationRequest, readOperation } from './flat.ts'

/** Statuses that an operation finds in its structure. */
const STATUS = { okay: 0, general_error: -1, bad_domain: -2, bad_handle: -4 } as const

/**
 * grant_table_op(command, structures*, count): the table with which a domain lets others use its pages. It can be set up
 * in version 1; there is nobody whose grants could be mapped. Lists of grants to map are answered one after the other, and
 * put off between two, so those before one that cannot be read have their status. Xen: do_grant_table_op().
 */
export const grantTableOp = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  const { xen, port } = call
  const [command, count] = [arg32(port, 0), arg32(port, 2)]
  if (SINGLE.has(command) && count !== 1) return refused(xen, 'badArgument', { count })
  return readOperation(call, OPERATIONS, command, argVa(port, 1))
}

/** Operations that take one structure. */
const SINGLE: ReadonlySet<number> = new Set([GNTTABOP.setup_table, GNTTABOP.query_size])

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  // {u16 domain, u32 frames, out s16 status, u64 list*}
  [GNTTABOP.setup_table, { words: 6, apply: setupTable }],
  // {u16 domain, out u32 frames, u32 most, s16 status}
  [GNTTABOP.query_size, { words: 0, apply: querySize }],
  // {u32 version}
  [GNTTABOP.set_version, { words: 1, apply: setVersion }],
  // {u16 domain, out u32 version}
  [GNTTABOP.get_version, { words: 0, apply: (call, { at }) => giveWords(call, at + 4, [1]) }],
  // Bytes of the structures, and where in them the status is.
  [
    GNTTABOP.map_grant_ref,
    { words: 0, apply: (call) => putStatus(call, { bytes: 32, offset: 18, status: STATUS.bad_domain }) },
  ],
  [
    GNTTABOP.unmap_grant_ref,
    { words: 0, apply: (call) => putStatus(call, { bytes: 24, offset: 20, status: STATUS.bad_handle }) },
  ],
])

function querySize(call: Call, { at }: OperationRequest): number {
  const { xen, domain } = call
  const frames = Math.max(1, domain.grantFrames.length)
  return giveWords(call, at + 4, [frames, xen.version.abi.grantFrames, STATUS.okay])
}

/** As with gnttab=max-ver:1 on Xen's command line: guests that want the second version make do with the first. */
function setVersion({ xen }: Call, { words: [version] }: OperationRequest): number {
  if (version === 1) return 0
  return refuse(xen, version === 2 ? 'notOffered' : 'badArgument', { version })
}

/** The frames of the table, of which there may be more each time. */
function setupTable(call: Call, { words, at }: OperationRequest): number {
  const { xen, domain: caller } = call
  const [id, wanted] = [words[0] & 0xffff, words[1]]
  const status = (code: number): number => giveWords(call, at + 8, [code & 0xffff])
  if (id !== DOMID.SELF && id !== caller.id) return status(STATUS.bad_domain)
  if (wanted > xen.version.abi.grantFrames) return status(STATUS.general_error)
  const frames = grantFrames(xen, caller, wanted)
  const list = vaOf(words[4], words[5])
  for (let i = 0; i < wanted; i++) {
    const rc = giveWords(call, list + i * 8, [frames[i], 0])
    if (rc !== 0) return rc
  }
  return status(STATUS.okay)
}

/** The frames of a domain's grant table, at least `count` of them: Xen's own, shared with the guest. */
export function grantFrames(xen: Hypervisor, domain: Domain, count: number): readonly number[] {
  while (domain.grantFrames.length < count) {
    domain.grantFrames.push(xen.allocateXenFrame(domain.owner))
  }
  return domain.grantFrames
}

/** The same status for every one of the operations, as the half of a word at an offset of each structure. */
function putStatus(
  call: Call,
  { bytes, offset, status }: { readonly bytes: number; readonly offset: number; readonly status: number },
): number {
  const { xen, port } = call
  const [argument, count] = [argVa(port, 1), arg32(port, 2)]
  for (let i = 0; i < count; i++) {
    if (i > 0 && xen.work.isTooLong) {
      return continueWith(port, arg32(port, 0), argument + i * bytes, count - i)
    }
    xen.work.done += COST_NS.request
    // The other half of the word stays.
    const at = argument + i * bytes + offset
    const shift = (at & 2) * 8
    const words = wordsAt(call, at - (at & 2), 1)
    if (isRefusal(words)) return words.errno
    const rc = giveWords(call, at - (at & 2), [
      (words[0] & ~(0xffff << shift)) | ((status & 0xffff) << shift),
    ])
    if (rc !== 0) return rc
  }
  return 0
}
