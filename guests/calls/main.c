#include "calls.h"

/*
 * A PV kernel that makes hypercalls and executes privileged instructions one after the other, and prints what came of each:
 * results, and the words of the structures that Xen writes to. Two hypervisors that are alike make it print the same.
 */

#define MOST_WORDS_OUT 24

void say(const char *name, s64 rc)
{
  put("@call ");
  put(name);
  put(" ");
  put_number(rc);
}

static void put_frame(u64 word)
{
  put(" ");
  put_hex(word);
}

void words_out(u64 count)
{
  for (u64 i = 0; i < count; i++) {
    put(" ");
    put_hex(DATA[i]);
  }
}

void end(void)
{
  put("\n");
  flush();
}

/* A hypercall of a command and a structure of four words, and what `out` words of it are afterwards. */
s64 op(const char *name, u64 nr, u64 command, u32 a, u32 b, u32 c, u32 d, u64 out)
{
  for (u64 i = 0; i < MOST_WORDS_OUT; i++)
    DATA[i] = 0x55555555;
  DATA[0] = a;
  DATA[1] = b;
  DATA[2] = c;
  DATA[3] = d;
  s64 rc = hypercall(nr, command, POOL, 0, 0, 0);
  say(name, rc);
  words_out(out);
  end();
  return rc;
}

/* The same of a vCPU. */
static s64 vcpu_op(const char *name, u64 command, u64 vcpu, u64 a, u32 b, u64 out)
{
  for (u64 i = 0; i < MOST_WORDS_OUT; i++)
    DATA[i] = 0;
  DATA64[0] = a;
  DATA[2] = b;
  s64 rc = hypercall(VCPU_OP, command, vcpu, POOL, 0, 0);
  say(name, rc);
  words_out(out);
  end();
  return rc;
}

static void pending(const char *name)
{
  volatile u64 *shared = (volatile u64 *)SHARED_INFO;
  volatile struct vcpu_info *info = (volatile struct vcpu_info *)SHARED_INFO;
  say(name, info->upcall_pending);
  put(" ");
  put_hex(info->pending_selector);
  put(" ");
  put_hex(shared[0x800 / 8]);
  put(" ");
  put_number(info->upcall_mask);
  end();
}

static void clear_pending(void)
{
  volatile u64 *shared = (volatile u64 *)SHARED_INFO;
  volatile struct vcpu_info *info = (volatile struct vcpu_info *)SHARED_INFO;
  info->upcall_pending = 0;
  info->pending_selector = 0;
  shared[0x800 / 8] = 0;
}

static u64 first_port(void)
{
  return DATA[1];
}

