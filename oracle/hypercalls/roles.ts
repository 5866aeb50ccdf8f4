import { vaOf } from '../../src/bits/address.ts'
import type { SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import { HYPERCALL } from '../../src/xen/abi.ts'
import { WORDS } from './names.ts'

/** A hypercall as a kernel made it: its number, its first five argument registers, and what the first of its structures holds. */
export type MadeCall = {
  readonly nr: number
  readonly args: readonly bigint[]
  /** What `structureOf` says to read; null where there is nothing to read, or nothing is mapped. */
  readonly bytes: Uint8Array | null
  /** What it came to, signed; null of one that does not come back, or of which the recording does not have it. */
  readonly rc: number | null
}

/** What a call asks for without what differs from machine to machine, and how many requests it has. */
export type Role = { readonly text: string; readonly requests: number }

/** Entries of a multicall that are looked at. Linux: MC_BATCH. */
const MOST_ENTRIES = 32
const ENTRY_BYTES = 64
const MMUEXT_BYTES = 24
/** Bytes of one line of a console at most. */
const MOST_TEXT = 1024

const count32 = (n: bigint): number => Number(BigInt.asUintN(32, n))

/** Calls whose structure is behind a command, and so many bytes of it. */
const BEHIND_COMMAND: Readonly<Record<number, number>> = {
  [HYPERCALL.memory_op]: 32,
  [HYPERCALL.callback_op]: 16,
  [HYPERCALL.event_channel_op]: 8,
  [HYPERCALL.physdev_op]: 16,
  [HYPERCALL.vm_assist]: 0,
}

/** What of a call's structures is to be read when it is made: an address and bytes; null where there is nothing. */
export function structureOf(
  nr: number,
  args: readonly bigint[],
): { readonly va: bigint; readonly bytes: number } | null {
  const at = (va: bigint, bytes: number) => (va === 0n || bytes === 0 ? null : { va, bytes })
  switch (nr) {
    case HYPERCALL.mmu_update:
      return at(args[0], count32(args[1]) === 0 ? 0 : 16)
    case HYPERCALL.mmuext_op:
      return at(args[0], Math.min(count32(args[1]), MOST_ENTRIES) * MMUEXT_BYTES)
    case HYPERCALL.multicall:
      return at(args[0], Math.min(count32(args[1]), MOST_ENTRIES) * ENTRY_BYTES)
    case HYPERCALL.platform_op:
    case HYPERCALL.mca:
      return at(args[0], 8)
    case HYPERCALL.console_io:
      return at(args[2], args[0] === 0n ? Math.min(count32(args[1]), MOST_TEXT) : 0)
    default:
      return at(args[1], BEHIND_COMMAND[nr] ?? 0)
  }
}

/** What a call writes to the console; empty of any other. */
export function consoleText({ nr, args, bytes }: MadeCall): string {
  return nr === HYPERCALL.console_io && args[0] === 0n && bytes !== null
    ? Buffer.from(bytes).toString('latin1')
    : ''
}

/** A call's role. Frames are left out, addresses are what the kernel has there. */
export function roleOf(call: MadeCall, symbols: SymbolTable): Role {
  const name = WORDS.hypercall(call.nr)
  const { text, requests = 1 } = (DETAILS[call.nr] ?? plain)(call, symbols)
  return { text: text === '' ? name : `${name} ${text}`, requests }
}

type Detail = { readonly text: string; readonly requests?: number }
type Details = (call: MadeCall, symbols: SymbolTable) => Detail

const plain: Details = () => ({ text: '' })
const command =
  (words: (n: number) => string): Details =>
  ({ args }) => ({ text: words(count32(args[0])) })

/** The first 32-bit words of a structure; none where it could not be read. */
function wordsOf({ bytes }: MadeCall): number[] {
  if (bytes === null) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length >>> 2 }, (_, i) => view.getUint32(i * 4, true))
}

