/*
 * The probe's address space, which is that of src/script/layout.ts: what the model's probe and this one do to their own
 * memory has to be the same. The linker script takes its addresses from here too.
 */
#define BASE 0xffffffff80000000
/* The first page of text holds all that runs between a hypercall and its caller. */
#define TEXT (BASE + 0x100000)
/* What runs in user mode: one syscall, at the end of the first page of text. */
#define USER_TEXT (TEXT + 0xff0)
/* Arguments of hypercalls that lie in memory. */
#define ARGUMENTS (BASE + 0x109000)
/* The page that shared_info takes the place of. */
#define SHARED_INFO (BASE + 0x10a000)
/* The kernel's own stack, downwards from here; another page keeps hypercalls' one. */
#define KERNEL_STACK (BASE + 0x110000)
/* The stack pointer while a hypercall runs; the frame of an iret lies from here upwards. */
#define HYPERCALL_STACK (BASE + 0x110ab0)
/* What a domU and its toolstack have between them. */
#define MAILBOX (BASE + 0x111000)
#define DATA_END (BASE + 0x121000)
#define POOL (BASE + 0x200000)
#define POOL_PAGES 256
#define WINDOW (BASE + 0x400000)
#define WINDOW_PAGES 128
#define KERNEL_END (BASE + 0x500000)
/* The part that a domain builder maps: 8 MiB. */
#define MAPPED_PAGES 0x800
