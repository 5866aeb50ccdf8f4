import { A, D, entryFrame, foldFlags, P } from '../../bits/pte.ts'
import type { Domain } from '../domain.ts'
import type { EntryUpdate } from '../frames/entry-update.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { addFacts, refuse } from '../refusal.ts'
import {
  adjustedHigh,
  adjustedLow,
  badFlags,
  getPageFromL1e,
  getPageFromUpper,
  putPageFromL1e,
  putPageFromUpper,
  type TableLevel,
} from './entries.ts'
import { isXenSlot } from './tables.ts'

const BAD_FLAGS = {
  1: 'badL1FlagsMod',
  2: 'badL2FlagsMod',
  3: 'badL3FlagsMod',
  4: 'badL4FlagsMod',
} as const satisfies Record<TableLevel, string>

/**
 * Change one entry of a live table of its level: mod_l1_entry() to mod_l4_entry(). 0, or a negative error; an update that
 * fails changes nothing.
 *
 * The new references are taken before the old ones are given back. So a frame's last writable mapping cannot become its
 * use as a table in one update.
 */
export function modEntry(xen: Hypervisor, update: EntryUpdate, lo: number, hi: number): number {
  const { level, table, slot, tableOwner } = update
  if (isXenSlot(level, slot)) return refuse(xen, 'xenSlotL4', { slot, pl4e: slot, table, level })
  const words = xen.memory.u32
  const at = xen.memory.backing(xen.memory.record(table)) + slot * 2
  const oldLo = words[at]
  const oldHi = words[at + 1]
  const kept = update.keepAccessed ? oldLo & (A | D) : 0
  if ((lo & P) !== 0) {
    const bad = foldFlags(lo, hi) & badFlags(xen, tableOwner, level)
    if (bad !== 0) return refuse(xen, BAD_FLAGS[level], { flags: bad, table, slot, level })
    if (xen.version.rules.adjustsFirst) {
      const low = adjustedLow(xen, level, lo, hi)
      hi = adjustedHigh(level, lo, hi)
      lo = low
    }
    if (!isFast(xen, level, oldLo, oldHi, lo, hi)) {
      const rc =
        level === 1
          ? getPageFromL1e(xen, lo, hi, tableOwner, update.pageOwner)
          : getPageFromUpper(xen, level, lo, hi, table, tableOwner)
      if (rc < 0) return addFacts(xen, { table, slot, level }, refusedAs(xen, level))
      lo = (lo ^ rc) >>> 0
      store(xen, level, at, lo, hi, kept)
      put(xen, level, oldLo, oldHi, table, tableOwner)
      return 0
    }
    store(xen, level, at, lo, hi, kept)
    return 0
  }
  words[at] = (lo | kept) >>> 0
  words[at + 1] = hi
  if ((oldLo & P) !== 0) {
    xen.entryChanged(level, at)
    put(xen, level, oldLo, oldHi, table, tableOwner)
  }
  return 0
}

/** What a guest is told of an entry whose references are not to be had; null for what refused it. */
function refusedAs(xen: Hypervisor, level: TableLevel): number | null {
  return level === 1 ? xen.version.errnos.refusedEntry : null
}

/** Write a present entry, adjusted, over the one at word `at`. */
function store(xen: Hypervisor, level: TableLevel, at: number, lo: number, hi: number, kept: number): void {
  const words = xen.memory.u32
  const wasPresent = (words[at] & P) !== 0
  if (!xen.version.rules.adjustsFirst) {
    words[at] = (adjustedLow(xen, level, lo, hi) | kept) >>> 0
    words[at + 1] = adjustedHigh(level, lo, hi)
  } else {
    words[at] = (lo | kept) >>> 0
    words[at + 1] = hi
  }
  // What was not present cannot be cached.
  if (wasPresent) xen.entryChanged(level, at)
}

function put(xen: Hypervisor, level: TableLevel, lo: number, hi: number, table: number, owner: Domain): void {
  if (level === 1) putPageFromL1e(xen, lo, hi, owner)
  else putPageFromUpper(xen, lo, hi, table)
}

/** Whether the update changes nothing that references depend on: the same frame, and the flags that the version names. */
function isFast(
  xen: Hypervisor,
  level: TableLevel,
  oldLo: number,
  oldHi: number,
  lo: number,
  hi: number,
): boolean {
  const { fastPath } = xen.version.rules
  const mask = level === 1 ? fastPath.l1 : fastPath.upper
  return (
    (oldLo & P) !== 0 &&
    ((foldFlags(oldLo, oldHi) ^ foldFlags(lo, hi)) & mask) === 0 &&
    entryFrame(oldLo, oldHi) === entryFrame(lo, hi)
  )
}
