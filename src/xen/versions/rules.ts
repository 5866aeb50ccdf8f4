/**
 * What a version of Xen lets a guest do with its memory, and what it does with it: the rules that changed between 2011 and
 * today. A field is read by the rule that it names. `(4.7)` is the release in which the change came first; fixes of security
 * advisories, whose year is given, went into the stable branches of their time as well. Where only the tags 4.1 and 4.14 were
 * compared, the change is somewhere between them.
 */
export type Rules = {
  // ---- Entries of tables: mm/entries.ts, mm/mod-entry.ts ----

  /**
   * Flags that an entry of a level may not have, in Xen's fold: L1 of an ordinary domain, L1 of one with devices, L2 to L4.
   * L1_DISALLOW_MASK to L4_DISALLOW_MASK; PSE is among L2's since XSA-148 (2015), bit 62 among L1's in debug builds.
   */
  readonly badFlags: {
    readonly l1: number
    readonly l1Devices: number
    readonly l2: number
    readonly l3: number
    readonly l4: number
  }
  /**
   * Flags of L1, and of L2 to L4, that must stay the same for an update to take no new references, in Xen's fold: all but
   * FASTPATH_FLAG_WHITELIST since XSA-182 (2016).
   */
  readonly fastPath: { readonly l1: number; readonly upper: number }
  /** An update makes the entry a guest's (adjust_guest_l1e() to l4e()) before it takes references, not after (4.15). */
  readonly adjustsFirst: boolean
  /** adjust_guest_l4e() sets the accessed bit too (between 4.1 and 4.14). */
  readonly l4Accessed: boolean
  /** do_mmu_update() refuses an entry of L2 to L4 for another domain's frame than the table's (between 4.1 and 4.14). */
  readonly foreignOnlyInL1: boolean
  /** Entries for tables of the same level are counted, so that chains are no longer than one: XSA-240 (2017). */
  readonly countsLinear: boolean
  /** get_page_from_l1e() turns cached mappings of devices into uncached ones: XSA-154 (2016). */
  readonly mmioUncached: boolean
  /**
   * Xen keeps the cache attributes of a frame's last mapping with the frame, or looks at them only where a guest maps a frame
   * of Xen's own (4.14.6, 4.17, with XSA-402 of 2022).
   */
  readonly tracksCacheAttributes: boolean
  /** A writable mapping with write combining marks its frame, whose cache may then differ from memory: XSA-402 (2022). */
  readonly marksNonCoherent: boolean
  /**
   * Pages at the local APIC's address that no domain may map: its own, or the whole window of interrupt messages (from between
   * 4.1 and 4.14 to 4.17, as real boots show, and no more on 4.20). construct_dom0(), dom0_setup_permissions().
   */
  readonly deniedLapicPages: 1 | 256
  /**
   * dom0 may map no device beyond the addresses that the CPU has, nor in the range of its links: dom0_setup_permissions()
   * (between 4.1 and 4.14).
   */
  readonly deniesUnaddressable: boolean

  // ---- Whole tables: mm/tables.ts, mm/frame-type.ts, mm/linear-map.ts ----

  /**
   * A promotion that fails beyond slot 0 of an L2 to L4 is undone in put_old_guest_table(), which leaves the type with a count
   * of zero; in 2011 the frame lost its type at once (between 4.1 and 4.14).
   */
  readonly failedPromotionKeepsType: boolean
  /** An L4 maps the M2P as soon as it is validated, or not before it is a root: fill_ro_mpt() (between 4.1 and 4.14). */
  readonly m2pOnPromotion: boolean
  /** Xen's own slots of an L4 carry NX, but for its text's, and the M2P's is read-only (between 4.1 and 4.14). */
  readonly xenSlotsNx: boolean
  /** A change of an L2 to L4 flushes what the CPU has cached of Xen's linear map of the tables: XSA-286 (2020). */
  readonly flushesLinearMap: boolean

  // ---- Frames and descriptors: mm/reservation.ts, hypercalls/exchange.ts, mm/ldt.ts ----

  /** decrease_reservation() unpins a pinned frame: until XSA-252 (2018). */
  readonly freeUnpins: boolean
  /** Frames of dom_io are Xen's own, of its heap: arch_init_memory() (until 4.14). */
  readonly ioFramesAreHeap: boolean
  /** So is the L3 that maps the M2P: alloc_xen_pagetable() (until 4.15). */
  readonly m2pTableIsHeap: boolean
  /** Debug builds give dom0 the frames behind its initial ones in descending order: alloc_chunk(). */
  readonly dom0FramesBackwards: boolean
  /** A frame that steal_page() takes forgets its type: XSA-214 (2017). */
  readonly stealClearsType: boolean
  /** MMUEXT_SET_LDT takes the first page of the LDT at once, not when it is first used (until between 4.1 and 4.14). */
  readonly eagerLdt: boolean
  /** put_page_from_l1e() of a page of descriptors drops the domain's LDT (until between 4.1 and 4.14). */
  readonly unmapDropsLdt: boolean
  /** A selector beyond the end of the LDT is refused before its page is looked at: XSA-298 (2019). */
  readonly checksLdtLimit: boolean

  // ---- Hypercalls ----

  /**
   * Any caller may name another domain, and the call itself asks the security policy: xsm_mmu_update() and its like (4.3).
   * Before, get_pg_owner() knew other domains for a privileged caller only.
   */
  readonly policyForForeign: boolean
  /** do_mmuext_op() refuses what is about the caller itself where another domain is named (between 4.1 and 4.14). */
  readonly ownOperations: boolean
  /**
   * do_mmuext_op() finds the frames to pin, clear and copy by get_page_from_gfn(), which prints no line of its own where
   * there is none (between 4.1 and 4.14).
   */
  readonly findsFramesQuietly: boolean
  /** NEW_BASEPTR and NEW_USER_BASEPTR with the root in use take no references (between 4.1 and 4.14). */
  readonly sameRootIsKept: boolean
  /** update_va_mapping flushes even where it has changed nothing: until XSA-279 (2018). */
  readonly flushesAfterFailure: boolean
  /**
   * Guests may have superpages where Xen was started with `allowsuperpage`, which it is not here: MARK_SUPER and UNMARK_SUPER
   * are refused for want of it (4.1 to 4.9). Without the option they are unknown operations.
   */
  readonly superpagesByOption: boolean
  /** A multicall ends when one of its calls has left for user mode: XSA-213 (2017). */
  readonly multicallEndsInUserMode: boolean
  /** VCPUOP_set_periodic_timer refuses a period beyond STIME_DELTA_MAX, a quarter of all times (between 4.1 and 4.14). */
  readonly limitsPeriod: boolean
  /** SCHEDOP_poll refuses a port that is not bound; in 2011 it refused numbers that no port can have (between 4.1 and 4.14). */
  readonly pollsBoundPorts: boolean
  /** VCPUOP_down of the last vCPU that is up ends the domain (between 4.1 and 4.14). */
  readonly lastDownEndsDomain: boolean
  /** The last port that a guest's I/O bitmap speaks of may be granted by it: guest_io_okay() (between 4.1 and 4.14). */
  readonly ioBitmapReachesEnd: boolean
  /** dom0 has the ports of the CMOS's clock itself, and Xen keeps no index of its own for it: admin_io_okay() (until 4.14). */
  readonly clockIsDirect: boolean
  /** A line that has a number already is mapped to that where any is asked for: allocate_pirq() (between 4.14 and 4.17). */
  readonly mapsLineAgain: boolean
  /** platform_op asks who calls before it reads what for: do_platform_op() (until 4.14). */
  readonly asksCallerFirst: boolean
  /** A domU may write to Xen's console: xsm_console_io() allows it in verbose builds only (between 4.1 and 4.14). */
  readonly consoleForAll: boolean

  // ---- The CPU as a PV guest has it ----

  /** SYSCALL of a process without a callback of its kernel's is an undefined instruction, not the domain's end. */
  readonly unregisteredSyscallTraps: boolean
  /** do_set_segment_base() refuses a base that is not canonical: XSA-193 (2016). */
  readonly checksSegmentBases: boolean
  /** read_msr() and write_msr() pass registers that Xen does not know: reads as the hardware has it, writes ignored (until 4.14). */
  readonly unknownMsrsPass: boolean
  /** Registers of newer features are known, and no guest is offered them: guest_rdmsr() (between 4.1 and 4.14). */
  readonly hidesNewMsrs: boolean
}
