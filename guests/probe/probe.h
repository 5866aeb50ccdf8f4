/* What the probe's parts have of one another. */
#pragma once
#include "abi.h"
#include "layout.h"

/* ---- entry.S ---- */

s64 hypercall(u64 nr, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
s64 multicall(struct multicall_entry *calls, u64 count);
extern int caught_vector, came_by_syscall;
extern u64 caught_error;
extern char from_syscall[], user_text[];

/* ---- access.S: each returns what the access read; caught_vector tells of its fault ---- */

u64 access_load8(u64 va);
u64 access_store8(u64 va, u64 value);
u64 access_store4(u64 va, u64 value);
u64 access_store2(u64 va, u64 value);
u64 access_store1(u64 va, u64 value);
u64 access_store16(u64 va, u64 low, u64 high);
u64 access_or(u64 va, u64 value);
u64 access_exchange(u64 va, u64 value);
u64 access_compare8(u64 va, u64 expected, u64 value);
u64 access_compare4(u64 va, u64 expected, u64 value);
u64 access_bit_reset(u64 va, u64 bit);
u64 access_selector(u64 selector);

/* ---- exceptions.c ---- */

void set_handlers(void);
u64 fault_address(void);
__attribute__((noreturn)) void die(const char *why);

/* ---- hypercalls.c ---- */

/* The page of arguments, by what lies where. */
struct arguments {
  u64 requests[256];      /* 0x000: words of mmu_update and mmuext_op */
  u32 done, pad[3];       /* 0x800 */
  u64 extent, extent_out; /* 0x810 */
  u64 pad2[4];
  union {
    struct memory_reservation reservation;
    struct memory_exchange exchange;
    struct { u64 max, list, count; } mfn_list;
    struct callback_register callback;
  };                      /* 0x840 */
  u64 pad3[7];
  u64 vcpus;              /* 0x8c0 */
  u64 pad4[7];
  u64 gdt_frames[16];     /* 0x900 */
  u64 pad5[16];
  struct multicall_entry calls[16]; /* 0xa00 */
  u32 call_done[16];      /* 0xe00 */
};
#define ARGS ((volatile struct arguments *)ARGUMENTS)
#define NOT_WRITTEN 0xdead
#define MOST_REQUESTS 32
#define MOST_CALLS 16

s64 update_va(u64 va, u64 entry, u64 flags, u64 domain);
s64 reservation(u64 command, u64 extent, u64 *after, u64 domain);
s64 exchange_page(u64 mfn, u64 pfn, u64 *done, u64 *after);
s64 set_gdt(u64 entries, const u64 *frames, u64 count);
/* Xen prints a frame's words as it refuses to pin it for dom_io. */
void ask_about(u64 mfn);
void yield(void);

/* ---- console.c: lines for whoever runs the probe ---- */

extern int is_domu;
void put(const char *text);
void put_hex(u64 number);
void put_number(s64 number);
void flush(void);

/* ---- words.c: the words of a line ---- */

#define MOST_WORDS 512
#define NAME_BYTES 16
extern char *words[MOST_WORDS];
extern u64 word_count, word_at;
void split(char *line);
int more(void);
char *next(void);
int accept(const char *word);
int same(const char *a, const char *b);
int starts(const char *text, const char *with);
u64 number_of(const char *text);
int is_number(const char *text);
char *find(const char *text, char letter);
void *memset(void *to, int byte, u64 bytes);
void *memcpy(void *to, const void *from, u64 bytes);

/* ---- operands.c: pages, entries and addresses by their names ---- */

struct symbol {
  char name[NAME_BYTES];
  u64 mfn;
  s64 pfn;
  u64 va;
  int pool;
};

/* Where a store or load goes: a byte of a page, or a bare number. */
struct place {
  struct symbol *page;
  u64 offset;
};

extern struct symbol symbols[];
extern u64 symbol_count;
struct symbol *name_frame(const char *name, u64 mfn, s64 pfn, u64 va, int pool);
struct symbol *page_of(const char *word);
void move_to(struct symbol *symbol, u64 mfn);
u64 entry_of(char *word);
u64 frame_of(const char *word);
u64 address_of(char *word);
struct place place_of(char *word, int takes_machine);
u64 place_address(struct place place);
u64 place_machine_address(struct place place);

/* ---- operations.c and batches.c ---- */

struct result {
  s64 rc;
  int has_rc, has_value, has_done, by_syscall;
  u64 value;
  u64 done;
  u64 calls;
};
extern u64 foreign_domain;
extern int has_foreign_domain;
extern u64 *p2m;
void operate(struct result *result);
int is_mmuext(const char *word);
void mmu_update(struct result *result);
void mmuext_op(const char *first, struct result *result);
void multi(struct result *result);
u64 flush_flags(void);

/* ---- toolstack.c ---- */

void run_domu(struct start_info *info);
void mailbox_text(const char *text, u64 bytes);
void mailbox_ask(u64 mfn);