static void events(void)
{
  op("alloc_unbound", EVENT_CHANNEL_OP, 6, DOMID_SELF | DOMID_SELF << 16, 0, 0, 0, 3);
  u64 unbound = first_port();
  op("alloc_unbound other", EVENT_CHANNEL_OP, 6, DOMID_SELF | 5 << 16, 0, 0, 0, 3);
  op("alloc_unbound none", EVENT_CHANNEL_OP, 6, 77, 0, 0, 0, 1);
  u64 other = first_port();
  op("status unbound", EVENT_CHANNEL_OP, 5, DOMID_SELF, unbound, 0, 0, 6);
  op("status of none", EVENT_CHANNEL_OP, 5, DOMID_SELF, 900, 0, 0, 2);
  for (u64 port = 30; port < 260; port = port < 60 || port > 250 ? port + 1 : port < 120 ? port + 4 : port + 20)
    op("status free", EVENT_CHANNEL_OP, 5, DOMID_SELF, port, 0, 0, 4);
  op("unmask free", EVENT_CHANNEL_OP, 9, 20, 0, 0, 0, 1);
  op("send free", EVENT_CHANNEL_OP, 4, 20, 0, 0, 0, 1);
  op("status beyond", EVENT_CHANNEL_OP, 5, DOMID_SELF, 5000, 0, 0, 2);
  op("status other", EVENT_CHANNEL_OP, 5, 77, unbound, 0, 0, 2);
  clear_pending();
  op("bind_interdomain", EVENT_CHANNEL_OP, 0, DOMID_SELF, unbound, 0, 0, 4);
  u64 bound = DATA[2];
  pending("after bind");
  op("bind_interdomain again", EVENT_CHANNEL_OP, 0, DOMID_SELF, unbound, 0, 0, 2);
  op("bind_interdomain other", EVENT_CHANNEL_OP, 0, DOMID_SELF, other, 0, 0, 2);
  op("bind_interdomain none", EVENT_CHANNEL_OP, 0, 77, 1, 0, 0, 2);
  op("status bound", EVENT_CHANNEL_OP, 5, DOMID_SELF, bound, 0, 0, 6);
  clear_pending();
  op("send", EVENT_CHANNEL_OP, 4, bound, 0, 0, 0, 1);
  pending("after send");
  op("send unbound", EVENT_CHANNEL_OP, 4, other, 0, 0, 0, 1);
  op("send none", EVENT_CHANNEL_OP, 4, 900, 0, 0, 0, 1);
  op("send beyond", EVENT_CHANNEL_OP, 4, 5000, 0, 0, 0, 1);
  clear_pending();
  op("close", EVENT_CHANNEL_OP, 3, bound, 0, 0, 0, 1);
  op("close again", EVENT_CHANNEL_OP, 3, bound, 0, 0, 0, 1);
  op("close 0", EVENT_CHANNEL_OP, 3, 0, 0, 0, 0, 1);
  op("status of the other end", EVENT_CHANNEL_OP, 5, DOMID_SELF, unbound, 0, 0, 6);
  op("bind_ipi", EVENT_CHANNEL_OP, 7, 0, 0, 0, 0, 2);
  u64 ipi = first_port();
  op("bind_ipi of none", EVENT_CHANNEL_OP, 7, 5, 0, 0, 0, 1);
  op("status ipi", EVENT_CHANNEL_OP, 5, DOMID_SELF, ipi, 0, 0, 4);
  ((volatile u64 *)SHARED_INFO)[0xa00 / 8] = 1ul << ipi;
  op("send masked", EVENT_CHANNEL_OP, 4, ipi, 0, 0, 0, 1);
  pending("while masked");
  op("unmask", EVENT_CHANNEL_OP, 9, ipi, 0, 0, 0, 1);
  pending("after unmask");
  op("unmask none", EVENT_CHANNEL_OP, 9, 900, 0, 0, 0, 1);
  op("unmask beyond", EVENT_CHANNEL_OP, 9, 5000, 0, 0, 0, 1);
  clear_pending();
  op("bind_virq timer", EVENT_CHANNEL_OP, 1, 0, 0, 0, 0, 3);
  u64 timer = DATA[2];
  op("bind_virq again", EVENT_CHANNEL_OP, 1, 0, 0, 0, 0, 2);
  op("bind_virq debug", EVENT_CHANNEL_OP, 1, 1, 0, 0, 0, 3);
  u64 debug = DATA[2];
  op("bind_virq of none", EVENT_CHANNEL_OP, 1, 1, 5, 0, 0, 2);
  op("bind_virq global", EVENT_CHANNEL_OP, 1, 3, 1, 0, 0, 2);
  op("bind_virq beyond", EVENT_CHANNEL_OP, 1, 24, 0, 0, 0, 2);
  op("status virq", EVENT_CHANNEL_OP, 5, DOMID_SELF, debug, 0, 0, 5);
  op("send virq", EVENT_CHANNEL_OP, 4, debug, 0, 0, 0, 1);
  op("bind_vcpu virq", EVENT_CHANNEL_OP, 8, debug, 0, 0, 0, 1);
  op("bind_vcpu unbound", EVENT_CHANNEL_OP, 8, unbound, 0, 0, 0, 1);
  op("bind_vcpu of none", EVENT_CHANNEL_OP, 8, unbound, 5, 0, 0, 1);
  op("bind_vcpu ipi", EVENT_CHANNEL_OP, 8, ipi, 0, 0, 0, 1);
  op("bind_vcpu nothing", EVENT_CHANNEL_OP, 8, 900, 0, 0, 0, 1);
  op("unknown", EVENT_CHANNEL_OP, 99, 0, 0, 0, 0, 1);
  say("no structure", hypercall(EVENT_CHANNEL_OP, 4, 0xffff800000000000, 0, 0, 0));
  end();

  /* Time: wait for the timer by polling for its port. */
  volatile u64 *shared = (volatile u64 *)SHARED_INFO;
  vcpu_op("stop periodic", 7, 0, 0, 0, 0);
  clear_pending();
  say("stop timer", hypercall(SET_TIMER_OP, 0, 0, 0, 0, 0));
  end();
  vcpu_op("singleshot in the past", 8, 0, 1, 0, 0);
  while ((shared[0x800 / 8] & 1ul << timer) == 0)
    yield();
  pending("after the timer");
  clear_pending();
  vcpu_op("singleshot in the past, future wanted", 8, 0, 1, 1, 0);
  clear_pending();
  vcpu_op("stop singleshot", 9, 0, 0, 0, 0);
  vcpu_op("periodic too fast", 6, 0, 999999, 0, 0);
  vcpu_op("periodic", 6, 0, 2000000, 0, 0);
  while ((shared[0x800 / 8] & 1ul << timer) == 0)
    yield();
  pending("after a tick");
  vcpu_op("stop periodic", 7, 0, 0, 0, 0);
  /* A tick does not wake who waits: a single shot does. */
  hypercall(VCPU_OP, 4, 0, POOL, 0, 0);
  clear_pending();
  vcpu_op("singleshot", 8, 0, DATA64[1] + 100000000, 0, 0);
  DATA[0x100] = timer;
  DATA64[0] = POOL + 0x400;
  DATA[2] = 1;
  DATA64[2] = 0;
  clear_pending();
  say("poll", hypercall(SCHED_OP, 3, POOL, 0, 0, 0));
  put(shared[0x800 / 8] & 1ul << timer ? " pending" : " nothing");
  end();
  clear_pending();
  DATA64[0] = POOL + 0x400;
  DATA[2] = 1;
  DATA64[2] = 1;
  say("poll until the past", hypercall(SCHED_OP, 3, POOL, 0, 0, 0));
  end();
  DATA[2] = 129;
  say("poll too many", hypercall(SCHED_OP, 3, POOL, 0, 0, 0));
  end();
  DATA[0x100] = 5000;
  DATA[2] = 1;
  say("poll beyond", hypercall(SCHED_OP, 3, POOL, 0, 0, 0));
  end();
  say("sched_op unknown", hypercall(SCHED_OP, 99, POOL, 0, 0, 0));
  end();
}

