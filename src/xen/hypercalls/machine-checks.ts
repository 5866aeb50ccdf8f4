import { vaOf } from '../../bits/address.ts'
import { MCA, MCA_INTERFACE_VERSION } from '../abi.ts'
import type { Call } from '../call.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { argVa, giveWords, wordsAt } from './arguments.ts'
import { flat } from './flat.ts'

/** {u32 command, u32 version, u32 flags or count, u32, u64, u64}, of which this much is read. */
const WORDS = 8

type Request = { readonly words: Uint32Array; readonly at: number }

/** mca(structure*): machine checks, of which there are none, and the CPUs that could have some. Xen: do_mca(). */
export const machineChecks = flat(read, apply)

function read(call: Call): Request | Refusal {
  const { xen, domain, port } = call
  if (!domain.privileged) return refused(xen, 'notAllowed', { domid: domain.id })
  const at = argVa(port, 0)
  const words = wordsAt(call, at, WORDS)
  if (isRefusal(words)) return words
  if (words[1] !== MCA_INTERFACE_VERSION) return refused(xen, 'otherInterface', { version: words[1] })
  return { words, at }
}

function apply(call: Call, request: Request): number {
  const command = request.words[0]
  if (command === MCA.fetch) return fetch(call, request)
  if (command === MCA.physcpuinfo) return countCpus(call, request)
  return refuse(call.xen, 'badArgument', { cmd: command })
}

const [ONE_URGENCY, NO_DATA] = [[1, 2], 2]

/** {u32 flags, u32, u64 id, u64 data*}: there is nothing to fetch. */
function fetch(call: Call, { words, at }: Request): number {
  const isAsked = ONE_URGENCY.includes(words[2]) && (words[6] !== 0 || words[7] !== 0)
  return isAsked ? giveWords(call, at + 8, [NO_DATA, 0, 0, 0]) : refuse(call.xen, 'badArgument')
}

/** Words of a CPU's record, and those that say something here: its number, and how many cores and threads it has. */
const CPU_WORDS = 76
const [CORES, ACTIVE_CORES, THREADS] = [5, 6, 7]

/** {u32 count, u32, u64 records*}: how many CPUs, and of as many as there is room for their records, which say little. */
function countCpus(call: Call, { words, at }: Request): number {
  const cpus = call.domain.vcpus.length
  const to = vaOf(words[4], words[5])
  if (to === 0) return giveWords(call, at + 8, [cpus])
  if (words[2] === 0 || words[2] > 0x7fff_ffff) return refuse(call.xen, 'badArgument', { count: words[2] })
  const count = Math.min(cpus, words[2])
  for (let cpu = 0; cpu < count; cpu++) {
    const record = new Uint32Array(CPU_WORDS)
    record[0] = cpu
    record[CORES] = record[ACTIVE_CORES] = record[THREADS] = 1
    const rc = giveWords(call, to + cpu * CPU_WORDS * 4, record)
    if (rc !== 0) return rc
  }
  return giveWords(call, at + 8, [count])
}
