#include "probe.h"

/*
 * A small toolstack: dom0's probe builds a domain of 8 MiB out of itself, gives it the script, and serves it: it prints
 * for it and asks Xen about its frames. The other half of the mailbox, the domain's, is here too.
 */

enum { CREATEDOMAIN = 1, UNPAUSEDOMAIN = 4, GETDOMAININFO = 5, MAX_MEM = 11, SETVCPUCONTEXT = 12, MAX_VCPUS = 15 };
#define DOMID 1
#define MAX_MEM_KIB (64 * 1024)
#define INFO_SHUTDOWN 4

struct domctl {
  u32 command, version;
  u16 domain, pad[3];
  union {
    struct {
      u32 ssidref;
      u8 handle[16];
      u32 flags, iommu, max_vcpus, max_ports;
      int grant_frames, maptrack_frames;
      u32 grant_opts, vmtrace_size, cpupool, emulation_flags, misc_flags;
    } create;
    struct { u16 domain, pad; u32 flags; u64 pages[5], shared_info; } info;
    struct { u64 kib; } max_mem;
    struct { u32 count; } max_vcpus;
    struct { u32 vcpu, pad; u64 context; } vcpucontext;
    u8 size[128];
  };
};

/* struct vcpu_guest_context: what a vCPU begins with. */
struct context {
  u8 fpu[512];
  u64 flags;
  struct {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u32 error_code, entry_vector;
    u64 rip;
    u16 cs, pad;
    u8 upcall_mask, pad2[3];
    u64 rflags, rsp, ss, es, ds, fs, gs;
  } regs;
  struct trap_info traps[256];
  u64 ldt_base, ldt_entries, gdt_frames[16], gdt_entries, kernel_ss, kernel_sp;
  u64 control[8], debug[8];
  u64 event, failsafe, syscall, vm_assist, fs_base, gs_base_kernel, gs_base_user;
};
/* VGCF_in_kernel and VGCF_online. */
#define IN_KERNEL 4
#define ONLINE 0x20

/* Where the domain has its own things, as pfns: src/run/script-machine.ts has the same. */
enum { LIST = 0x500, START_INFO = 0x504, TABLES = 0x508, L3 = 0x509, L2 = 0x50a, L1 = 0x50b, TABLES_END = 0x50f, SCRIPT = 0x520 };

/* dom0's own scratch pages serve for what is large: its scripts never use them then. */
#define FRAMES ((u64 *)POOL)
#define CONTEXT ((struct context *)(POOL + 8 * PAGE))
/* Where dom0 maps the page that it fills, and the domain's mailbox. */
#define FILLED WINDOW
#define MAILBOX_OF_DOMU (WINDOW + PAGE)

enum { EMPTY, TEXT_INSIDE, FRAME_INSIDE };
struct mailbox {
  volatile u32 state, bytes;
  volatile u64 frame;
  char text[2048];
};

static struct domctl domctl;

/*
 * The version of the interface goes with the minor version of Xen. A domain's grant tables have a version to say since 4.17; before,
 * the word belongs to the architecture, which wants nothing of a PV domain.
 */
static struct { u32 xen, domctl, grant_opts; } interface;

static void find_interface(void)
{
  static const typeof(interface) known[] = { { 14, 0x12, 0 }, { 17, 0x15, 1 }, { 20, 0x17, 1 } };
  u32 minor = hypercall(XEN_VERSION, 0, 0, 0, 0, 0) & 0xffff;
  for (u64 i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].xen <= minor)
      interface = known[i];
}

static s64 control(u32 command)
{
  domctl.command = command;
  domctl.version = interface.domctl;
  domctl.domain = DOMID;
  return hypercall(DOMCTL, (u64)&domctl, 0, 0, 0, 0);
}

static void must(s64 rc, const char *what)
{
  if (rc >= 0)
    return;
  put("@die toolstack: ");
  put(what);
  put(" rc=");
  put_number(rc);
  put("\n");
  flush();
  for (;;)
    yield();
}

static void create(void)
{
  memset(&domctl, 0, sizeof domctl);
  domctl.create.max_vcpus = 1;
  domctl.create.max_ports = 1023;
  domctl.create.grant_frames = domctl.create.maptrack_frames = -1;
  domctl.create.grant_opts = interface.grant_opts;
  must(control(CREATEDOMAIN), "createdomain");
  domctl.max_vcpus.count = 1;
  must(control(MAX_VCPUS), "max_vcpus");
  domctl.max_mem.kib = MAX_MEM_KIB;
  must(control(MAX_MEM), "max_mem");
  struct memory_reservation all = { (u64)FRAMES, MAPPED_PAGES, 0, 0, DOMID, { 0 } };
  for (u64 pfn = 0; pfn < MAPPED_PAGES; pfn++)
    FRAMES[pfn] = pfn;
  must(hypercall(MEMORY_OP, POPULATE_PHYSMAP, (u64)&all, 0, 0, 0) == MAPPED_PAGES ? 0 : -1, "populate_physmap");
}

/* Map a frame of the domain's in dom0. */
static void map(u64 va, u64 mfn)
{
  must(update_va(va, mfn << 12 | 0x63 | 1ul << 63, UVMF_INVLPG, DOMID), "mapping a frame of the domain");
}