static void versions(void)
{
  say("version", hypercall(XEN_VERSION, 0, 0, 0, 0, 0));
  end();
  op("features", XEN_VERSION, 6, 0, 0, 0, 0, 2);
  op("features 1", XEN_VERSION, 6, 1, 0, 0, 0, 2);
  op("features beyond", XEN_VERSION, 6, 9, 0, 0, 0, 2);
  op("platform parameters", XEN_VERSION, 5, 0, 0, 0, 0, 3);
  say("page size", hypercall(XEN_VERSION, 7, 0, 0, 0, 0));
  end();
  say("unknown version", hypercall(XEN_VERSION, 99, POOL, 0, 0, 0));
  end();
}

static void vcpus(void)
{
  vcpu_op("is_up", 3, 0, 0, 0, 0);
  vcpu_op("is_up of none", 3, 9, 0, 0, 0);
  vcpu_op("is_up far beyond", 3, 0x100000000, 0, 0, 0);
  vcpu_op("up", 1, 0, 0, 0, 0);
  vcpu_op("runstate", 4, 0, 0, 0, 2);
  vcpu_op("unknown vcpu_op", 99, 0, 0, 0, 0);
  u64 mfn = p2m[(POOL - BASE) / PAGE + 8];
  vcpu_op("vcpu_info beyond", 10, 0, mfn, 4096 - 56, 0);
  vcpu_op("vcpu_info crooked", 10, 0, mfn, 4, 0);
  vcpu_op("vcpu_info nowhere", 10, 0, 0x7fffffff, 0, 0);
}

