#include "probe.h"

/* The handlers that the probe has for exceptions and system calls, and its end by one that it did not expect. */

extern const u64 trap_handlers[];
extern const u8 trap_vectors[];
extern const u32 trap_count;

void set_handlers(void)
{
  static struct trap_info table[32];
  for (u32 i = 0; i < trap_count; i++) {
    table[i].vector = trap_vectors[i];
    table[i].cs = 0xe033;
    table[i].address = trap_handlers[i];
  }
  hypercall(SET_TRAP_TABLE, (u64)table, 0, 0, 0, 0);
  ARGS->callback.type = CALLBACK_SYSCALL;
  ARGS->callback.flags = 0;
  ARGS->callback.address = (u64)from_syscall;
  hypercall(CALLBACK_OP, 0, (u64)&ARGS->callback, 0, 0, 0);
  hypercall(STACK_SWITCH, 0xe02b, HYPERCALL_STACK, 0, 0, 0);
}

/* Xen leaves cr2 in the first vCPU's area. */
u64 fault_address(void)
{
  return ((volatile struct vcpu_info *)SHARED_INFO)->cr2;
}

void die(const char *why)
{
  put("@die ");
  put(why);
  put("\n");
  flush();
  for (;;)
    yield();
}

/* Called by the handler of an exception in the probe's own work, where it was. */
__attribute__((noreturn)) void unexpected_trap(u64 rip)
{
  put("\n@die vec=");
  put_number(caught_vector);
  put(" err=");
  put_hex(caught_error);
  put(" rip=");
  put_hex(rip);
  put("\n");
  flush();
  for (;;)
    yield();
}
