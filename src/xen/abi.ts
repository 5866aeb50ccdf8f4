/** What a guest sees of Xen: numbers and structures of the public interface. Nothing here has behaviour. */

export { E820, type E820Entry, type E820Type } from '../bits/e820.ts'

/** Hypercall numbers: Xen's public/xen.h. */
export const HYPERCALL = {
  set_trap_table: 0,
  mmu_update: 1,
  set_gdt: 2,
  stack_switch: 3,
  set_callbacks: 4,
  fpu_taskswitch: 5,
  sched_op_compat: 6,
  platform_op: 7,
  set_debugreg: 8,
  get_debugreg: 9,
  update_descriptor: 10,
  memory_op: 12,
  multicall: 13,
  update_va_mapping: 14,
  set_timer_op: 15,
  event_channel_op_compat: 16,
  xen_version: 17,
  console_io: 18,
  physdev_op_compat: 19,
  grant_table_op: 20,
  vm_assist: 21,
  update_va_mapping_otherdomain: 22,
  iret: 23,
  vcpu_op: 24,
  set_segment_base: 25,
  mmuext_op: 26,
  nmi_op: 28,
  sched_op: 29,
  callback_op: 30,
  event_channel_op: 32,
  physdev_op: 33,
  sysctl: 35,
  domctl: 36,
  kexec_op: 37,
  xenpmu_op: 40,
  dm_op: 41,
  hypfs_op: 42,
  mca: 48,
  paging_domctl_cont: 49,
} as const

/** Commands of memory_op: Xen's public/memory.h. */
export const MEMORY_OP = {
  increase_reservation: 0,
  decrease_reservation: 1,
  maximum_ram_page: 2,
  current_reservation: 3,
  maximum_reservation: 4,
  machphys_mfn_list: 5,
  populate_physmap: 6,
  add_to_physmap: 7,
  memory_map: 9,
  machine_memory_map: 10,
  exchange: 11,
  machphys_mapping: 12,
  maximum_gpfn: 14,
  remove_from_physmap: 15,
  set_pod_target: 16,
  get_pod_target: 17,
  get_sharing_freed_pages: 18,
  get_sharing_shared_pages: 19,
  paging_op: 20,
  access_op: 21,
  add_to_physmap_batch: 23,
  claim_pages: 24,
  machphys_compat_mfn_list: 25,
  get_vnumainfo: 26,
  reserved_device_memory_map: 27,
  acquire_resource: 28,
} as const

/** Commands of mmuext_op: Xen's public/xen.h. */
export const MMUEXT = {
  PIN_L1_TABLE: 0,
  PIN_L2_TABLE: 1,
  PIN_L3_TABLE: 2,
  PIN_L4_TABLE: 3,
  UNPIN_TABLE: 4,
  NEW_BASEPTR: 5,
  TLB_FLUSH_LOCAL: 6,
  INVLPG_LOCAL: 7,
  TLB_FLUSH_MULTI: 8,
  INVLPG_MULTI: 9,
  TLB_FLUSH_ALL: 10,
  INVLPG_ALL: 11,
  FLUSH_CACHE: 12,
  SET_LDT: 13,
  NEW_USER_BASEPTR: 15,
  CLEAR_PAGE: 16,
  COPY_PAGE: 17,
  FLUSH_CACHE_GLOBAL: 18,
  MARK_SUPER: 19,
  UNMARK_SUPER: 20,
} as const

/** Types of vm_assist. */
export const VM_ASSIST = { writable_pagetables: 2, pae_extended_cr3: 3, architectural_iopl: 4 } as const

/** Flags of start_info. */
export const SIF = { PRIVILEGED: 1, INITDOMAIN: 2, MOD_START_PFN: 8, VIRT_P2M_4TOOLS: 16, PM: 0x300 } as const

/** Byte offsets in start_info, the page at which a PV guest's life begins: Xen's public/xen.h. */
export const START_INFO = {
  nr_pages: 32,
  shared_info: 40,
  flags: 48,
  store_mfn: 56,
  store_evtchn: 64,
  console_mfn: 72,
  console_evtchn: 80,
  /** In dom0 there is no console's ring, and these two instead: its struct dom0_vga_console_info. */
  video_offset: 72,
  video_bytes: 76,
  pt_base: 88,
  nr_pt_frames: 96,
  mfn_list: 104,
  mod_start: 112,
  mod_len: 120,
  cmd_line: 128,
  cmd_line_bytes: 1024,
  first_p2m_pfn: 1152,
  nr_p2m_frames: 1160,
  bytes: 1168,
} as const

/** Command bits of an mmu_update request's pointer. */
export const MMU = { NORMAL_PT_UPDATE: 0, MACHPHYS_UPDATE: 1, PT_UPDATE_PRESERVE_AD: 2 } as const

/** Types of callback_op: Xen's public/callback.h. */
export const CALLBACK = { event: 0, failsafe: 1, syscall: 2, nmi: 4, sysenter: 5, syscall32: 7 } as const

/** Commands of sched_op: Xen's public/sched.h. */
export const SCHED_OP = {
  yield: 0,
  block: 1,
  shutdown: 2,
  poll: 3,
  remote_shutdown: 4,
  shutdown_code: 5,
  watchdog: 6,
} as const

