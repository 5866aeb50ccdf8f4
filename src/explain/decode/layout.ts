import type { Evidence } from '../evidence.ts'
import { recordsOf } from '../evidence.ts'

/** A range of a printed memory map, bytes, the end exclusive. */
export type MapRange = { readonly start: number; readonly end: number; readonly type: string }

const CLOSED = /\[([0-9a-f]{8,16}), ([0-9a-f]{8,16})\] \(([^()]+)\)/i
const OPEN = /(?<![0-9a-f])([0-9a-f]{8,16}) - ([0-9a-f]{8,16}) \(([^()]+)\)/i
const MEM = /\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] (\S.*)/i

/** The ranges of the host's map that Xen printed, and of the guest's that Linux printed; a cut map is no obstacle. */
export function mapRanges(evidence: Evidence): { readonly host: MapRange[]; readonly guest: MapRange[] } {
  const host: MapRange[] = []
  const guest: MapRange[] = []
  for (const line of evidence.lines) {
    const closed = CLOSED.exec(line) ?? MEM.exec(line)
    const match = closed ?? OPEN.exec(line)
    if (match === null) continue
    const range = {
      start: Number.parseInt(match[1], 16),
      end: Number.parseInt(match[2], 16) + (closed === null ? 0 : 1),
      type: match[3].trim(),
    }
    if (line.startsWith('(XEN)')) host.push(range)
    else if (/\b(?:Xen|BIOS-e820):/.test(line)) guest.push(range)
  }
  return { host, guest }
}

/** Linux's kernel map begins at this virtual address: what the domain builder prints is above it. */
const KERNEL_MAP = 0xffffffff80000000n

/** What Xen loaded for dom0, in guest-physical bytes: the kernel, and behind it page tables, stack and the rest. */
export function bootLayout(evidence: Evidence): (MapRange & { readonly line: number })[] {
  return recordsOf(evidence, 'mark').flatMap(({ mark, fields, line }) => {
    const { from, to } = fields
    if (from === undefined || to === undefined) return []
    if (mark === 'dom0-kernel') return [{ start: Number(from), end: Number(to), type: 'the kernel', line }]
    const what: Readonly<Record<string, string>> = {
      'loaded-kernel': 'the kernel',
      'page-tables': "the domain builder's page tables",
      'boot-stack': 'the boot stack',
    }
    const [start, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)]
    if (what[mark] === undefined || start < KERNEL_MAP) return []
    return [{ start: Number(start - KERNEL_MAP), end: Number(end - KERNEL_MAP), type: what[mark], line }]
  })
}

export type LayoutConflict = {
  readonly placed: MapRange & { readonly line: number }
  readonly range: MapRange
}

const MIB = 2 ** 20

/**
 * Where what Xen loaded for dom0 lies at an address at which the host has no RAM. A PV dom0 wants its pseudo-physical map
 * like the host's, so what is loaded there cannot stay. Below 1 MiB nothing is loaded.
 */
export function layoutConflicts(evidence: Evidence): LayoutConflict[] {
  const { host } = mapRanges(evidence)
  const holes = host.filter(({ type, start }) => type.toLowerCase() !== 'usable' && start >= MIB)
  return bootLayout(evidence).flatMap((placed) =>
    holes
      .filter((range) => range.start < placed.end && placed.start < range.end)
      .map((range) => ({ placed, range })),
  )
}

/** Whether the guest's own map shows that it moved that range away. */
export function movedAway(evidence: Evidence, { range }: LayoutConflict): boolean {
  const { guest } = mapRanges(evidence)
  if (guest.length === 0) return false
  const there = guest.some(
    ({ start, end, type }) => type.toLowerCase() !== 'usable' && start < range.end && range.start < end,
  )
  return !there
}
