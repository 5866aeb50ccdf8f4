/* Numbers and structures of Xen's public interface, as far as the probe uses them. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

#define PAGE 4096ul
#define SLOTS 512

/* Hypercalls. */
enum {
  SET_TRAP_TABLE = 0, MMU_UPDATE = 1, SET_GDT = 2, STACK_SWITCH = 3, UPDATE_DESCRIPTOR = 10, MEMORY_OP = 12,
  UPDATE_VA_MAPPING = 14, CONSOLE_IO = 18, VM_ASSIST = 21, UPDATE_VA_MAPPING_OTHERDOMAIN = 22, IRET = 23,
  XEN_VERSION = 17, MMUEXT_OP = 26, SCHED_OP = 29, CALLBACK_OP = 30, DOMCTL = 36,
};

/* Commands of memory_op. */
enum {
  INCREASE_RESERVATION = 0, DECREASE_RESERVATION = 1, MACHPHYS_MFN_LIST = 5, POPULATE_PHYSMAP = 6, EXCHANGE = 11,
};

/* Commands of mmuext_op. */
enum { PIN_L1_TABLE = 0, PIN_L4_TABLE = 3 };

/* Domain ids that are no domain. */
enum { DOMID_SELF = 0x7ff0, DOMID_IO = 0x7ff1, DOMID_XEN = 0x7ff2 };

enum { SCHED_YIELD = 0, SCHED_SHUTDOWN = 2 };
enum { UVMF_INVLPG = 2 };
enum { CALLBACK_SYSCALL = 2 };
enum { WRITABLE_PAGETABLES = 2 };

/* The machine-to-physical table: the pfn of every frame. */
#define M2P ((u64 *)0xffff800000000000)

struct start_info {
  char magic[32];
  u64 nr_pages;
  u64 shared_info;
  u32 flags, pad;
  u64 store_mfn;
  u32 store_evtchn, pad2;
  u64 console[2];
  u64 pt_base;
  u64 nr_pt_frames;
  u64 mfn_list;
  u64 mod_start;
  u64 mod_len;
  char cmd_line[1024];
};

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u32 pad;
  u64 address;
};

struct callback_register {
  u16 type, flags;
  u32 pad;
  u64 address;
};

struct mmu_request {
  u64 pointer, value;
};

struct mmuext_request {
  u64 command, arg1, arg2;
};

struct multicall_entry {
  u64 number;
  s64 result;
  u64 arguments[6];
};

struct memory_reservation {
  u64 extents, count;
  u32 order, flags;
  u16 domain, pad[3];
};

struct memory_exchange {
  struct memory_reservation in, out;
  u64 exchanged;
};

/* Parts of shared_info: the first vCPU's area at its beginning. */
struct vcpu_info {
  u8 upcall_pending, upcall_mask, pad[6];
  u64 pending_selector;
  u64 cr2;
  u8 rest[40];
};
