/*
 * Runs cases on the processor that it runs on. Reads records (record.h) from standard input to its end, runs each in mapped
 * pages of its own and writes the records back, filled in. A case ends where its code ends, at its target, or with an
 * exception, which arrives as a signal on a stack of its own. Only for code that is safe in a process: no system calls.
 *
 * Exit status: 0 done, 1 a case wrote beside its data or its code, 2 this machine or the input is not as it must be.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "record.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* A page of the harness near the code: where the jumps behind the code find their destinations. */
#define SLOTS 0x10010000UL
/* jmp *disp32(%rip) */
#define JUMP_BYTES 6
#define INT3 0xcc

/*
 * What the assembly below shares with the C code. A state is a part of a record, from STATE_AT on, so that what FXRSTOR
 * reads is aligned to 16 bytes: rip 0, rflags 8, general registers 16, FXSAVE image 144.
 */
#define STATE_AT RECORD_AT_rip
#define STATE_BYTES (RECORD_HEAD - STATE_AT)
#define STATE_BYTES_WITHOUT_FPU (RECORD_AT_fcw - STATE_AT)
uint8_t state_in[STATE_BYTES + 512] __attribute__((aligned(64)));
uint8_t state_out[STATE_BYTES + 512] __attribute__((aligned(64)));
uint64_t entry, harness_rsp;
uint32_t uses_fpu, arrived;

void run_code(void);
void resume(void) __attribute__((noreturn));
extern char at_end[], at_target[];

/*
 * run_code loads the state, jumps to the code and comes back through at_end, at_target or, from a signal, resume. Only mov,
 * lea and jmp stand between popfq and the code, and between the code and pushfq: they leave the flags alone.
 */
__asm__(
    ".text\n"
    "run_code:\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, harness_rsp(%rip)\n"
    "  cmpl $0, uses_fpu(%rip)\n"
    "  je 1f\n"
    "  fxrstor64 state_in+144(%rip)\n"
    "1: lea state_in+8(%rip), %rsp\n"
    "  popfq\n"
    "  mov 0(%rsp), %rax\n  mov 8(%rsp), %rcx\n  mov 16(%rsp), %rdx\n  mov 24(%rsp), %rbx\n"
    "  mov 40(%rsp), %rbp\n  mov 48(%rsp), %rsi\n  mov 56(%rsp), %rdi\n"
    "  mov 64(%rsp), %r8\n  mov 72(%rsp), %r9\n  mov 80(%rsp), %r10\n  mov 88(%rsp), %r11\n"
    "  mov 96(%rsp), %r12\n  mov 104(%rsp), %r13\n  mov 112(%rsp), %r14\n  mov 120(%rsp), %r15\n"
    "  mov 32(%rsp), %rsp\n"
    "  jmp *entry(%rip)\n"
    "at_target:\n"
    "  movl $1, arrived(%rip)\n"
    "  jmp 2f\n"
    "at_end:\n"
    "  movl $0, arrived(%rip)\n"
    "2: mov %rsp, state_out+48(%rip)\n"
    "  lea state_out+16(%rip), %rsp\n"
    "  pushfq\n"
    "  mov %rax, state_out+16(%rip)\n  mov %rcx, state_out+24(%rip)\n  mov %rdx, state_out+32(%rip)\n"
    "  mov %rbx, state_out+40(%rip)\n  mov %rbp, state_out+56(%rip)\n  mov %rsi, state_out+64(%rip)\n"
    "  mov %rdi, state_out+72(%rip)\n  mov %r8, state_out+80(%rip)\n  mov %r9, state_out+88(%rip)\n"
    "  mov %r10, state_out+96(%rip)\n  mov %r11, state_out+104(%rip)\n  mov %r12, state_out+112(%rip)\n"
    "  mov %r13, state_out+120(%rip)\n  mov %r14, state_out+128(%rip)\n  mov %r15, state_out+136(%rip)\n"
    "  cmpl $0, uses_fpu(%rip)\n"
    "  je resume\n"
    "  fxsave64 state_out+144(%rip)\n"
    "  fninit\n"
    "resume:\n"
    "  mov harness_rsp(%rip), %rsp\n"
    /* Direction flag, alignment check and whatever else the code left set. */
    "  pushq $0x202\n  popfq\n"
    "  ldmxcsr initial_mxcsr(%rip)\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
    "  ret\n"
    ".section .rodata\n"
    "initial_mxcsr: .long 0x1f80\n"
    ".text\n");