static void grants(void)
{
  op("query_size", GRANT_TABLE_OP, 6, DOMID_SELF, 0, 0, 0, 1);
  for (u64 i = 0; i < 8; i++)
    DATA[i] = 0;
  DATA[0] = DOMID_SELF;
  say("query_size of one", hypercall(GRANT_TABLE_OP, 6, POOL, 1, 0, 0));
  words_out(4);
  end();
  DATA[0] = 3;
  say("set_version 3", hypercall(GRANT_TABLE_OP, 8, POOL, 1, 0, 0));
  end();
  DATA[0] = 1;
  say("set_version 1", hypercall(GRANT_TABLE_OP, 8, POOL, 1, 0, 0));
  end();
  DATA[0] = DOMID_SELF;
  DATA[1] = 0;
  say("get_version", hypercall(GRANT_TABLE_OP, 10, POOL, 1, 0, 0));
  words_out(2);
  end();
  for (u64 i = 0; i < 8; i++)
    DATA[i] = 0;
  DATA[0] = DOMID_SELF;
  DATA[1] = 2;
  DATA64[2] = POOL + 0x800;
  DATA64[0x101] = 0;
  say("setup_table", hypercall(GRANT_TABLE_OP, 2, POOL, 1, 0, 0));
  put(" ");
  put_hex(DATA[2] & 0xffff);
  put(DATA64[0x100] != 0 && DATA64[0x101] != 0 ? " frames" : " none");
  end();
  DATA[1] = 1000;
  say("setup_table of many", hypercall(GRANT_TABLE_OP, 2, POOL, 1, 0, 0));
  put(" ");
  put_hex(DATA[2] & 0xffff);
  end();
  for (u64 i = 0; i < 16; i++)
    DATA[i] = 0x11111111;
  DATA[4] = 77;
  say("map_grant_ref", hypercall(GRANT_TABLE_OP, 0, POOL, 1, 0, 0));
  words_out(6);
  end();
  for (u64 i = 0; i < 16; i++)
    DATA[i] = 0x11111111;
  say("unmap_grant_ref", hypercall(GRANT_TABLE_OP, 1, POOL, 1, 0, 0));
  put(" ");
  put_hex(DATA[5] & 0xffff);
  end();
  say("unknown grant_table_op", hypercall(GRANT_TABLE_OP, 99, POOL, 1, 0, 0));
  end();
}


/* An instruction with rax and rcx given: the exception, its error code, or the registers. */
void try(const char *name, void (*code)(void), u64 rax, u64 rcx, u64 shown)
{
  u64 registers[4] = {rax, 0, rcx, 0};
  attempt(code, registers);
  say(name, caught_vector);
  if (caught_vector != -1) {
    put(" ");
    put_hex(caught_error);
  } else {
    for (u64 i = 0; i < 4; i++) {
      if ((shown & 1ul << i) == 0)
        continue;
      put(" ");
      put_hex(registers[i]);
    }
  }
  end();
}

CODE(rdmsr) CODE(wrmsr) CODE(read_cr0) CODE(write_cr0) CODE(read_cr8) CODE(clts) CODE(hlt) CODE(invlpg)
CODE(lsl) CODE(lar) CODE(verr) CODE(verw) CODE(load_fs) CODE(load_ds) CODE(int3)
CODE(undefined) CODE(swapgs) CODE(lldt) CODE(cpuid) CODE(fpu) CODE(sse) CODE(flags) CODE(selectors) CODE(rdpmc)
CODE(retf)