const DETAILS: Readonly<Record<number, Details>> = {
  [HYPERCALL.mmu_update]: (call) => ({
    text: WORDS.mmu((wordsOf(call)[0] ?? 0) & 7),
    requests: count32(call.args[1]) & 0x7fff_ffff,
  }),
  [HYPERCALL.mmuext_op]: (call) => {
    const words = wordsOf(call)
    const commands = Array.from({ length: words.length / 6 }, (_, i) => WORDS.mmuext(words[i * 6]))
    return { text: inRuns(commands), requests: 1 }
  },
  [HYPERCALL.multicall]: (call, symbols) => ({ text: `[${inRuns(entriesOf(call, symbols))}]` }),
  [HYPERCALL.update_va_mapping]: ({ args }, symbols) => ({
    text: `${placeOf(args[0], symbols)} ${entryText(args[1])}`,
  }),
  [HYPERCALL.memory_op]: ({ args }) => ({ text: WORDS.memory(count32(args[0]) & 0x3f) }),
  [HYPERCALL.xen_version]: command(WORDS.version),
  [HYPERCALL.vcpu_op]: command(WORDS.vcpu),
  [HYPERCALL.sched_op]: command(WORDS.sched),
  [HYPERCALL.grant_table_op]: command(WORDS.grant),
  [HYPERCALL.kexec_op]: command(WORDS.kexec),
  [HYPERCALL.console_io]: command((n) => (n === 0 ? 'write' : n === 1 ? 'read' : String(n))),
  [HYPERCALL.set_debugreg]: ({ args }) => ({ text: `dr${args[0]}` }),
  [HYPERCALL.set_segment_base]: command((n) => ['fs', 'gs user', 'gs kernel', 'selector'][n] ?? String(n)),
  [HYPERCALL.set_gdt]: ({ args }) => ({ text: `of ${args[1]} entries` }),
  [HYPERCALL.set_trap_table]: ({ args }, symbols) => ({ text: placeOf(args[0], symbols) }),
  [HYPERCALL.xenpmu_op]: ({ args }) => ({ text: String(args[0]) }),
  [HYPERCALL.vm_assist]: ({ args }) => ({
    text: `${args[0] === 0n ? 'enable' : 'disable'} ${WORDS.assist(count32(args[1]))}`,
  }),
  [HYPERCALL.platform_op]: (call) => ({ text: WORDS.platform(wordsOf(call)[0] ?? -1) }),
  [HYPERCALL.mca]: (call) => ({ text: WORDS.machineCheck(wordsOf(call)[0] ?? -1) }),
  [HYPERCALL.callback_op]: (call, symbols) => {
    const [head = 0, , low = 0, high = 0] = wordsOf(call)
    const place = placeOf((BigInt(high) << 32n) | BigInt(low), symbols)
    return { text: `${WORDS.callback(head & 0xffff)} ${place}` }
  },
  [HYPERCALL.event_channel_op]: (call) => {
    const cmd = WORDS.port(count32(call.args[0]))
    return { text: cmd === 'bind_virq' ? `${cmd} ${WORDS.virq(wordsOf(call)[0] ?? -1)}` : cmd }
  },
  [HYPERCALL.physdev_op]: (call) => {
    const cmd = WORDS.physdev(count32(call.args[0]))
    const words = wordsOf(call)
    if (cmd === 'setup_gsi') return { text: `${cmd} ${words[0]}` }
    return { text: cmd === 'map_pirq' ? `${cmd} ${words[2]}` : cmd }
  },
}

/** The calls of a multicall, as roles of calls of their own; structures behind them are not looked at. */
function entriesOf({ bytes }: MadeCall, symbols: SymbolTable): string[] {
  if (bytes === null) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / ENTRY_BYTES) }, (_, i) => {
    const word = (n: number): bigint => view.getBigUint64(i * ENTRY_BYTES + n * 8, true)
    const nr = Number(BigInt.asUintN(32, word(0)))
    const isBehind = structureOf(nr, [word(2), word(3), word(4)]) !== null
    if (isBehind) return WORDS.hypercall(nr)
    return roleOf({ nr, args: [2, 3, 4, 5, 6].map(word), bytes: null, rc: null }, symbols).text
  })
}

/** Words in a row, equal ones once and counted. */
function inRuns(words: readonly string[]): string {
  const parts: string[] = []
  for (let i = 0; i < words.length; ) {
    let end = i + 1
    while (words[end] === words[i]) end++
    parts.push(end - i === 1 ? words[i] : `${words[i]} x ${end - i}`)
    i = end
  }
  return parts.join(', ')
}

/** Where Linux puts what, from each address on: Linux's Documentation/arch/x86/x86_64/mm.rst. */
const REGIONS: readonly (readonly [from: number, name: string])[] = [
  [0, 'process'],
  [0x8000_0000_0000, 'Xen'],
  [0x8880_0000_0000, 'direct map'],
  [0xc900_0000_0000, 'vmalloc'],
  [0xea00_0000_0000, 'vmemmap'],
  [0xeb00_0000_0000, 'upper'],
  [0xffff_8000_0000, 'kernel'],
  [0xffff_a000_0000, 'modules'],
  [0xffff_ff00_0000, 'fixmap'],
]

/** What the kernel has at an address: a symbol of its own, or the region. */
export function placeOf(address: bigint, symbols: SymbolTable): string {
  const va = vaOf(count32(address), Number(BigInt.asIntN(32, address >> 32n)))
  const region = REGIONS.findLast(([from]) => from <= va)?.[1] ?? 'nowhere'
  return region === 'kernel' ? (symbols.find(va)?.name ?? region) : region
}

function entryText(entry: bigint): string {
  if ((entry & 1n) === 0n) return 'none'
  return (entry & 2n) === 0n ? 'ro' : 'rw'
}
