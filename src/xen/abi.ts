/** What a guest sees of Xen: numbers and structures of the public interface. Nothing here has behaviour. */

/** Types of an e820 entry as the memory-map hypercalls and firmware number them. */
export const E820 = { usable: 1, reserved: 2, 'ACPI data': 3, 'ACPI NVS': 4, unusable: 5 } as const
export type E820Type = keyof typeof E820

/** One entry of a memory map: bytes, `end` exclusive. */
export type E820Entry = { readonly start: number; readonly end: number; readonly type: E820Type }

/** Hypercall numbers: Xen's public/xen.h. */
export const HYPERCALL = {
  set_trap_table: 0,
  mmu_update: 1,
  set_gdt: 2,
  stack_switch: 3,
  set_callbacks: 4,
  fpu_taskswitch: 5,
  update_descriptor: 10,
  memory_op: 12,
  multicall: 13,
  update_va_mapping: 14,
  xen_version: 17,
  console_io: 18,
  vm_assist: 21,
  update_va_mapping_otherdomain: 22,
  iret: 23,
  set_segment_base: 25,
  mmuext_op: 26,
  sched_op: 29,
  callback_op: 30,
  event_channel_op: 32,
  physdev_op: 33,
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
export const VM_ASSIST = { writable_pagetables: 2 } as const

/** Flags of start_info. */
export const SIF = { PRIVILEGED: 1, INITDOMAIN: 2, MOD_START_PFN: 8, VIRT_P2M_4TOOLS: 16 } as const

/** Byte offsets in start_info, the page at which a PV guest's life begins: Xen's public/xen.h. */
export const START_INFO = {
  nr_pages: 32,
  shared_info: 40,
  flags: 48,
  store_mfn: 56,
  store_evtchn: 64,
  console_mfn: 72,
  console_evtchn: 80,
  pt_base: 88,
  nr_pt_frames: 96,
  mfn_list: 104,
  mod_start: 112,
  mod_len: 120,
  cmd_line: 128,
  cmd_line_bytes: 1024,
  first_p2m_pfn: 1152,
  nr_p2m_frames: 1160,
} as const

/** Command bits of an mmu_update request's pointer. */
export const MMU = { NORMAL_PT_UPDATE: 0, MACHPHYS_UPDATE: 1, PT_UPDATE_PRESERVE_AD: 2 } as const

/** Types of callback_op: Xen's public/callback.h. */
export const CALLBACK = { event: 0, failsafe: 1, syscall: 2, nmi: 4, sysenter: 5, syscall32: 7 } as const

/** Commands of sched_op: Xen's public/sched.h. */
export const SCHED_OP = { yield: 0, block: 1, shutdown: 2 } as const

/** Commands of physdev_op: Xen's public/physdev.h. */
export const PHYSDEV_OP = { set_iopl: 6, set_iobitmap: 7 } as const