static void instructions(void)
{
  static const u64 selectors[] = {0, 3, 0x10, 0xe008, 0xe010, 0xe020, 0xe023, 0xe028, 0xe02b, 0xe033, 0xe03b, 0xe043, 0xe3fb, 0xfffb, 7, 0xf};
  static const u64 msrs[] = {
    0x0, 0x1, 0x2, 0x1b, 0xce, 0xfe, 0x140, 0x179, 0x17a, 0x17b, 0x17c, 0x1a0, 0x200, 0x277, 0x2ff, 0x345, 0x400, 0x401, 0x404, 0x405,
    0x408, 0x420, 0x47f, 0x480, 0x12345, 0x40000000, 0x40000001, 0xc0000080, 0xc0000081, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
    0xc0010000, 0xc0010007, 0xc0010008, 0xc0010010, 0xc0010015, 0xc001001a, 0xc001001b, 0xc0010061, 0xc001006b, 0xc0010113,
    0xc0010114, 0xc001020b,
    0x33, 0x48, 0x49, 0x4e, 0x79, 0xcf, 0x10a, 0x10f, 0x122, 0x174, 0x1d9, 0x201, 0x202, 0x250, 0x258, 0x268, 0x26f, 0x570, 0x6a0,
    0x400000ff, 0x40000200, 0xc0000084, 0xc0010020, 0xc0010030, 0xc0010114, 0xc0010140, 0xc0011004, 0xc0011029,
    0xc00102f0,
  };
  try("cr0", code_read_cr0, 0, 0, RAX);
  try("cr8", code_read_cr8, 0, 0, RAX);
  say("fpu_taskswitch", hypercall(FPU_TASKSWITCH, 1, 0, 0, 0, 0));
  end();
  try("cr0 with TS", code_read_cr0, 0, 0, RAX);
  try("fpu with TS", code_fpu, 0, 0, 0);
  try("fpu again", code_fpu, 0, 0, 0);
  hypercall(FPU_TASKSWITCH, 1, 0, 0, 0, 0);
  try("sse with TS", code_sse, 0, 0, 0);
  hypercall(FPU_TASKSWITCH, 1, 0, 0, 0, 0);
  try("clts", code_clts, 0, 0, 0);
  try("sse after clts", code_sse, 0, 0, 0);
  try("write cr0 with TS", code_write_cr0, 0x8005003b, 0, 0);
  try("fpu with TS", code_fpu, 0, 0, 0);
  try("write cr0 without PG", code_write_cr0, 0x5003b, 0, 0);
  for (u64 i = 0; i < sizeof msrs / sizeof *msrs; i++)
    try("rdmsr", code_rdmsr, 0, msrs[i], RAX | RDX | RCX);
  try("wrmsr fs", code_wrmsr, 0x1234, 0xc0000100, 0);
  try("rdmsr fs", code_rdmsr, 0, 0xc0000100, RAX | RDX);
  say("set_segment_base", hypercall(SET_SEGMENT_BASE, 0, 0x5678, 0, 0, 0));
  end();
  try("rdmsr fs", code_rdmsr, 0, 0xc0000100, RAX | RDX);
  say("set_segment_base user gs", hypercall(SET_SEGMENT_BASE, 1, 0x9abc, 0, 0, 0));
  end();
  try("rdmsr user gs", code_rdmsr, 0, 0xc0000102, RAX | RDX);
  say("set_segment_base nowhere", hypercall(SET_SEGMENT_BASE, 0, 0x800000000000, 0, 0, 0));
  end();
  say("set_segment_base unknown", hypercall(SET_SEGMENT_BASE, 4, 0, 0, 0, 0));
  end();
  try("wrmsr pat", code_wrmsr, 1, 0x277, 0);
  for (u64 i = 0; i < sizeof selectors / sizeof *selectors; i++) {
    try("lsl", code_lsl, selectors[i], 0, RAX | RBX);
    try("lar", code_lar, selectors[i], 0, RAX | RBX);
    try("verr", code_verr, selectors[i], 0, RAX | RBX);
    try("verw", code_verw, selectors[i], 0, RAX | RBX);
    try("fs", code_load_fs, selectors[i], 0, RAX | RBX);
    try("ds", code_load_ds, selectors[i], 0, RAX | RBX);
  }
  try("selectors", code_selectors, 0, 0, RAX | RBX | RCX | RDX);
  try("ds", code_load_ds, 0, 0, RAX | RBX);
  try("retf", code_retf, 0xe033, 0, 0);
  try("retf to data", code_retf, 0xe02b, 0, 0);
  try("retf to nothing", code_retf, 0x33, 0, 0);
  try("int3", code_int3, 0, 0, 0);
  try("ud2", code_undefined, 0, 0, 0);
  try("hlt", code_hlt, 0, 0, 0);
  try("invlpg", code_invlpg, 0, 0, 0);
  try("swapgs", code_swapgs, 0, 0, 0);
  try("lldt", code_lldt, 0, 0, 0);
  try("rdpmc", code_rdpmc, 0, 0, 0);
  try("flags", code_flags, 0x3a46, 0, RBX);
  try("flags", code_flags, 0x244ed7 & ~0x100, 0, RBX);
  try("cpuid of Xen", code_cpuid, 0x40000000, 0, RAX | RBX | RCX | RDX);
  try("cpuid of Xen, version", code_cpuid, 0x40000001, 0, RAX);
  try("cpuid of Xen, hypercalls", code_cpuid, 0x40000002, 0, RAX | RBX);
  try("cpuid of Xen, time", code_cpuid, 0x40000003, 0, RAX | RBX | RCX | RDX);
  try("cpuid of Xen, memory", code_cpuid, 0x40000005, 0, RAX | RBX | RCX | RDX);
}

