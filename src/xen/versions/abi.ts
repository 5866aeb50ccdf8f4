/** What a guest is told of a version, and what of the public interface exists in it. */
export type Abi = {
  /** XENVER_version: major in the high half, minor in the low one. Xen's CPUID leaf says the same. */
  readonly version: number
  /** XENVER_extraversion: what stands behind these two in the version's name. */
  readonly extraversion: string
  /** Bits of XENVER_get_features beyond those that all versions have: public/features.h. */
  readonly features: readonly number[]
  /** The command line reads as `<denied>` to a domU (between 4.1 and 4.14). */
  readonly deniesCommandLine: boolean
  /** XENVER_build_id exists, for others than are asked for here (between 4.1 and 4.14). */
  readonly hasBuildId: boolean
  /** Types of vm_assist that exist: `type > 3` in 2011, later a mask, PV64_VM_ASSIST_MASK. */
  readonly assists: readonly number[]
  /** MMU_PT_UPDATE_NO_TRANSLATE, command 3 of mmu_update, exists (between 4.1 and 4.14). */
  readonly noTranslate: boolean
  /** XENMEM_machphys_mapping tells dom0 only how much RAM there is (between 4.1 and 4.14). */
  readonly hidesRamSize: boolean
  /** What a hypercall leaves in the argument registers that it used; debug builds only. */
  readonly clobber: readonly [lo: number, hi: number] | null
}
