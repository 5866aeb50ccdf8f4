/**
 * What a call comes to that the machine does not carry out, made by dom0 and by a domU: as one with an argument of zeros, or of
 * another version of the toolstack's interface, is answered.
 */
export type Answer = readonly [dom0: number, domU: number]

/** What a guest is told of a version, and what of the public interface exists in it. */
export type Abi = {
  /** XENVER_version: major in the high half, minor in the low one. Xen's CPUID leaf says the same. */
  readonly version: number
  /** XENVER_extraversion: what stands behind these two in the version's name. */
  readonly extraversion: string
  /** XENVER_capabilities, a blank behind each. */
  readonly capabilities: string
  /** XENVER_changeset. */
  readonly changeset: string
  /** Bits of XENVER_get_features beyond those that all versions have: public/features.h. The second are dom0's alone. */
  readonly features: readonly number[]
  readonly dom0Features: readonly number[]
  /** dom0 has pae_extended_cr3 on, its start_info says so, when its notes speak of PAE: construct_dom0() (until 4.17). */
  readonly paeByNote: boolean
  /** The command line reads as `<denied>` to a domU (between 4.1 and 4.14). */
  readonly deniesCommandLine: boolean
  /** XENVER_build_id exists; it is dom0's to know (between 4.1 and 4.14). */
  readonly hasBuildId: boolean
  /** The texts of any length exist, XENVER 11 to 14: xenver_varbuf_op() (4.20). */
  readonly hasLongTexts: boolean
  /** Types of vm_assist that exist: `type > 3` in 2011, later a mask, PV64_VM_ASSIST_MASK. */
  readonly assists: readonly number[]
  /** MMU_PT_UPDATE_NO_TRANSLATE, command 3 of mmu_update, exists (between 4.1 and 4.14). */
  readonly noTranslate: boolean
  /** XENMEM_machphys_mapping tells dom0 only how much RAM there is (between 4.1 and 4.14). */
  readonly hidesRamSize: boolean
  /** XENMEM_machine_memory_map without a buffer says how many entries there are (between 4.1 and 4.14). */
  readonly countsMap: boolean
  /** VCPUOP_get_physid exists: dom0's vCPU is pinned, a domU's is nowhere for long (between 4.1 and 4.14). */
  readonly hasPhysicalId: boolean
  /** How many event channels a domain may have is the toolstack's to say: XEN_DOMCTL_set_max_evtchn (4.4). */
  readonly limitsPorts: boolean
  /** The run state and the time can be had by physical address: VCPUOP 14 and 15 (4.18). */
  readonly hasPhysicalAreas: boolean
  /** The last command of physdev_op, and the commands of platform_op that are carried out. */
  readonly lastPhysdevOp: number
  readonly platformOps: readonly number[]
  /** The last type of XENPF_firmware_info. */
  readonly lastFirmwareInfo: number
  /** Numbers of interrupts that dom0 may have beyond the machine's lines, for each bit of the count of its CPUs: arch_hwdom_irqs(). */
  readonly dynamicIrqs: number
  /** Bits of port 0x70 that Xen keeps and a guest reads back: seven since rtc_guest_write() (4.18). */
  readonly cmosIndexMask: number
  /** kexec_op with a command that there is not: 0 until do_kexec_op_internal() began with a number of an error (4.18). */
  readonly unknownKexec: number
  /** Hypercalls that are not carried out, by number; memory_op's commands likewise. What is not here either is ENOSYS. */
  readonly calls: Readonly<Record<number, Answer>>
  readonly memoryOps: Readonly<Record<number, Answer>>
  /** Frames that a grant table may have: gnttab_max_frames. */
  readonly grantFrames: number
  /** The last of Xen's CPUID leaves, counted from 0x40000000: cpuid_hypervisor_leaves(). */
  readonly lastCpuidLeaf: number
  /** What a hypercall leaves in the argument registers that it used; debug builds only. */
  readonly clobber: readonly [lo: number, hi: number] | null
}
