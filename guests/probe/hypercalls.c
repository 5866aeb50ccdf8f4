#include "probe.h"

/* Hypercalls with their arguments in the page of arguments. */

_Static_assert(__builtin_offsetof(struct arguments, extent) == 0x810, "as src/script/probe.ts has it");
_Static_assert(__builtin_offsetof(struct arguments, reservation) == 0x840, "as src/script/probe.ts has it");
_Static_assert(__builtin_offsetof(struct arguments, vcpus) == 0x8c0, "as src/script/probe.ts has it");
_Static_assert(__builtin_offsetof(struct arguments, gdt_frames) == 0x900, "as src/script/probe.ts has it");
_Static_assert(__builtin_offsetof(struct arguments, calls) == 0xa00, "as src/script/probe.ts has it");
_Static_assert(__builtin_offsetof(struct arguments, call_done) == 0xe00, "as src/script/probe.ts has it");

s64 update_va(u64 va, u64 entry, u64 flags, u64 domain)
{
  if (domain == DOMID_SELF)
    return hypercall(UPDATE_VA_MAPPING, va, entry, flags, 0, 0);
  return hypercall(UPDATE_VA_MAPPING_OTHERDOMAIN, va, entry, flags, domain, 0);
}

static void fill(volatile struct memory_reservation *to, u64 extents, u64 domain)
{
  to->extents = extents;
  to->count = 1;
  to->order = to->flags = 0;
  to->domain = domain;
  to->pad[0] = to->pad[1] = to->pad[2] = 0;
}

/* One page through increase, decrease or populate: how many were done, and the extent afterwards. */
s64 reservation(u64 command, u64 extent, u64 *after, u64 domain)
{
  ARGS->extent = extent;
  fill(&ARGS->reservation, (u64)&ARGS->extent, domain);
  s64 rc = hypercall(MEMORY_OP, command, (u64)&ARGS->reservation, 0, 0, 0);
  *after = ARGS->extent;
  return rc;
}

s64 exchange_page(u64 mfn, u64 pfn, u64 *done, u64 *after)
{
  ARGS->extent = mfn;
  ARGS->extent_out = pfn;
  fill(&ARGS->exchange.in, (u64)&ARGS->extent, DOMID_SELF);
  fill(&ARGS->exchange.out, (u64)&ARGS->extent_out, DOMID_SELF);
  ARGS->exchange.exchanged = 0;
  s64 rc = hypercall(MEMORY_OP, EXCHANGE, (u64)&ARGS->exchange, 0, 0, 0);
  *done = ARGS->exchange.exchanged;
  *after = ARGS->extent_out;
  return rc;
}

/* What a longer call left in the list stays there. */
s64 set_gdt(u64 entries, const u64 *frames, u64 count)
{
  for (u64 i = 0; i < count; i++)
    ARGS->gdt_frames[i] = frames[i];
  return hypercall(SET_GDT, (u64)ARGS->gdt_frames, entries, 0, 0, 0);
}

void ask_about(u64 mfn)
{
  ARGS->requests[0] = PIN_L1_TABLE;
  ARGS->requests[1] = mfn;
  ARGS->requests[2] = 0;
  hypercall(MMUEXT_OP, (u64)ARGS->requests, 1, 0, DOMID_IO, 0);
}

void yield(void)
{
  hypercall(SCHED_OP, SCHED_YIELD, 0, 0, 0, 0);
}