/** Why a domain shuts itself down: Xen's public/sched.h. */
export const SHUTDOWN = { poweroff: 0, reboot: 1, suspend: 2, crash: 3, watchdog: 4, soft_reset: 5 } as const

/** Commands of physdev_op: Xen's public/physdev.h. */
export const PHYSDEV_OP = {
  irq_unmask_notify: 4,
  irq_status_query: 5,
  set_iopl: 6,
  set_iobitmap: 7,
  apic_read: 8,
  apic_write: 9,
  alloc_irq_vector: 10,
  eoi: 12,
  map_pirq: 13,
  unmap_pirq: 14,
  manage_pci_add: 15,
  manage_pci_remove: 16,
  pirq_eoi_gmfn_v1: 17,
  restore_msi: 19,
  manage_pci_add_ext: 20,
  setup_gsi: 21,
  get_free_pirq: 23,
  pci_mmcfg_reserved: 24,
  pci_device_add: 25,
  pci_device_remove: 26,
  restore_msi_ext: 27,
  pirq_eoi_gmfn_v2: 28,
  dbgp_op: 29,
  prepare_msix: 30,
  release_msix: 31,
  pci_device_reset: 32,
} as const

/** Commands of platform_op, and the version of its structures: Xen's public/platform.h. */
export const XENPF_INTERFACE_VERSION = 0x0300_0001
export const XENPF = {
  settime32: 17,
  read_memtype: 33,
  get_cpu_version: 48,
  firmware_info: 50,
  enter_acpi_sleep: 51,
  change_freq: 52,
  getidletime: 53,
  set_processor_pminfo: 54,
  get_cpuinfo: 55,
  cpu_online: 56,
  cpu_offline: 57,
  cpu_hotadd: 58,
  mem_hotadd: 59,
  core_parking: 60,
  settime64: 62,
} as const

/** Commands of mca, and the version of its structures: Xen's public/arch-x86/xen-mca.h. */
export const MCA_INTERFACE_VERSION = 0x01ec_c003
export const MCA = { fetch: 1, physcpuinfo: 3 } as const

/** Commands of kexec_op: Xen's public/kexec.h. */
export const KEXEC = { get_range: 3 } as const

/** Commands of event_channel_op: Xen's public/event_channel.h. */
export const EVTCHNOP = {
  bind_interdomain: 0,
  bind_virq: 1,
  bind_pirq: 2,
  close: 3,
  send: 4,
  status: 5,
  alloc_unbound: 6,
  bind_ipi: 7,
  bind_vcpu: 8,
  unmask: 9,
  reset: 10,
} as const

/** Interrupts that Xen itself makes: Xen's public/xen.h. */
export const VIRQ = { TIMER: 0, DEBUG: 1, CONSOLE: 2, XENOPROF: 7, XENPMU: 13 } as const

/** Commands of vcpu_op: Xen's public/vcpu.h. */
export const VCPUOP = {
  initialise: 0,
  up: 1,
  down: 2,
  is_up: 3,
  get_runstate_info: 4,
  register_runstate_memory_area: 5,
  set_periodic_timer: 6,
  stop_periodic_timer: 7,
  set_singleshot_timer: 8,
  stop_singleshot_timer: 9,
  register_vcpu_info: 10,
  send_nmi: 11,
  get_physid: 12,
  register_vcpu_time_memory_area: 13,
  register_runstate_phys_area: 14,
  register_vcpu_time_phys_area: 15,
} as const

/** Byte offsets in struct vcpu_info, and its size. */
export const VCPU_INFO = {
  upcall_pending: 0,
  upcall_mask: 1,
  pending_sel: 8,
  cr2: 16,
  time: 32,
  bytes: 64,
} as const

/** Byte offsets in struct vcpu_time_info. */
export const VCPU_TIME = {
  version: 0,
  tsc_timestamp: 8,
  system_time: 16,
  tsc_to_system_mul: 24,
  tsc_shift: 28,
  flags: 29,
  bytes: 32,
} as const

/** Byte offsets in struct shared_info, whose beginning is an array of vcpu_info. */
export const SHARED_INFO = {
  vcpus: 32,
  evtchn_pending: 0x800,
  evtchn_mask: 0xa00,
  wc_version: 0xc00,
  wc_sec: 0xc04,
  wc_nsec: 0xc08,
  wc_sec_hi: 0xc0c,
} as const

/** Commands of xen_version: Xen's public/version.h. */
export const XENVER = {
  version: 0,
  extraversion: 1,
  compile_info: 2,
  capabilities: 3,
  changeset: 4,
  platform_parameters: 5,
  get_features: 6,
  pagesize: 7,
  guest_handle: 8,
  commandline: 9,
  build_id: 10,
  extraversion2: 11,
  capabilities2: 12,
  changeset2: 13,
  commandline2: 14,
} as const

/** Commands of grant_table_op: Xen's public/grant_table.h. */
export const GNTTABOP = {
  map_grant_ref: 0,
  unmap_grant_ref: 1,
  setup_table: 2,
  query_size: 6,
  set_version: 8,
  get_version: 10,
} as const
