/* What the parts of this kernel have of one another, besides the probe's. */
#pragma once
#include "../probe/probe.h"

enum {
  FPU_TASKSWITCH = 5, PLATFORM_OP = 7, SET_DEBUGREG = 8, GET_DEBUGREG = 9, SET_TIMER_OP = 15, GRANT_TABLE_OP = 20,
  VCPU_OP = 24, SET_SEGMENT_BASE = 25, EVENT_CHANNEL_OP = 32, PHYSDEV_OP = 33, MCA = 48,
};

/* The page in which structures lie. */
#define DATA ((volatile u32 *)POOL)
#define DATA64 ((volatile u64 *)POOL)

/* A line begins with a name and a result, has words, and ends. */
void say(const char *name, s64 rc);
void words_out(u64 count);
void end(void);
s64 op(const char *name, u64 nr, u64 command, u32 a, u32 b, u32 c, u32 d, u64 out);

void attempt(void (*code)(void), u64 *registers);
void try(const char *name, void (*code)(void), u64 rax, u64 rcx, u64 shown);
#define CODE(name) extern void code_##name(void);
enum { RAX = 1, RBX = 2, RCX = 4, RDX = 8 };

/* What is asked of the machine: interrupts, its clock, its CPUs, ports. */
void platform(void);
