import { PAGE, REGION, vaHigh } from '../../bits/address.ts'
import { VM_ASSIST, XENVER } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyByteToGuest } from '../mm/guest-copy.ts'
import { isRefusal, type Refusal, refuse } from '../refusal.ts'
import type { Abi } from '../versions/abi.ts'
import { arg32, argVa, giveWords, wordsAt } from './arguments.ts'
import { applyOperation, flat, type Operation, type OperationRequest, readOperation } from './flat.ts'

/** Bits of the first feature word that every version has: what this kind of guest can rely on. */
const FEATURE = {
  pae_pgdir_above_4gb: 4,
  mmu_pt_update_preserve_ad: 5,
  highmem_assist: 6,
  gnttab_map_avail_bits: 7,
} as const

function features(xen: Hypervisor, domain: Domain): number {
  const { abi } = xen.version
  const { mmu_pt_update_preserve_ad, highmem_assist, gnttab_map_avail_bits, pae_pgdir_above_4gb } = FEATURE
  const bits: number[] = [
    mmu_pt_update_preserve_ad,
    highmem_assist,
    gnttab_map_avail_bits,
    ...abi.features,
    ...(domain.privileged ? abi.dom0Features : []),
  ]
  const hasAssist = (domain.assist & (1 << VM_ASSIST.pae_extended_cr3)) !== 0
  if (hasAssist || (domain.privileged && abi.paeByNote)) bits.push(pae_pgdir_above_4gb)
  return bits.reduce((word, bit) => word | (1 << bit), 0)
}

/** Lengths in bytes of the texts, which are filled up with zeros. */
const EXTRA_BYTES = 16
const COMPILE_BYTES = { compiler: 64, by: 16, domain: 32, date: 32 }
const CAPABILITIES_BYTES = 1024
const CHANGESET_BYTES = 64
const COMMAND_LINE_BYTES = 1024
const BUILD_ID_BYTES = 20

/** Words of texts one behind the other, each with room for a number of bytes. */
function texts(...parts: readonly (readonly [text: string, bytes: number])[]): Uint32Array {
  const bytes = new Uint8Array(parts.reduce((sum, [, room]) => sum + room, 0))
  let at = 0
  for (const [text, room] of parts) {
    for (let i = 0; i < Math.min(text.length, room - 1); i++) bytes[at + i] = text.charCodeAt(i)
    at += room
  }
  return new Uint32Array(bytes.buffer)
}

/**
 * xen_version(command, argument*): which Xen this is and what it offers. What only dom0 may know reads as `<denied>`.
 * Xen: do_xen_version().
 */
export const xenVersionCall = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  return readOperation(call, OPERATIONS, arg32(call.port, 0), argVa(call.port, 1))
}

/** An operation that gives a text of a fixed length. */
function text(bytes: number, of: (call: Call) => string): Operation {
  return { words: 0, apply: (call, { at }) => giveWords(call, at, texts([of(call), bytes])) }
}

/** One that gives a text of any length, without the zero at its end: xenver_varbuf_op(). */
function longText(of: (abi: Abi) => string): Operation {
  return {
    words: 0,
    apply: (call, { at }) => giveBytes(call, at, bytesOf(of(call.xen.version.abi))),
    isOffered: hasLongTexts,
  }
}

const hasLongTexts = ({ xen }: Call): boolean => xen.version.abi.hasLongTexts

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [XENVER.version, { words: 0, apply: ({ xen }) => xen.version.abi.version }],
  [XENVER.extraversion, text(EXTRA_BYTES, ({ xen }) => xen.version.abi.extraversion)],
  [XENVER.compile_info, { words: 0, apply: compileInfo }],
  [XENVER.capabilities, text(CAPABILITIES_BYTES, ({ xen }) => xen.version.abi.capabilities)],
  [XENVER.changeset, text(CHANGESET_BYTES, ({ xen }) => xen.version.abi.changeset)],
  [
    XENVER.platform_parameters,
    {
      words: 0,
      apply: (call, { at }) => giveWords(call, at, [REGION.xenStart >>> 0, vaHigh(REGION.xenStart)]),
    },
  ],
  // {u32 index, out u32 word}
  [XENVER.get_features, { words: 1, apply: getFeatures }],
  [XENVER.pagesize, { words: 0, apply: () => PAGE }],
  [XENVER.guest_handle, { words: 0, apply: (call, { at }) => giveWords(call, at, [0, 0, 0, 0]) }],
  [XENVER.commandline, text(COMMAND_LINE_BYTES, commandLine)],
  [
    XENVER.build_id,
    // Of a build that is none it is all zeros.
    {
      words: 0,
      apply: (call, { at }) => forDom0(call, at, new Uint8Array(BUILD_ID_BYTES)),
      isOffered: ({ xen }) => xen.version.abi.hasBuildId,
    },
  ],
  [XENVER.extraversion2, longText((abi) => abi.extraversion)],
  [XENVER.capabilities2, longText((abi) => abi.capabilities)],
  [XENVER.changeset2, longText((abi) => abi.changeset)],
  [
    XENVER.commandline2,
    { words: 0, apply: (call, { at }) => forDom0(call, at, new Uint8Array(0)), isOffered: hasLongTexts },
  ],
])

function compileInfo(call: Call, { at }: OperationRequest): number {
  const { compiler, by, domain, date } = COMPILE_BYTES
  return giveWords(call, at, texts(['xenolith', compiler], ['', by], ['', domain], ['', date]))
}

function getFeatures(call: Call, { words: [index], at }: OperationRequest): number {
  // There is one word of them.
  if (index !== 0) return refuse(call.xen, 'badArgument', { index })
  return giveWords(call, at + 4, [features(call.xen, call.domain)])
}

function commandLine({ xen, domain }: Call): string {
  return xen.version.abi.deniesCommandLine && !domain.privileged ? '<denied>' : ''
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function forDom0(call: Call, at: number, bytes: Uint8Array): number {
  const { xen, domain } = call
  return domain.privileged ? giveBytes(call, at, bytes) : refuse(xen, 'notAllowed', { domid: domain.id })
}

/** {u32 room, bytes}: how many bytes there are, which are written where there is an address and room. */
function giveBytes(call: Call, at: number, bytes: Uint8Array): number {
  const { xen, port } = call
  if (at === 0) return bytes.length
  const words = wordsAt(call, at, 1)
  if (isRefusal(words)) return words.errno
  const [room] = words
  if (room === 0) return refuse(xen, 'badArgument', { room })
  if (room < bytes.length) return refuse(xen, 'noRoom', { room })
  for (const [i, byte] of bytes.entries()) {
    const va = at + 4 + i
    if (!copyByteToGuest(port, va, byte)) return refuse(xen, 'unwritable', { va })
  }
  return bytes.length
}