static uint8_t *const code_pages = (uint8_t *)SPACE_code;
static uint8_t *const data_pages = (uint8_t *)SPACE_data;
static uint64_t *const slots = (uint64_t *)SLOTS;

static uint64_t own_fs;
static int fs_moved;
/* The exception of the case that runs. */
static uint32_t vector, error_code;
static uint64_t address, fault_rip;

static void fail(const char *what) {
  fprintf(stderr, "harness: %s\n", what);
  _exit(2);
}

/* The C library finds its thread's data through FS: no call of it may be made while FS is the case's. */
static inline void set_fs(uint64_t base) {
  long result = SYS_arch_prctl;
  __asm__ volatile("syscall" : "+a"(result) : "D"((long)ARCH_SET_FS), "S"(base) : "rcx", "r11", "memory");
}

static inline void copy(uint8_t *to, const uint8_t *from, size_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)info;
  /* The kernel leaves the alignment check on. */
  __asm__ volatile("sub $128, %%rsp\n pushq $0x202\n popfq\n add $128, %%rsp" ::: "memory", "cc");
  if (fs_moved) {
    fs_moved = 0;
    set_fs(own_fs);
  }
  ucontext_t *user = context;
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  uint64_t *out = (uint64_t *)state_out;
  out[1] = user->uc_mcontext.gregs[REG_EFL];
  for (int i = 0; i < 16; i++) out[2 + i] = user->uc_mcontext.gregs[order[i]];
  if (uses_fpu) copy(state_out + 144, (const uint8_t *)user->uc_mcontext.fpregs, 416);
  vector = user->uc_mcontext.gregs[REG_TRAPNO];
  error_code = user->uc_mcontext.gregs[REG_ERR];
  address = vector == 14 ? user->uc_mcontext.gregs[REG_CR2] : 0;
  fault_rip = user->uc_mcontext.gregs[REG_RIP];
  /* Back without sigreturn: no signal is blocked, and the alternate stack is free once rsp has left it. */
  resume();
}

static void map(uint64_t at, size_t bytes, int protection, int fill) {
  void *got = mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
  if (got != (void *)at) fail("the addresses of the cases are taken in this process");
  memset(got, fill, bytes);
  if (mprotect(got, bytes, protection) != 0) fail("mprotect is refused");
}

static void set_up(void) {
  map(SPACE_code, SPACE_codeBytes, PROT_READ | PROT_WRITE | PROT_EXEC, INT3);
  map(SPACE_data, SPACE_dataBytes, PROT_READ | PROT_WRITE, 0);
  map(SPACE_readOnly, SPACE_readOnlyBytes, PROT_READ, 0);
  map(SLOTS, 4096, PROT_READ | PROT_WRITE, 0);
  slots[0] = (uint64_t)at_end;
  slots[1] = (uint64_t)at_target;
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, SPACE_gsBase) != 0) fail("arch_prctl is refused");
  if (syscall(SYS_arch_prctl, ARCH_GET_FS, &own_fs) != 0) fail("arch_prctl is refused");

  size_t stack_bytes = 1 << 16;
  stack_t stack = {.ss_sp = malloc(stack_bytes), .ss_size = stack_bytes};
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  if (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0) fail("no stack for signals");
  static const int caught[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
    if (sigaction(caught[i], &action, NULL) != 0) fail("sigaction is refused");
  }
}

/* Let a place in the code lead back to the harness. */
static void put_jump(uint32_t at, int slot) {
  if (at > SPACE_codeBytes - JUMP_BYTES) return; /* Code that ends with its pages runs on into unmapped memory. */
  uint8_t *place = code_pages + at;
  int32_t distance = (int32_t)((uint64_t)(slots + slot) - (uint64_t)(place + JUMP_BYTES));
  place[0] = 0xff;
  place[1] = 0x25;
  memcpy(place + 2, &distance, 4);
}

static void clear_code(uint32_t at, uint32_t bytes) {
  if (at >= SPACE_codeBytes) return;
  memset(code_pages + at, INT3, at + bytes > SPACE_codeBytes ? SPACE_codeBytes - at : bytes);
}

static uint32_t u32(const uint8_t *record, int at) {
  uint32_t value;
  memcpy(&value, record + at, 4);
  return value;
}

static void put(uint8_t *record, int at, uint64_t value, int bytes) { memcpy(record + at, &value, bytes); }

