#include "probe.h"

/* The probe's life: make itself at home, name what scripts may name, and run the script. */

static u64 frame_in(u64 table, u64 slot)
{
  return ((volatile u64 *)table)[slot] << 12 >> 24;
}

/* A table in use, under a name; its address, since the kernel maps all of its tables. */
static u64 name_table(const char *name, u64 mfn)
{
  u64 pfn = M2P[mfn], va = BASE + pfn * PAGE;
  name_frame(name, mfn, (s64)pfn, va, 0);
  return va;
}

static void name_frames(const struct start_info *info)
{
  u64 root = info->pt_base;
  name_table("KL4", p2m[(root - BASE) / PAGE]);
  u64 l3 = name_table("KL3", frame_in(root, 511));
  u64 l2 = name_table("KL2", frame_in(l3, 510));
  name_table("KL1K", frame_in(l2, 0));
  name_table("KL1P", frame_in(l2, 1));
  name_table("KL1W", frame_in(l2, 2));
  name_frame("SHINFO", info->shared_info / PAGE, -1, SHARED_INFO, 0);
  name_frame("XM2PL3", frame_in(root, 256), -1, 0, 0);
  name_frame("XPERD", frame_in(root, 260), -1, 0, 0);
  name_frame("XTEXTL3", frame_in(root, 261), -1, 0, 0);
  name_frame("XDIRL3", frame_in(root, 262), -1, 0, 0);
  ARGS->mfn_list.max = 1;
  ARGS->mfn_list.list = (u64)&ARGS->extent;
  ARGS->mfn_list.count = 0;
  if (hypercall(MEMORY_OP, MACHPHYS_MFN_LIST, (u64)&ARGS->mfn_list, 0, 0, 0) == 0)
    name_frame("M2PF", ARGS->extent, -1, 0, 0);
  name_frame("LOWIO", 0xb8, -1, 0, 0);
  name_frame("LAPIC", 0xfee00, -1, 0, 0);
  name_frame("IOAPIC", 0xfec00, -1, 0, 0);
  name_frame("NORAM", 0x1000000, -1, 0, 0);
  name_frame("INVAL", 0xffffffffff, -1, 0, 0);
}

/* All frames of the domain, as runs: pfn, mfn, how many, and by how much the mfn changes from one to the next. */
static void say_frames(const struct start_info *info)
{
  for (u64 pfn = 0, next; pfn < info->nr_pages; pfn = next) {
    u64 step = pfn + 1 < info->nr_pages && p2m[pfn + 1] + 1 == p2m[pfn] ? -1ul : 1;
    for (next = pfn + 1; next < info->nr_pages && p2m[next] == p2m[next - 1] + step; next++)
      ;
    put("@run ");
    put_hex(pfn);
    put(" ");
    put_hex(p2m[pfn]);
    put(" ");
    put_number((s64)(next - pfn));
    put(" ");
    put_number((s64)step);
    put("\n");
  }
}

static void run_script(char *line, const char *end)
{
  static char text[4096];
  for (u64 number = 1; line < end; number++) {
    u64 length = 0;
    for (; line < end && *line != '\n' && *line != 0; line++)
      if (length < sizeof text - 1)
        text[length++] = *line;
    text[length] = 0;
    line++;
    split(text);
    if (word_count == 0)
      continue;
    put("@op ");
    put_number((s64)number);
    put("\n");
    flush();
    struct result result;
    operate(&result);
    put("@done\n");
    flush();
  }
}

void probe_main(struct start_info *info)
{
  is_domu = (info->flags & 1) == 0;
  p2m = (u64 *)info->mfn_list;
  set_handlers();
  update_va(SHARED_INFO, info->shared_info | 0x63 | 1ul << 63, UVMF_INVLPG, DOMID_SELF);
  hypercall(VM_ASSIST, 0, WRITABLE_PAGETABLES, 0, 0, 0);
  put("@probe ");
  put(is_domu ? "domU" : "dom0");
  put("\n");
  flush();
  if (same(info->cmd_line, "domu"))
    run_domu(info);
  say_frames(info);
  name_frames(info);
  for (u64 i = 0; i < WINDOW_PAGES; i++)
    update_va(WINDOW + i * PAGE, 0, UVMF_INVLPG, DOMID_SELF);
  flush();
  run_script((char *)info->mod_start, (char *)info->mod_start + info->mod_len);
  put("@end\n");
  flush();
  for (;;)
    yield();
}