extern u64 kept_frame[9];
extern void keep_frame(void);
CODE(frame) CODE(frame_int) CODE(hypercall) CODE(block)

/* What a handler finds: the interrupted place by its distance, cs with the mask, both rflags, both stack pointers, ss. */
static void frame(const char *name, void (*code)(void), u64 flags)
{
  volatile struct vcpu_info *info = (volatile struct vcpu_info *)SHARED_INFO;
  u64 registers[4] = {flags, 0, 0x1111, 0};
  for (u64 i = 0; i < 9; i++)
    kept_frame[i] = 0;
  attempt(code, registers);
  say(name, (s64)(kept_frame[2] - (u64)code));
  put_frame(kept_frame[0]);
  put_frame(kept_frame[3]);
  put_frame(kept_frame[4]);
  put_frame(kept_frame[5] - kept_frame[7]);
  put_frame(kept_frame[6]);
  put_frame(kept_frame[8]);
  put_frame(info->upcall_mask);
  end();
  info->upcall_mask = 1;
}

static void frames(void)
{
  static const u64 flags[] = {0x202, 0x203, 0x2d7, 0xad7, 0x602, 0x4202, 0x40202, 0x200202, 0x3202};
  static struct trap_info table[3];
  volatile struct vcpu_info *info = (volatile struct vcpu_info *)SHARED_INFO;
  table[0].vector = 6;
  table[1].vector = 3;
  table[0].cs = table[1].cs = 0xe033;
  table[0].address = table[1].address = (u64)keep_frame;
  for (u64 masks = 0; masks < 2; masks++) {
    table[0].flags = table[1].flags = masks * 4;
    hypercall(SET_TRAP_TABLE, (u64)table, 0, 0, 0, 0);
    for (u64 i = 0; i < sizeof flags / sizeof *flags; i++) {
      frame("frame", code_frame, flags[i]);
      clear_pending();
      info->upcall_mask = 0;
      frame("frame with events", code_frame, flags[i]);
      frame("frame of int3", code_frame_int, flags[i]);
    }
  }
  DATA[0] = 3;
  hypercall(PHYSDEV_OP, 6, POOL, 0, 0, 0);
  frame("frame with ports", code_frame, 0x202);
  hypercall(VM_ASSIST, 0, 4, 0, 0, 0);
  frame("frame with its own level", code_frame, 0x202);
  DATA[0] = 1;
  hypercall(PHYSDEV_OP, 6, POOL, 0, 0, 0);
  frame("frame with level 1", code_frame, 0x202);
  hypercall(VM_ASSIST, 1, 4, 0, 0, 0);
  set_handlers();
}