static void run_record(uint8_t *record) {
  uint32_t code_at = u32(record, RECORD_AT_code_at), code_bytes = u32(record, RECORD_AT_code_bytes);
  uint32_t data_at = u32(record, RECORD_AT_data_at), data_bytes = u32(record, RECORD_AT_data_bytes);
  uint32_t target = u32(record, RECORD_AT_target);
  const uint8_t *code = record + RECORD_AT_code;
  memcpy(data_pages + data_at, record + RECORD_HEAD, data_bytes);
  memcpy(code_pages + code_at, code, code_bytes);
  put_jump(code_at + code_bytes, 0);
  if (target != 0xffffffff) put_jump(target, 1);
  memcpy(state_in, record + STATE_AT, STATE_BYTES);
  entry = SPACE_code + code_at;
  uses_fpu = u32(record, RECORD_AT_uses_fpu);
  vector = 0xffffffff;
  error_code = 0;
  address = 0;
  /* Only code with an FS prefix can reach FS; moving it costs two system calls. */
  if (memchr(code, 0x64, code_bytes) != NULL) {
    fs_moved = 1;
    set_fs(SPACE_fsBase);
  }
  run_code();
  if (fs_moved) {
    fs_moved = 0;
    set_fs(own_fs);
  }
  uint64_t rip = vector != 0xffffffff ? fault_rip : SPACE_code + (arrived ? target : code_at + code_bytes);
  put(record, RECORD_AT_vector, vector, 4);
  put(record, RECORD_AT_error_code, error_code, 4);
  put(record, RECORD_AT_address, address, 8);
  memcpy(record + STATE_AT, state_out, uses_fpu ? STATE_BYTES : STATE_BYTES_WITHOUT_FPU);
  put(record, RECORD_AT_rip, rip, 8);
  memcpy(record + RECORD_HEAD, data_pages + data_at, data_bytes);
  memset(data_pages + data_at, 0, data_bytes);
  clear_code(code_at, code_bytes + JUMP_BYTES);
  if (target != 0xffffffff) clear_code(target, JUMP_BYTES);
}

static int all_are(const uint8_t *bytes, size_t count, int value) {
  return bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0;
}

/* The memory around the cases' code and data must be as it was: else what one case did shows up in another. */
static void audit(uint32_t number) {
  if (all_are(code_pages, SPACE_codeBytes, INT3) && all_are(data_pages, SPACE_dataBytes, 0)) return;
  fprintf(stderr, "harness: memory beside a case was written, by case %u or one before it\n", number);
  _exit(1);
}

/* Whether a whole record stands in the next `left` bytes; one that is not well formed ends the run. */
static int whole_record(const uint8_t *record, size_t left) {
  if (left < RECORD_HEAD) return 0;
  uint32_t bytes = u32(record, RECORD_AT_record_bytes), target = u32(record, RECORD_AT_target);
  uint64_t data = u32(record, RECORD_AT_data_bytes), code = u32(record, RECORD_AT_code_bytes);
  int good = bytes >= RECORD_HEAD + data && bytes % 16 == 0 && code <= MAX_CODE &&
             u32(record, RECORD_AT_code_at) + code <= SPACE_codeBytes && data <= SPACE_dataBytes &&
             u32(record, RECORD_AT_data_at) + data <= SPACE_dataBytes && bytes <= RECORD_HEAD + SPACE_dataBytes &&
             (target == 0xffffffff || target <= SPACE_codeBytes - JUMP_BYTES);
  if (!good) fail("a record is not well formed");
  return bytes <= left;
}

static void write_out(const uint8_t *bytes, size_t count) {
  while (count > 0) {
    ssize_t done = write(1, bytes, count);
    if (done <= 0) fail("cannot write the results");
    bytes += done;
    count -= done;
  }
}

int main(int count, char **words) {
  int audit_each = count > 1 && strcmp(words[1], "--audit") == 0;
  /* Small enough to stay in the cache, large enough for any record. */
  static uint8_t buffer[1 << 18] __attribute__((aligned(64)));
  size_t held = 0;
  uint32_t number = 0;
  set_up();
  for (;;) {
    ssize_t got = read(0, buffer + held, sizeof buffer - held);
    if (got < 0) fail("cannot read the cases");
    if (got == 0) break;
    held += got;
    size_t at = 0;
    while (whole_record(buffer + at, held - at)) {
      run_record(buffer + at);
      number = u32(buffer + at, RECORD_AT_number);
      if (audit_each) audit(number);
      at += u32(buffer + at, RECORD_AT_record_bytes);
    }
    write_out(buffer, at);
    held -= at;
    memmove(buffer, buffer + at, held);
  }
  if (held > 0) fail("the last record is cut short");
  audit(number);
  return 0;
}
