import { plainHex } from './message-table.ts'
import type { At, GuestBugRecord, GuestFaultRecord, GuestLineRecord, MulticallEntry } from './records.ts'

/**
 * The guest's lines: Linux's reports, and the lines that say how far a boot had come. Other kernels' panics are told by
 * what they say themselves.
 */

/** `1 of 2 multicall(s) failed: cpu 0`; before 2.6.3x without the total. */
const MULTICALL_HEAD = /(?<!\d)(\d+)(?: of (\d+))? multicall\(s\) failed/
/** `call  3/3: op=26 arg=[c1808860] result=-22`, `call  1: op=1 result=-1 caller=… pars=… args=9ba37a678 80000000feec2073`. */
const MULTICALL_CALL = /\bcall\s+(\d+)(?:\/(\d+))?:\s+op=(\d+)\s(.*)/
const ARG_LIST = /\barg=\[([0-9a-f ]+)\]|\bargs=([0-9a-f ]+)/

export type MulticallHead = { readonly failed: number; readonly of?: number }

/** The line that says how many calls of a batch failed. Linux: arch/x86/xen/multicalls.c. */
export function multicallHead(text: string): MulticallHead | undefined {
  const match = MULTICALL_HEAD.exec(text)
  if (match === null) return undefined
  return { failed: Number(match[1]), ...(match[2] === undefined ? {} : { of: Number(match[2]) }) }
}

/** The line of one call of such a batch. */
export function multicallEntry(text: string, at: At): MulticallEntry | undefined {
  const match = MULTICALL_CALL.exec(text)
  if (match === null) return undefined
  const [, index, of, op, rest] = match
  const result = /\bresult=(-?\d+)/.exec(rest)?.[1]
  if (result === undefined) return undefined
  const args = ARG_LIST.exec(rest)
  const caller = /\bcaller=(\S+)/.exec(rest)?.[1]
  return {
    ...at,
    index: Number(index),
    ...(of === undefined ? {} : { of: Number(of) }),
    op,
    result: Number(result),
    args: (args?.[1] ?? args?.[2] ?? '').trim().split(/\s+/).filter(Boolean),
    ...(caller === undefined ? {} : { caller: caller.replace(/\+0x.*/, '') }),
  }
}

const FAULT =
  /BUG: unable to handle (?:kernel )?(?:page fault|paging request|NULL pointer dereference)(?: for address:| at(?: virtual address)?:?)?\s*(?:0x)?([0-9a-fA-F]{8,16})?/
