/*
 * Where Xen enters the probe, and where the probe enters Xen. All of it lies in the first page of text, so that a script
 * that takes other pages away does not take the way back.
 */
#include "layout.h"

    .section .text.first, "ax"

    .globl start
start:
    movq $KERNEL_STACK, %rsp
    movq %rsi, %rdi
    call probe_main
1:  jmp 1b

/*
 * long hypercall(nr, a1, a2, a3, a4, a5): the stack pointer has the same value in every hypercall, and the stack is
 * read right after it. SYSCALL takes rcx and r11.
 */
    .globl hypercall
hypercall:
    movq %rsp, caller_sp
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %r10
    movq %r9, %r8
    movq $HYPERCALL_STACK, %rsp
    syscall
    movq (%rsp), %rcx
    movq caller_sp, %rsp
    ret

/*
 * long multicall(calls, count): a multicall that may leave for user mode. The way back is then an exception or a system
 * call of the process, both of which end at `resume`.
 */
    .globl multicall
multicall:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, resume_sp
    movq $1f, resume
    movl $-1, caught_vector
    movl $0, came_by_syscall
    movl $13, %eax
    movq $HYPERCALL_STACK, %rsp
    syscall
    movq (%rsp), %rcx
    movq resume_sp, %rsp
1:  movq $0, resume
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

/* Xen's syscall callback: a process made a system call. rax is the process's. */
    .globl from_syscall
from_syscall:
    movl $1, came_by_syscall
    movq resume_sp, %rsp
    jmp *resume

/*
 * Exceptions: Xen has pushed rcx, r11, the error code if there is one, rip and so on. An access whose faults are
 * expected has said where to go on; any other exception ends the probe.
 */
    .macro TRAP vector, error
trap_\vector:
    movl $\vector, caught_vector
  .if \error
    movq 16(%rsp), %rcx
    movq 24(%rsp), %r11
  .else
    xorl %ecx, %ecx
    movq 16(%rsp), %r11
  .endif
    jmp trap
    .endm

    TRAP 0, 0
    TRAP 1, 0
    TRAP 3, 0
    TRAP 4, 0
    TRAP 6, 0
    TRAP 7, 0
    TRAP 8, 1
    TRAP 10, 1
    TRAP 11, 1
    TRAP 12, 1
    TRAP 13, 1
    TRAP 14, 1
    TRAP 16, 0
    TRAP 17, 1
    TRAP 19, 0

trap:
    movq %rcx, caught_error
    cmpq $0, resume
    je 1f
    movq resume_sp, %rsp
    jmp *resume
1:  movq %r11, %rdi
    andq $-16, %rsp
    call unexpected_trap

/* The process. Its instruction's address is all that a fault of it can tell. */
    .section .text.user, "ax"
    .globl user_text
user_text:
    syscall
    ud2

    .section .rodata
    .globl trap_vectors, trap_handlers, trap_count
    .align 8
trap_handlers:
    .irp vector, 0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19
    .quad trap_\vector
    .endr
trap_vectors:
    .byte 0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19
trap_count:
    .long . - trap_vectors

    .data
    .align 8
    .globl resume, resume_sp, caught_error, caught_vector, came_by_syscall
caller_sp: .quad 0
resume: .quad 0
resume_sp: .quad 0
caught_error: .quad 0
caught_vector: .long -1
came_by_syscall: .long 0

    .section .note.GNU-stack, "", @progbits
