import { hex64 } from '../../bits/address.ts'
import { DOMID } from '../../bits/domid.ts'
import { errnoName } from '../../bits/errno.ts'
import { flagNames, PTE_FLAGS } from '../../bits/pte.ts'
import { directMapPfn, kasanShadowed, regionOf } from './regions.ts'

/** Words of a log that mean something on sight. All take and give text, as printed: hexadecimal without 0x. */

/** An entry: its frame and the names of its flags. */
export type PteReading = { readonly mfn: string; readonly flags: string; readonly present: boolean }

/** An entry of a page table as a log writes it, in hex or with a frame's name; undefined for anything else. */
export function readPte(word: string): PteReading | undefined {
  // A transcript names frames: `<A|0x167>` is the frame A with these flags.
  const named = /^<([^|<>]+)\|0x([0-9a-f]+)>$/.exec(word)
  if (named) {
    const flags = readPte(named[2])
    return flags && { ...flags, mfn: `<${named[1]}>` }
  }
  if (!/^[0-9a-f]{1,16}$/.test(word)) return undefined
  const bits = BigInt(`0x${word}`)
  const [lo, hi] = [Number(bits & 0xffffffffn), Number(bits >> 32n)]
  return {
    mfn: ((bits >> 12n) & 0xffffffffffn).toString(16),
    flags: flagNames(lo, hi),
    present: (lo & 1) === 1,
  }
}

/** The flags of an entry in Xen's fold of 24 bits (`Bad L1 flags 800000`), by name: bits 12..23 are bits 52..63. */
export function readFoldedFlags(
  word: string,
): readonly { readonly name: string; readonly bit: number; readonly meaning: string }[] {
  const bits = Number.parseInt(word, 16)
  if (!Number.isSafeInteger(bits) || bits > 0xffffff) return []
  const result: { name: string; bit: number; meaning: string }[] = []
  for (let i = 0; i < 24; i++) {
    if (((bits >>> i) & 1) === 0) continue
    const bit = i < 12 ? i : i + 40
    const known = PTE_FLAGS.find((flag) => flag.bit === bit)
    result.push(known ?? { name: `bit ${bit}`, bit, meaning: 'available to software, or reserved' })
  }
  return result
}

/** Values that somebody put there on purpose. */
const POISON: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [/^5{16}$/, "the M2P's mark of a frame that has no pfn"],
  [/^f{16}$/, 'no M2P entry: the frame is not RAM or not there'],
  [/^(?:aa){4,8}$/, "0xAA: Linux's multicall buffer after a flush; its arguments are gone"],
  [/^deadbeefdeadf00d$/, 'Xen clobbers hypercall arguments with it in debug builds'],
  [/^(?:00000000)?deadbeef$/, 'Xen clobbers hypercall arguments with it in debug builds'],
  [/^(?:6b){4,8}$/, 'freed slab memory (POISON_FREE)'],
  [/^dead0000000001[0-9a-f]{2}$/, 'a list entry that was removed (LIST_POISON)'],
  [/^(?:cc){4,8}$/, 'breakpoint filling or freed init memory'],
  [/^a5a5a5a5/, 'poisoned memory (PAGE_POISON, Xen scrub)'],
]

/** What fills memory with such words, if something is known to. */
export function poisonMeaning(word: string): string | undefined {
  return POISON.find(([pattern]) => pattern.test(word))?.[1]
}

/** `-EINVAL` of a 64-bit or 32-bit register; small negatives only. */
export function errnoOf(word: string): string | undefined {
  const bits = BigInt(`0x${word || '0'}`)
  const negative = bits >> 32n === 0n ? BigInt.asIntN(32, bits) : BigInt.asIntN(64, bits)
  if (negative >= 0n || negative < -133n) return undefined
  const name = errnoName(Number(negative))
  return name === undefined ? undefined : `-${name}`
}

/** `-22` of a message or a result. */
export function errnoText(code: number): string {
  const name = errnoName(code)
  return name === undefined || code >= 0 ? String(code) : `${code} (${name})`
}

/** A domain id by its number, with what the special ones are. */
export function domainText(id: string): string {
  const number = Number(id)
  if (number === DOMID.IO) return `${id} (0x7ff1, DOMID_IO: memory-mapped I/O, owned by no guest)`
  if (number === DOMID.XEN) return `${id} (0x7ff2, DOMID_XEN: Xen's own pages)`
  if (number === DOMID.COW) return `${id} (0x7ff3, DOMID_COW: pages shared copy-on-write)`
  if (number === DOMID.INVALID) return `${id} (0x7ff4, DOMID_INVALID: nobody)`
  if (number === DOMID.SELF) return `${id} (0x7ff0, DOMID_SELF: the caller)`
  if (number === -1) return '-1 (nobody: the frame has no owner)'
  return `d${id}`
}

/** Hypercalls by number, as multicall dumps print them: Xen's public/xen.h. */
const HYPERCALLS: Readonly<Record<string, string>> = {
  '0': 'set_trap_table',
  '1': 'mmu_update',
  '2': 'set_gdt',
  '3': 'stack_switch',
  '5': 'fpu_taskswitch',
  '10': 'update_descriptor',
  '12': 'memory_op',
  '13': 'multicall',
  '14': 'update_va_mapping',
  '20': 'grant_table_op',
  '22': 'update_va_mapping_otherdomain',
  '23': 'iret',
  '25': 'set_segment_base',
  '26': 'mmuext_op',
  '29': 'sched_op',
  '32': 'event_channel_op',
}

/** The hypercall of a decimal number, by its name in Xen's interface where it has one. */
export function hypercallName(op: string): string {
  const name = HYPERCALLS[op]
  if (name !== undefined) return name
  // 0xaaaaaaaaaaaaaaaa as a decimal number.
  return op === '12297829382473034410' ? 'overwritten with 0xAA' : `hypercall ${op}`
}

/** What an address of a register or a message is: its region, and of the direct map the pfn. */
export function readAddress(word: string): string | undefined {
  if (!/^[0-9a-f]{16}$/.test(word)) return undefined
  const address = BigInt(`0x${word}`)
  const region = regionOf(address)
  if (region === undefined || address < 0xffff800000000000n) return region?.name
  const pfn = directMapPfn(address)
  if (pfn !== undefined) return `${region.name}: pfn ${pfn.toString(16)}`
  if (region.name === 'the KASAN shadow') return `the KASAN shadow of ${hexOf(kasanShadowed(address))}`
  return region.name
}

/** The low 64 bits of a value, as hex digits. */
export function hexOf(value: bigint): string {
  return hex64(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))
}