static void fill_tables(u64 pfn, u64 *page)
{
  if (pfn == TABLES)
    page[511] = FRAMES[L3] << 12 | 0x67;
  else if (pfn == L3)
    page[510] = FRAMES[L2] << 12 | 0x67;
  else if (pfn == L2)
    for (u64 i = 0; i < MAPPED_PAGES / SLOTS; i++)
      page[i] = FRAMES[L1 + i] << 12 | 0x67;
  else
    for (u64 i = 0; i < SLOTS; i++) {
      u64 mapped = (pfn - L1) * SLOTS + i;
      page[i] = FRAMES[mapped] << 12 | (mapped >= TABLES && mapped < TABLES_END ? 0x65 : 0x67);
    }
}

static void fill_start_info(struct start_info *to, const struct start_info *own, u64 shared_info)
{
  memcpy(to->magic, own->magic, sizeof to->magic);
  to->nr_pages = MAPPED_PAGES;
  to->shared_info = shared_info * PAGE;
  to->pt_base = BASE + TABLES * PAGE;
  to->nr_pt_frames = TABLES_END - TABLES;
  to->mfn_list = BASE + LIST * PAGE;
  to->mod_start = BASE + SCRIPT * PAGE;
  to->mod_len = own->mod_len;
}

/* The contents of one page; all of them begin as zeros. */
static void fill(u64 pfn, void *page, const struct start_info *own, u64 shared_info)
{
  u64 script = (pfn - SCRIPT) * PAGE;
  memset(page, 0, PAGE);
  if (pfn >= (TEXT - BASE) / PAGE && pfn < (DATA_END - BASE) / PAGE && pfn != (SHARED_INFO - BASE) / PAGE)
    memcpy(page, (void *)(BASE + pfn * PAGE), PAGE);
  else if (pfn >= LIST && pfn < START_INFO)
    memcpy(page, FRAMES + (pfn - LIST) * SLOTS, PAGE);
  else if (pfn == START_INFO)
    fill_start_info(page, own, shared_info);
  else if (pfn >= TABLES && pfn < TABLES_END)
    fill_tables(pfn, page);
  else if (pfn >= SCRIPT && script < own->mod_len)
    memcpy(page, (void *)(own->mod_start + script), own->mod_len - script < PAGE ? own->mod_len - script : PAGE);
}

/* Events are masked for every vCPU that there could be. */
static void fill_shared_info(u64 mfn)
{
  map(FILLED, mfn);
  for (u64 vcpu = 0; vcpu < 32; vcpu++)
    ((struct vcpu_info *)FILLED)[vcpu].upcall_mask = 1;
}

static void begin(void)
{
  struct context *context = CONTEXT;
  memset(context, 0, sizeof *context);
  context->flags = IN_KERNEL | ONLINE;
  context->regs.rip = TEXT;
  context->regs.cs = 0xe033;
  context->regs.ss = context->kernel_ss = 0xe02b;
  context->regs.rsp = context->kernel_sp = KERNEL_STACK;
  context->regs.rsi = BASE + START_INFO * PAGE;
  context->regs.rflags = 0x200;
  context->control[3] = FRAMES[TABLES] << 12;
  domctl.vcpucontext.vcpu = 0;
  domctl.vcpucontext.context = (u64)context;
  must(control(SETVCPUCONTEXT), "setvcpucontext");
}

static void pin(void)
{
  ARGS->requests[0] = PIN_L4_TABLE;
  ARGS->requests[1] = FRAMES[TABLES];
  ARGS->requests[2] = 0;
  must(hypercall(MMUEXT_OP, (u64)ARGS->requests, 1, 0, DOMID, 0), "pinning the domain's root");
}

/* Print for the domain, and ask about its frames, until it is dead. */
static void serve(void)
{
  static char text[2049];
  struct mailbox *box = (struct mailbox *)MAILBOX_OF_DOMU;
  for (u64 idle = 0;; idle++) {
    if (box->state == EMPTY) {
      yield();
      if (idle % 64 != 63)
        continue;
      must(control(GETDOMAININFO), "getdomaininfo");
      if (domctl.info.flags & INFO_SHUTDOWN) {
        put("@stopped\n");
        flush();
        return;
      }
      continue;
    }
    idle = 0;
    if (box->state == TEXT_INSIDE) {
      memcpy(text, box->text, box->bytes);
      text[box->bytes] = 0;
      put(text);
      flush();
    } else
      ask_about(box->frame);
    box->state = EMPTY;
  }
}

void run_domu(struct start_info *info)
{
  find_interface();
  create();
  must(control(GETDOMAININFO), "getdomaininfo");
  u64 shared_info = domctl.info.shared_info;
  for (u64 pfn = 0; pfn < MAPPED_PAGES; pfn++) {
    map(FILLED, FRAMES[pfn]);
    fill(pfn, (void *)FILLED, info, shared_info);
  }
  fill_shared_info(shared_info);
  must(update_va(FILLED, 0, UVMF_INVLPG, DOMID_SELF), "unmapping a frame of the domain");
  map(MAILBOX_OF_DOMU, FRAMES[(MAILBOX - BASE) / PAGE]);
  pin();
  begin();
  memset(&domctl, 0, sizeof domctl);
  must(control(UNPAUSEDOMAIN), "unpausedomain");
  serve();
  for (;;)
    yield();
}

/* ---- the domain's half ---- */

static void post(u32 state)
{
  struct mailbox *box = (struct mailbox *)MAILBOX;
  box->state = state;
  while (box->state != EMPTY)
    yield();
}

void mailbox_text(const char *text, u64 bytes)
{
  struct mailbox *box = (struct mailbox *)MAILBOX;
  memcpy(box->text, text, bytes);
  box->bytes = bytes;
  post(TEXT_INSIDE);
}

void mailbox_ask(u64 mfn)
{
  ((struct mailbox *)MAILBOX)->frame = mfn;
  post(FRAME_INSIDE);
}
