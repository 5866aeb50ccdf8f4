/* Instructions that may fault. Registers go in and come out by an array: rax, rbx, rcx, rdx. */

    .section .text.first, "ax"

/* void attempt(void (*code)(void), u64 *registers): caught_vector is -1, or the exception that ended it. */
    .globl attempt
attempt:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq $1f, resume
    movq %rsp, resume_sp
    movl $-1, caught_vector
    movq %rsi, %r15
    movq %rdi, %r14
    movq 0(%r15), %rax
    movq 8(%r15), %rbx
    movq 16(%r15), %rcx
    movq 24(%r15), %rdx
    call *%r14
    movq %rax, 0(%r15)
    movq %rbx, 8(%r15)
    movq %rcx, 16(%r15)
    movq %rdx, 24(%r15)
1:  movq $0, resume
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .macro CODE name, body
    .globl code_\name
code_\name:
    \body
    ret
    .endm

    CODE rdmsr, "rdmsr"
    CODE wrmsr, "wrmsr"
    CODE read_cr0, "movq %cr0, %rax"
    CODE write_cr0, "movq %rax, %cr0"
    CODE read_cr8, "movq %cr8, %rax"
    CODE clts, "clts"
    CODE hlt, "hlt"
    CODE invlpg, "invlpg (%rax)"
    CODE lsl, "lsll %eax, %ebx"
    CODE lar, "larl %eax, %ebx"
    CODE verr, "xorl %ebx, %ebx; verr %ax; setz %bl"
    CODE verw, "xorl %ebx, %ebx; verw %ax; setz %bl"
    CODE load_fs, "movl %eax, %fs; movl %fs, %ebx"
    CODE load_ds, "movl %eax, %ds; movl %ds, %ebx"
    CODE int3, "int3"
    CODE undefined, "ud2"
    CODE swapgs, "swapgs"
    CODE lldt, "lldt %ax"
    CODE cpuid, ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
    CODE fpu, "fldz; fstp %st(0)"
    CODE sse, "movaps %xmm0, %xmm0"
    CODE flags, "pushq %rax; popfq; pushfq; popq %rbx; cld"
    CODE selectors, "movl %cs, %eax; movl %ss, %ebx; movl %ds, %ecx; movl %es, %edx"
    CODE rdpmc, "rdpmc"
    CODE retf, "leaq 1f(%rip), %rbx; pushq %rax; pushq %rbx; lretq; 1:"

    CODE in_byte, "movl %ecx, %edx; inb %dx, %al"
    CODE in_word, "movl %ecx, %edx; inw %dx, %ax"
    CODE in_long, "movl %ecx, %edx; inl %dx, %eax"
    CODE out_byte, "movl %ecx, %edx; outb %al, %dx"
    CODE out_long, "movl %ecx, %edx; outl %eax, %dx"

    CODE frame, "pushq %rax; popfq; ud2"
    CODE hypercall, "movl $17, %eax; xorl %edi, %edi; xorl %esi, %esi; pushq %rbx; popfq; syscall; cld"
    CODE block, "movl $29, %eax; movl $1, %edi; xorl %esi, %esi; syscall"
    CODE frame_int, "pushq %rax; popfq; int3"

/* void crash(void): an exception without a handler, with registers that can be told apart. */
    .globl crash
crash:
    .set value, 0x1111
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    movq $value, %\register
    .set value, value + 0x1111
    .endr
    movl $0xe02b, %esp
    movl %esp, %ds
    movl %esp, %es
    movq $0xffffffff8010ff40, %rsp
    movq $0x123456789abcdef0, %rbx
    movq %rbx, (%rsp)
    pushq $0x202ad7
    popfq
    stc
    ud2

/* A handler that keeps the frame on its stack and the flags that it runs with, and ends the attempt. */
    .globl keep_frame
keep_frame:
    .irp word, 0, 1, 2, 3, 4, 5, 6
    movq 8*\word(%rsp), %rax
    movq %rax, kept_frame+8*\word
    .endr
    movq %rsp, kept_frame+56
    pushfq
    popq kept_frame+64
    movq resume_sp, %rsp
    jmp *resume

    .data
    .globl kept_frame
    .align 8
kept_frame: .fill 9, 8, 0

    .section .note.GNU-stack, "", @progbits
