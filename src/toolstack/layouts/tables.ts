import { PAGE } from '../../bits/address.ts'
import { type Mapping, type TableLevel, type TableRun, tableBytes } from './start-of-day.ts'

/** The order in which builders take the pages of page tables: two, as Xen's for dom0 and the toolstack's differ. */

/** Tables for `pages` from `va` on, beside those of other mappings: level by level, the highest first. Xen: count_pgtables(). */
export function tablesByLevel(
  va: number,
  pages: number,
  firstPfn: number,
  others: readonly Mapping[] = [],
): TableRun[] {
  const runs: TableRun[] = []
  let pfn = firstPfn
  for (const level of [4, 3, 2, 1] as const) {
    const bytes = tableBytes(level)
    let from = Math.floor(va / bytes)
    let to = Math.floor((va + pages * PAGE - 1) / bytes)
    for (const other of others.flatMap((mapping) => mapping.tables)) {
      if (other.level !== level) continue
      const [otherFrom, otherTo] = [other.va / bytes, other.va / bytes + other.count - 1]
      if (from >= otherFrom && from <= otherTo) from = otherTo + 1
      if (to >= otherFrom && to <= otherTo) to = otherFrom - 1
    }
    const count = Math.max(0, to - from + 1)
    if (count > 0) runs.push({ level, va: from * bytes, pfn, count })
    pfn += count
  }
  return runs
}

/**
 * The same as they are needed, address by address: an L4, then an L1 for each 2 MiB, and behind it an L2 where a GiB
 * begins and an L3 where 512 of them do. Xen: dom0_construct_pv().
 */
export function tablesAsNeeded(va: number, pages: number, firstPfn: number): TableRun[] {
  const runs: { level: TableLevel; va: number; pfn: number; count: number }[] = []
  let pfn = firstPfn
  const take = (level: TableLevel, at: number): void => {
    const last = runs.at(-1)
    if (last?.level === level) last.count++
    else runs.push({ level, va: at - (at % tableBytes(level)), pfn, count: 1 })
    pfn++
  }
  take(4, va)
  const step = tableBytes(1)
  for (let at = va - (va % step); at < va + pages * PAGE; at += step) {
    const isFirst = at <= va
    take(1, at)
    if (isFirst || at % tableBytes(2) === 0) take(2, at)
    if (isFirst || at % tableBytes(3) === 0) take(3, at)
  }
  return runs
}
