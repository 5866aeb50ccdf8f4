#include "probe.h"

/* mmu_update, mmuext_op, and multicalls of them. */

static const char *const mmuext_words[] = {
  "pin1", "pin2", "pin3", "pin4", "unpin", "baseptr", "tlblocal", "invlocal", "tlbmulti", "invmulti", "tlball", "invall",
  "flushcache", "setldt", "ext14", "ubaseptr", "clear", "copy", "flushcacheg", "marksuper", "unmarksuper", "ext",
};
/* An address that is not mapped. */
#define BAD_BITMAP 0x123456000ul

static int mmuext_command(const char *word)
{
  for (int i = 0; i < (int)(sizeof mmuext_words / sizeof *mmuext_words); i++)
    if (same(word, mmuext_words[i]))
      return i;
  return -1;
}

int is_mmuext(const char *word)
{
  return mmuext_command(word) >= 0;
}

static u64 vcpu_bitmap(void)
{
  const char *word = next();
  if (same(word, "null"))
    return 0;
  if (same(word, "bad"))
    return BAD_BITMAP;
  ARGS->vcpus = number_of(word) & 0xffffffff;
  return (u64)&ARGS->vcpus;
}

/* One operation of mmuext_op, its word read already. */
static void mmuext_request(const char *word, volatile u64 *to)
{
  u64 command = (u64)mmuext_command(word), arg1 = 0, arg2 = 0;
  if (same(word, "ext")) {
    command = number_of(next());
    arg1 = frame_of(next());
    arg2 = frame_of(next());
  } else if (same(word, "copy")) {
    arg1 = frame_of(next());
    arg2 = frame_of(next());
  } else if (same(word, "setldt")) {
    arg1 = address_of(next());
    arg2 = frame_of(next());
  } else if (same(word, "invlocal") || same(word, "invall")) {
    arg1 = address_of(next());
  } else if (same(word, "invmulti")) {
    arg1 = address_of(next());
    arg2 = vcpu_bitmap();
  } else if (same(word, "tlbmulti")) {
    arg2 = vcpu_bitmap();
  } else if (!starts(word, "tlb") && !starts(word, "flush") && !same(word, "ext14")) {
    arg1 = frame_of(next());
  }
  to[0] = command & 0xffffffff;
  to[1] = arg1;
  to[2] = arg2;
}

/* One request of mmu_update. */
static void mmu_request(volatile u64 *to)
{
  if (accept("m2p")) {
    u64 frame = frame_of(next());
    accept("=");
    to[0] = frame << 12 | 1;
    to[1] = number_of(next());
    return;
  }
  struct place slot = place_of(next(), 1);
  accept("=");
  u64 entry = entry_of(next());
  u64 command = accept("ad") ? 2 : accept("notrans") ? 3 : accept("cmd1") ? 1 : accept("cmd4") ? 4 : 0;
  to[0] = place_machine_address(slot) | command;
  to[1] = entry;
}

static void batch(u64 nr, u64 count, struct result *result)
{
  ARGS->done = NOT_WRITTEN;
  result->rc = hypercall(nr, (u64)ARGS->requests, count, (u64)&ARGS->done, foreign_domain, 0);
  result->has_rc = result->has_done = 1;
  result->done = ARGS->done;
}

void mmu_update(struct result *result)
{
  u64 count = 0;
  do {
    if (count == MOST_REQUESTS)
      die("too many requests");
    mmu_request(&ARGS->requests[count++ * 2]);
  } while (accept(","));
  batch(MMU_UPDATE, count, result);
}

void mmuext_op(const char *first, struct result *result)
{
  u64 count = 0;
  do {
    if (count == MOST_REQUESTS)
      die("too many requests");
    mmuext_request(count == 0 ? first : next(), &ARGS->requests[count * 3]);
    count++;
  } while (accept(","));
  batch(MMUEXT_OP, count, result);
}

u64 flush_flags(void)
{
  if (!more() || same(words[word_at], ","))
    return UVMF_INVLPG;
  const char *word = next();
  return same(word, "none") ? 0 : same(word, "tlb") ? 1 : same(word, "tlball") ? 5 : same(word, "invall") ? 6 : 2;
}

/* What iret takes from the stack, for user mode: it begins at the probe's one instruction for it, events still masked. */
static void write_iret_frame(void)
{
  static const u64 frame[9] = { 0, 0, 0, 0, USER_TEXT, 0xe033, 2, HYPERCALL_STACK, 0xe02b };
  for (int i = 0; i < 9; i++)
    ((volatile u64 *)HYPERCALL_STACK)[i] = frame[i];
}

static void fill_call(volatile struct multicall_entry *call, u64 nr, u64 a1, u64 a2, u64 a3, u64 a4)
{
  call->number = nr;
  call->result = NOT_WRITTEN;
  call->arguments[0] = a1;
  call->arguments[1] = a2;
  call->arguments[2] = a3;
  call->arguments[3] = a4;
  call->arguments[4] = call->arguments[5] = 0;
}

/* One call of a multicall: an operation with one request, update_va_mapping, or iret. */
static void read_call(u64 i)
{
  const char *word = next();
  volatile struct multicall_entry *call = &ARGS->calls[i];
  volatile u64 *request = &ARGS->requests[i * 3];
  u64 done = (u64)&ARGS->call_done[i];
  ARGS->call_done[i] = NOT_WRITTEN;
  if (same(word, "iret")) {
    fill_call(call, IRET, 0, 0, 0, 0);
  } else if (same(word, "uvm")) {
    u64 va = address_of(next());
    accept("=");
    u64 entry = entry_of(next());
    u64 flags = flush_flags();
    int other = has_foreign_domain && foreign_domain != DOMID_SELF;
    fill_call(call, other ? UPDATE_VA_MAPPING_OTHERDOMAIN : UPDATE_VA_MAPPING, va, entry, flags,
              other ? foreign_domain : 0);
  } else if (same(word, "mmu")) {
    mmu_request(request);
    fill_call(call, MMU_UPDATE, (u64)request, 1, done, foreign_domain);
  } else {
    mmuext_request(word, request);
    fill_call(call, MMUEXT_OP, (u64)request, 1, done, foreign_domain);
  }
}

void multi(struct result *result)
{
  u64 count = 0;
  do {
    if (count == MOST_CALLS)
      die("too many calls");
    read_call(count++);
  } while (accept(","));
  write_iret_frame();
  result->rc = multicall((struct multicall_entry *)ARGS->calls, count);
  result->has_rc = 1;
  result->calls = count;
  result->by_syscall = came_by_syscall;
}
