import type { Blocks, RegionPage } from './blocks.ts'

/** The bytes that a region was made from. */
export type RegionCode = {
  /** Addresses of its pages, the first of which it begins in. */
  readonly pages: readonly number[]
  readonly pieces: readonly Piece[]
}

/** Bytes of a page, by its number in the list. */
type Piece = { readonly page: number; readonly offset: number; readonly bytes: Uint8Array }

const PAGE = 4096

/** A copy of the code of blocks. */
export function codeOf(memory: Uint8Array, { all, pages }: Blocks): RegionCode {
  const pieces = all.map(({ page, va, steps }): Piece => {
    const offset = va % PAGE
    const last = steps[steps.length - 1]
    const at = pages[page].page * PAGE + offset
    return { page, offset, bytes: memory.slice(at, at + last.va + last.instruction.length - va) }
  })
  return { pages: pages.map(({ va }) => va), pieces }
}

/** Whether pages have the bytes that a region was made from. */
export function isSameCode(
  memory: Uint8Array,
  { pieces }: RegionCode,
  pages: readonly RegionPage[],
): boolean {
  return pieces.every(({ page, offset, bytes }) => {
    const at = pages[page].page * PAGE + offset
    for (let i = 0; i < bytes.length; i++) if (memory[at + i] !== bytes[i]) return false
    return true
  })
}