const OOPS = /\bOops:\s*([0-9a-f]{4})\b/
/** `#PF: error_code(0x0003) - permissions violation`, Linux since 5.0. */
const PF_CODE = /#PF: error_code\(0x([0-9a-f]{4})\)/
const BUG = /kernel BUG at (\S+?:\d+)!/
const WARNING = /WARNING:(?: CPU: \d+ PID: \d+)? at (\S+:\w+)(?: ([A-Za-z_]\w*))?/
const PANIC = /Kernel panic - not syncing: |^panic(?:\[|:| )|\bpanic: /

/** The line that begins the oops of a page fault; its address, if it says one. */
export function guestFault(text: string, at: At): GuestFaultRecord | undefined {
  const fault = FAULT.exec(text)
  if (fault === null) return undefined
  return {
    kind: 'guest-fault',
    ...at,
    ...(fault[1] === undefined ? {} : { address: plainHex(fault[1]).padStart(16, '0') }),
  }
}

/** The page-fault error code of an oops; it belongs to the fault before it. */
export function oopsCode(text: string): number | undefined {
  const code = PF_CODE.exec(text)?.[1] ?? OOPS.exec(text)?.[1]
  return code === undefined ? undefined : Number.parseInt(code, 16)
}

/** A kernel's BUG, WARNING or panic. */
export function guestBug(text: string, at: At): GuestBugRecord | undefined {
  const bug = BUG.exec(text)
  if (bug) return { kind: 'guest-bug', ...at, what: 'bug', place: bug[1] }
  const warning = WARNING.exec(text)
  if (warning) {
    return {
      kind: 'guest-bug',
      ...at,
      what: 'warning',
      place: warning[1],
      ...(warning[2] === undefined ? {} : { symbol: warning[2] }),
    }
  }
  return PANIC.test(text) ? { kind: 'guest-bug', ...at, what: 'panic' } : undefined
}

/**
 * ` [<c030c17a>] ? printk+0x18/0x1e`, ` xen_alloc_pte+0x294/0x320`, `RIP: e030:xen_mc_flush+0x1e8/0x2b0`,
 * `EIP is at xen_release_pt+0x79/0xa9`, `xen_get_user_pgd+0x5a  <--`, Xen's `[<ffff82d0402fc522>] F put_page_from_l1e+0x129/0x13e`.
 */
const FRAME =
  /(?:^|[\s\]:])(?:\?\s+|[FRS]\s+)?([A-Za-z_][\w.]*(?:#\w+)?)\+0x[0-9a-f]+(?:\/0x[0-9a-f]+)?(?=\s|$|[:)\]])/

/** The function of a line of a call trace. */
export function calledFunction(text: string): string | undefined {
  return FRAME.exec(text)?.[1]
}

/** Lines that say where in its life a guest or a host was, and what it runs on. */
const MARKS: readonly (readonly [mark: string, pattern: RegExp])[] = [
  // Linux under Xen, in the order of a boot.
  ['mapping-kernel', /mapping kernel into physical memory/],
  ['about-to-start', /about to get started/],
  ['linux-version', /Linux version (?<version>\d+\.\d+\S*)/],
  ['command-line', /(?:Kernel c|C)ommand line:\s*(?<line>.*)/],
  ['e820-heading', /BIOS-provided physical RAM map|(?<who>Xen-e820|EFI|Xen) RAM map:/],
  [
    'paravirtual',
    /Booting paravirtualized kernel (?:with \S+ )?on (?<what>Xen(?: PV\w*| HVM)?|bare hardware|KVM)/,
  ],
  ['hypervisor', /Hypervisor detected: (?<what>\S+(?: \S+)?)/],
  [
    'early-tables',
    /kernel direct mapping tables up to (?<upTo>[0-9a-f]+) @ (?:\[mem 0x)?(?<start>[0-9a-f]+)-(?:0x)?(?<end>[0-9a-f]+)/,
  ],
  ['writable-again', /setting RW the range (?<from>[0-9a-f]+) - (?<to>[0-9a-f]+)/],
  ['init-memory-mapping', /init_memory_mapping: (?<range>.*)/],
  ['memory', /Memory: \d+k\/\d+k available|Memory: \d+K\/\d+K available/],
  ['freeing-kernel-memory', /Freeing unused (?:kernel|decrypted|initmem)|Write protecting the kernel/],
  ['init', /Run \/\w*init as init process|VFS: Mounted root|systemd\[1\]|INIT: version/],
  ['modules', /Modules linked in:/],
  ['kstop', /comm: (?:kstop|suspend|xen-?suspend|migration)/],
  ['comm', /comm: (?<comm>\S+)/],
  // Xen's domain builder.
  ['dom0-kernel', /Dom0 kernel:[^:]*paddr (?<from>0x[0-9a-f]+) -> (?<to>0x[0-9a-f]+)/],
  ['loaded-kernel', /Loaded kernel:\s+(?<from>[0-9a-f]+)->(?<to>[0-9a-f]+)/],
  ['page-tables', /Page tables:\s+(?<from>[0-9a-f]+)->(?<to>[0-9a-f]+)/],
  ['boot-stack', /Boot stack:\s+(?<from>[0-9a-f]+)->(?<to>[0-9a-f]+)/],
  ['total', /TOTAL:\s+(?<from>[0-9a-f]+)->(?<to>[0-9a-f]+)/],
  ['dom0-halted', /(?:Hardware Dom0|Domain 0) (?:halted|shutdown)/],
  ['xen-guest-loglevel', /Guest Loglevel: (?<level>.*)/],
  // What Linux says when its layout does not fit the host's map, since 4.3 and 6.12.
  [
    'e820-conflict',
    /(?:allocated|kernel|p2m|page tables|start info) .{0,80}conflicts? with E820|conflicts with E820/,
  ],
  ['remapped', /Remapped? (?:physical page range|non-?RAM|\d+ page)|non-RAM .{0,80}remapped/i],
  // Where a log was cut by whoever pasted it.
  ['cut', /^\s*(?:(?:\.{3,}|\[\.\.\.\]|\[snip\]|<snip>|\[truncated\]|\u2026)\s*$|--+\s*(?:cut|snip))/i],
  ['suppressed', /printk: (?<n>\d+) messages suppressed|callbacks suppressed/],
]

/** The mark that a line is, if any. */
export function guestMark(text: string, at: At): GuestLineRecord | undefined {
  for (const [mark, pattern] of MARKS) {
    const match = pattern.exec(text)
    if (match) return { kind: 'mark', ...at, mark, fields: { ...match.groups } }
  }
  return undefined
}
