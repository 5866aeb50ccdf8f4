/**
 * A generation of Linux's early page-table code, as a record of named fields. The letters are the project's; the
 * fields are what the commits of 2010 to 2012 changed one at a time. The model kernel reads the fields and never the
 * name, so a kernel that no release ever was can be built by changing a field.
 */
export type Generation = {
  /** The letter: A, B0, B, B+seed, C0, C, D, D2, low, E. */
  readonly name: string
  /** The releases whose x86-64 code this is. */
  readonly kernels: string
  /**
   * Where the buffer for the early tables is looked for. `low`: below max_pfn_mapped, in memory that is mapped already.
   * `high` (4b239f458c22): below the end of the call, in memory that is not mapped yet. `brk`: no buffer; tables are
   * taken one by one from mapped memory (8d57470d8f85).
   */
  readonly placement: 'low' | 'high' | 'brk'
  /** Lowest address of that search, in bytes. */
  readonly searchFrom: number
  /** What sizes the buffer: the end of the call alone, or only the ranges about to be mapped (844ab6f993b1). */
  readonly sizing: 'end' | 'ranges'
  /** How the builder reaches tables that exist: through the direct map, or a fixmap slot (map_low_page). */
  readonly existingTables: 'direct-map' | 'fixmap'
  /** max_pfn_mapped before the first call: the last frame of the identity map, or the frame of the mfn list (14988a4d350c). */
  readonly firstMapped: 'ident-map' | 'mfn-list'
  /** Early-ioremap slots: mapped as asked, or read-only except of frame `end - 1` (d8aa5ec3382e). */
  readonly ioremapSlots: 'as-asked' | 'ro-except-newest'
  /** Upper bound of the read-only mask: [start, end), [start, top) (b9269dc7bfdf), or no mask at all. */
  readonly readOnlyUpTo: 'end' | 'top' | 'none'
  /** Who gives the tail [end, top) back: nobody, mark_rw_past_pgt (a38647837a41), or pagetable_reserve (279b706bf800). */
  readonly release: 'none' | 'mark' | 'hook'
  /** Lowest end of the extra RAM region: the end of memory, or at least 4 GiB (24bdb0b62cc8). */
  readonly extraRegion: 'after-memory' | 'above-4g'
  /** Frames that are no RAM: given back for good, or asked for again at the end of memory (3.4). */
  readonly released: 'for-good' | 'repopulated'
  /** Ends of RAM entries are rounded down to pages (7cb31b752c7). */
  readonly ramEndAligned: boolean
  /** A dom0 adds RAM cut off below 4 GiB as unusable (2f14ddc3a71, 86b32122fd5). */
  readonly cutRamUnusable: boolean
  /** Gaps and non-RAM are identity frames in the p2m (68df0da7f42b). */
  readonly identityP2m: boolean
  /**
   * How the kernel is configured to keep its `struct page`s: in sections, with a virtually mapped array over them, which is what
   * distributions had; in sections with arrays of their own; or as one array, which no x86-64 kernel of the time can be built
   * with, and which shows what the sections change.
   */
  readonly memoryModel: MemoryModel
}

/** Where a kernel keeps its `struct page`s. */
export type MemoryModel = 'sparsemem-vmemmap' | 'sparsemem' | 'flatmem'
/** What `memoryModel` may be. */
export const MEMORY_MODELS: readonly MemoryModel[] = ['sparsemem-vmemmap', 'sparsemem', 'flatmem']
