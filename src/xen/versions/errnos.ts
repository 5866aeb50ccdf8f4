/** Error numbers, as hypercalls return them, that changed between versions. Everything else has one number in all. */
export type Errnos = {
  /**
   * An L1 entry that is refused, in an update and in the promotion of a table: EINVAL whatever it was in 4.1, whose
   * get_page_from_l1e() says yes or no; null where it is the number of what refused it.
   */
  readonly refusedEntry: number | null
  /** mmu_update for tables of a domain that there is not: do_mmu_update(). */
  readonly unknownTableOwner: number
  /**
   * NEW_BASEPTR and NEW_USER_BASEPTR with a frame that cannot be a root: this number, or null for that of what refused it
   * (between 4.1 and 4.14).
   */
  readonly badRoot: number | null
  /** FLUSH_CACHE by a domain without devices (between 4.1 and 4.14). */
  readonly flushCache: number
  /** FLUSH_CACHE_GLOBAL by a domain without devices. */
  readonly flushCacheGlobal: number
  /** set_debugreg and get_debugreg of a register that there is not. */
  readonly debugRegister: number
  /** register_vcpu_info at an offset that is not aligned or leaves the page (4.16). */
  readonly vcpuInfoPlace: number
  /** register_vcpu_info in a frame that cannot become writable (4.18). */
  readonly vcpuInfoType: number
  /** register_vcpu_info a second time; EBUSY (4.18) is said before the place is looked at. */
  readonly vcpuInfoTwice: number
  /** A single shot that must not be late and is (4.17.3, 4.18); 0 where it is due at once. */
  readonly lateTimer: number
}
