import type { Call } from '../call.ts'
import { isRefusal, type Refusal, refused } from '../refusal.ts'
import { wordsAt } from './arguments.ts'

/**
 * A flat hypercall: what it asks for is read, from registers and the guest's memory, or refused; and then it is done. What
 * the rules of frames and ports find only while it is done may refuse it there.
 */
export function flat<Request extends object>(
  read: (call: Call) => Request | Refusal,
  apply: (call: Call, request: Request) => number,
): (call: Call) => number {
  return (call) => {
    const request = read(call)
    return isRefusal(request) ? request.errno : apply(call, request)
  }
}

/** One of the operations of a hypercall, which its command names. */
export type Operation = {
  /** Words of its structure that are read; 0 when it has none. */
  readonly words: number
  /** Whether the version has it; left out, all have. */
  readonly isOffered?: (call: Call) => boolean
  /** Whether only dom0 may ask for it; what it asks for is read before that is said. */
  readonly isPrivileged?: true
  /** Do it: the result for the guest. */
  readonly apply: (call: Call, request: OperationRequest) => number
}

/** An operation that was asked for. */
export type OperationRequest = {
  readonly operation: Operation
  readonly command: number
  /** The structure's words, and where the guest has it: a 48-bit address, or -1. */
  readonly words: Uint32Array
  readonly at: number
}

/** Read which operation is asked for, and its structure at `at`. */
export function readOperation(
  call: Call,
  operations: ReadonlyMap<number, Operation>,
  command: number,
  at: number,
): OperationRequest | Refusal {
  const operation = operations.get(command)
  if (operation === undefined) return refused(call.xen, 'unknownCommand', { cmd: command })
  if (operation.isOffered?.(call) === false) return refused(call.xen, 'notOffered', { cmd: command })
  const words = wordsAt(call, at, operation.words)
  if (isRefusal(words)) return words
  if (operation.isPrivileged && !call.domain.privileged)
    return refused(call.xen, 'notAllowed', { cmd: command })
  return { operation, command, words, at }
}

/** Do what was read; 0 or more, or a negative error, as the hypercall returns it. */
export function applyOperation(call: Call, request: OperationRequest): number {
  return request.operation.apply(call, request)
}