/* Events enter the kernel on the way back from a hypercall, when it takes them. */
static void upcalls(void)
{
  volatile struct vcpu_info *info = (volatile struct vcpu_info *)SHARED_INFO;
  op("bind_ipi", EVENT_CHANNEL_OP, 7, 0, 0, 0, 0, 2);
  u32 port = first_port();
  for (u16 flags = 0; flags < 2; flags++) {
    ARGS->callback.type = 0;
    ARGS->callback.flags = flags;
    ARGS->callback.address = (u64)keep_frame;
    say("callback_op", hypercall(CALLBACK_OP, 0, (u64)&ARGS->callback, 0, 0, 0));
    end();
    clear_pending();
    DATA[0] = port;
    hypercall(EVENT_CHANNEL_OP, 4, POOL, 0, 0, 0);
    frame("masked event", code_hypercall, 0);
    info->upcall_mask = 0;
    frame("event", code_hypercall, 0);
    pending("after the event");
    frame("event of block", code_block, 0);
  }
  clear_pending();
}

static void debug_registers(void)
{
  static const u64 values[][2] = {
    {0, 0x1000}, {1, 0xffff800000000000}, {2, 0x800000000000}, {4, 1}, {5, 1}, {6, 0xffffffff}, {7, 0x402}, {7, 0x2002}, {7, 0x20002}, {8, 0},
  };
  for (u64 i = 0; i < sizeof values / sizeof *values; i++) {
    say("set_debugreg", hypercall(SET_DEBUGREG, values[i][0], values[i][1], 0, 0, 0));
    put(" ");
    put_number((s64)values[i][0]);
    end();
  }
  for (u64 i = 0; i < 9; i++) {
    say("get_debugreg", hypercall(GET_DEBUGREG, i, 0, 0, 0, 0));
    end();
  }
  hypercall(SET_DEBUGREG, 7, 0, 0, 0, 0);
}

static void others(void)
{
  static const u64 iopls[] = {0, 1, 3, 4};
  for (u64 i = 0; i < 4; i++) {
    DATA[0] = iopls[i];
    say("set_iopl", hypercall(PHYSDEV_OP, 6, POOL, 0, 0, 0));
    end();
  }
  say("no hypercall", hypercall(63, 0, 0, 0, 0, 0));
  end();
  say("no hypercall", hypercall(1000, 0, 0, 0, 0, 0));
  end();
  say("no hypercall", hypercall(0x100000012, 0, 0, 0, 0, 0));
  end();
  for (u64 i = 0; i < 8; i++) {
    say("vm_assist", hypercall(VM_ASSIST, 0, i, 0, 0, 0));
    end();
  }
}

void crash(void);

/* The end that a script of the word `crash` asks for: with a handler for nothing. */
static void crash_on_purpose(void)
{
  hypercall(SET_SEGMENT_BASE, 0, 0x5678, 0, 0, 0);
  hypercall(SET_SEGMENT_BASE, 1, 0x9abc, 0, 0, 0);
  hypercall(SET_SEGMENT_BASE, 2, 0xdef0, 0, 0, 0);
  access_load8(0x123456789000);
  hypercall(SET_TRAP_TABLE, 0, 0, 0, 0, 0);
  crash();
}

void probe_main(struct start_info *info)
{
  p2m = (u64 *)info->mfn_list;
  set_handlers();
  update_va(SHARED_INFO, info->shared_info | 0x63 | 1ul << 63, UVMF_INVLPG, DOMID_SELF);
  put("@probe dom0\n");
  flush();
  if (info->mod_len >= 5 && ((char *)info->mod_start)[0] == 'c')
    crash_on_purpose();
  versions();
  vcpus();
  events();
  grants();
  instructions();
  frames();
  upcalls();
  debug_registers();
  others();
  platform();
  put("@end\n");
  flush();
  for (;;)
    yield();
}

/* What the probe's parts have of one another and this kernel has no use for. */
u64 *p2m;
void mailbox_text(const char *text, u64 bytes)
{
  (void)text;
  (void)bytes;
}
