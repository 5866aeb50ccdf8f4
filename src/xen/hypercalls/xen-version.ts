import { PAGE, REGION, vaHigh } from '../../bits/address.ts'
import { EFAULT, EINVAL, ENOBUFS, ENOSYS, EPERM } from '../../bits/errno.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { VM_ASSIST, XENVER } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyByteToGuest, copyFromGuest, copyToGuest } from '../mm/guest-copy.ts'
import { arg32, argVa } from './arguments.ts'

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
export function xenVersionCall({ xen, domain: caller, port }: Call): number {
  const argument = argVa(port, 1)
  const give = (words: ArrayLike<number>): number =>
    copyToGuest(port, argument, words, words.length) ? 0 : EFAULT
  const { abi } = xen.version
  switch (arg32(port, 0)) {
    case XENVER.version:
      return abi.version
    case XENVER.extraversion:
      return give(texts([abi.extraversion, EXTRA_BYTES]))
    case XENVER.compile_info: {
      const { compiler, by, domain, date } = COMPILE_BYTES
      return give(texts(['xenolith', compiler], ['', by], ['', domain], ['', date]))
    }
    case XENVER.capabilities:
      return give(texts([abi.capabilities, CAPABILITIES_BYTES]))
    case XENVER.changeset:
      return give(texts([abi.changeset, CHANGESET_BYTES]))
    case XENVER.platform_parameters:
      return give([REGION.xenStart >>> 0, vaHigh(REGION.xenStart)])
    case XENVER.get_features: {
      const head = new Uint32Array(1)
      if (!copyFromGuest(port, argument, head, 1)) return EFAULT
      // There is one word of them.
      if (head[0] !== 0) return EINVAL
      return copyToGuest(port, argument + 4, [features(xen, caller)], 1) ? 0 : EFAULT
    }
    case XENVER.pagesize:
      return PAGE
    case XENVER.guest_handle:
      return give([0, 0, 0, 0])
    case XENVER.commandline:
      return give(texts([abi.deniesCommandLine && !caller.privileged ? '<denied>' : '', COMMAND_LINE_BYTES]))
    case XENVER.build_id:
      if (!abi.hasBuildId) return ENOSYS
      // Of a build that is none it is all zeros.
      return caller.privileged ? giveBytes(port, argument, new Uint8Array(BUILD_ID_BYTES)) : EPERM
    default:
      return abi.hasLongTexts ? longText(xen, caller, port, argument, arg32(port, 0)) : ENOSYS
  }
}

/** Texts of any length, without the zero at their end: xenver_varbuf_op(). */
function longText(xen: Hypervisor, caller: Domain, port: Vcpu, argument: number, command: number): number {
  const { abi } = xen.version
  switch (command) {
    case XENVER.extraversion2:
      return giveBytes(port, argument, bytesOf(abi.extraversion))
    case XENVER.capabilities2:
      return giveBytes(port, argument, bytesOf(abi.capabilities))
    case XENVER.changeset2:
      return giveBytes(port, argument, bytesOf(abi.changeset))
    case XENVER.commandline2:
      return caller.privileged ? giveBytes(port, argument, new Uint8Array(0)) : EPERM
    default:
      return ENOSYS
  }
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** {u32 room, bytes}: how many bytes there are, which are written where there is an address and room. */
function giveBytes(port: Vcpu, argument: number, bytes: Uint8Array): number {
  if (argument === 0) return bytes.length
  const room = new Uint32Array(1)
  if (!copyFromGuest(port, argument, room, 1)) return EFAULT
  if (room[0] === 0) return EINVAL
  if (room[0] < bytes.length) return ENOBUFS
  for (const [i, byte] of bytes.entries()) if (!copyByteToGuest(port, argument + 4 + i, byte)) return EFAULT
  return bytes.length
}
