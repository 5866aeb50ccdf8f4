import { KEXEC } from '../abi.ts'
import type { Call } from '../call.ts'
import { answered, isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { arg32, argVa, giveWords, wordsAt } from './arguments.ts'
import { flat } from './flat.ts'

/** What kexec_op is asked for: a command, and where and what the range is that it is about. */
type Request = { readonly command: number; readonly at: number; readonly words: Uint32Array }

/** kexec_op(command, structure*): no memory was set aside for the kernel of a crash. Xen: do_kexec_op(). */
export const kexecOp = flat(read, apply)

function read(call: Call): Request | Refusal {
  const { xen, domain, port } = call
  if (!domain.privileged) return refused(xen, 'notAllowed', { domid: domain.id })
  const [command, at] = [arg32(port, 0), argVa(port, 1)]
  // {s32 range, s32 number, u64 size, u64 start}
  const words = wordsAt(call, at, command === KEXEC.get_range ? 2 : 0)
  return isRefusal(words) ? words : { command, at, words }
}

/** The range that was set aside; the others are about what a crash would leave. */
const CRASH = 0

function apply(call: Call, { command, at, words }: Request): number {
  const { xen } = call
  if (command !== KEXEC.get_range) return answered(xen, command, xen.version.abi.unknownKexec)
  if (words[0] !== CRASH) return refuse(xen, 'badArgument', { range: words[0] })
  return giveWords(call, at + 8, [0, 0, 0, 0])
}
