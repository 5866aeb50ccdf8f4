/**
 * A frame's record: what Xen calls struct page_info, packed into four u32 words inside the machine's memory, so that one
 * mechanism snapshots frames and records alike.
 *
 *     word 0, type     31..29 type code | 28 pinned | 27 validated | 26 non-coherent | 25 locked | 24..0 type count
 *     word 1, refs     31 allocated | 30 Xen heap | 29..0 reference count
 *     word 2, owner    31..16 linear_pt_count (signed) | 10..8 cache attributes | 7..0 owner
 *     word 3, backing  number of the page of the pool that holds the frame's bytes; 0: never touched, reads as zeros
 *
 * A record of all zeros is a free frame. The rules about these words are Xen's and live in src/xen; here is only where
 * the bits are.
 */
export const RECORD_WORDS = 4
export const REFS_WORD = 1
export const OWNER_WORD = 2
export const BACKING_WORD = 3

export const TYPE_SHIFT = 29
export const TYPE_PINNED = 0x1000_0000
export const TYPE_VALIDATED = 0x0800_0000
export const TYPE_NON_COHERENT = 0x0400_0000
export const TYPE_LOCKED = 0x0200_0000
export const TYPE_COUNT = 0x01ff_ffff

export const REF_ALLOCATED = 0x8000_0000
export const REF_XEN_HEAP = 0x4000_0000
export const REF_COUNT = 0x3fff_ffff

/** Owners as the record stores them: no one, the two special domains, then domains in the order of their making. */
export const OWNER_NONE = 0
export const OWNER_IO = 1
export const OWNER_XEN = 2
export const OWNER_FIRST_DOMAIN = 3
