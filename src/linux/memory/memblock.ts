/** A range of physical memory: bytes, `end` exclusive. */
export type Region = { base: number; end: number }

const PAGE = 4096

/**
 * The early allocator of 2.6.37 to 3.1 (mm/memblock.c and arch/x86/mm/memblock.c): what is memory, and what of it is
 * taken. It hands out from the top down, and that order is what puts the early tables next to the end of memory.
 */
export class Memblock {
  /** RAM, sorted; overlapping and adjacent regions are one. */
  readonly memory: Region[] = []
  /** What is taken, kept the same way. */
  readonly reserved: Region[] = []
  /** Grows with every change, so that a caller may keep an answer until it does. */
  version = 0

  /** Declares [base, end) to be RAM, bytes. */
  addMemory(base: number, end: number): void {
    if (base < end && insert(this.memory, base, end)) this.version++
  }

  /**
   * Takes [start, end), bytes. An empty range is nothing, a reserved one stays as it is, and a reversed one is ignored
   * with the warning that the kernel prints, which is returned.
   */
  reserve(start: number, end: number): string | null {
    if (start > end) return wrongRange('memblock_x86_reserve_range', start, end)
    if (start < end && insert(this.reserved, start, end)) this.version++
    return null
  }

  /**
   * Gives [start, end), bytes, back. The kernel looks for one reserved region that holds the whole range and splits or
   * trims it; a range that no single region holds stays as it is.
   */
  free(start: number, end: number): string | null {
    if (start > end) return wrongRange('memblock_x86_free_range', start, end)
    if (start === end) return null
    const i = this.reserved.findIndex((region) => region.base <= start && end <= region.end)
    if (i < 0) return null
    const region = this.reserved[i]
    if (region.base === start && region.end === end) this.reserved.splice(i, 1)
    else if (region.base === start) region.base = end
    else if (region.end === end) region.end = start
    else {
      this.reserved.splice(i + 1, 0, { base: end, end: region.end })
      region.end = start
    }
    this.version++
    return null
  }

  /** Whether any byte of [start, end) is taken; of one byte, when `end` is left out. */
  isReserved(start: number, end: number = start + 1): boolean {
    return firstOverlap(this.reserved, start, end) >= 0
  }

  /**
   * The highest free `size` bytes in [lo, hi), aligned (a power of two), or null; nothing is reserved. A region is
   * skipped by its whole size, before [lo, hi) clips it, and page 0 is never the answer, because 0 means failure.
   */
  findInRange(lo: number, hi: number, size: number, align: number): number | null {
    for (let i = this.memory.length - 1; i >= 0; i--) {
      const region = this.memory[i]
      if (region.end - region.base < size) continue
      if (region.end <= lo) break
      const bottom = Math.max(region.base, lo)
      const top = Math.min(region.end, hi)
      if (bottom >= top) continue
      const found = this.findBelow(bottom === 0 ? PAGE : bottom, top, size, align)
      if (found !== null) return found
    }
    return null
  }

  private findBelow(bottom: number, top: number, size: number, align: number): number | null {
    if (top < size) return null
    let base = alignDown(top - size, align)
    while (base >= bottom) {
      const overlap = firstOverlap(this.reserved, base, base + size)
      if (overlap < 0) return base
      const blocker = this.reserved[overlap].base
      if (blocker < size) return null
      base = alignDown(blocker - size, align)
    }
    return null
  }

  /**
   * The first free address at or after `start` (bytes) in RAM, aligned, or null where none is left: a page that is RAM
   * and not reserved gives itself (memblock_x86_find_in_range_size).
   */
  findInRangeSize(start: number, align: number): number | null {
    for (const region of this.memory) {
      let address = alignUp(Math.max(region.base, start), align)
      for (const taken of this.reserved) {
        if (taken.base <= address && address < taken.end) address = alignUp(taken.end, align)
        else if (taken.base > address) break
      }
      if (address < region.end) return address
    }
    return null
  }
}

/** Adds [base, end) to a sorted list, joining what it touches; false when the list holds it already. */
function insert(list: Region[], base: number, end: number): boolean {
  let first = 0
  while (first < list.length && list[first].end < base) first++
  let past = first
  while (past < list.length && list[past].base <= end) past++
  if (past === first) {
    list.splice(first, 0, { base, end })
    return true
  }
  const region = list[first]
  if (past === first + 1 && region.base <= base && end <= region.end) return false
  region.base = Math.min(region.base, base)
  region.end = Math.max(list[past - 1].end, end)
  list.splice(first + 1, past - first - 1)
  return true
}

function firstOverlap(list: readonly Region[], start: number, end: number): number {
  for (let i = 0; i < list.length; i++) if (list[i].base < end && list[i].end > start) return i
  return -1
}

function wrongRange(who: string, start: number, end: number): string {
  return `${who}: wrong range [0x${start.toString(16)}, 0x${end.toString(16)})`
}

function alignDown(address: number, align: number): number {
  return address - (address % align)
}

function alignUp(address: number, align: number): number {
  return alignDown(address + align - 1, align)
}
