/*
 * Single accesses whose faults the probe catches: each is a function of the address and up to two values, and returns
 * what the access read. After a fault caught_vector is the exception, else -1.
 */

    .macro ACCESS name
    .globl access_\name
access_\name:
    movq $1f, resume
    movq %rsp, resume_sp
    movl $-1, caught_vector
    .endm

    .macro END
1:  movq $0, resume
    ret
    .endm

    .section .text.first, "ax"

    ACCESS load8
    movq (%rdi), %rax
    END

    ACCESS store8
    movq %rsi, (%rdi)
    END

    ACCESS store4
    movl %esi, (%rdi)
    END

    ACCESS store2
    movw %si, (%rdi)
    END

    ACCESS store1
    movb %sil, (%rdi)
    END

    ACCESS store16
    movq %rsi, %xmm0
    movq %rdx, %xmm1
    punpcklqdq %xmm1, %xmm0
    movups %xmm0, (%rdi)
    END

    ACCESS or
    lock orq %rsi, (%rdi)
    END

    ACCESS exchange
    xchgq %rsi, (%rdi)
    movq %rsi, %rax
    END

    ACCESS compare8
    movq %rsi, %rax
    lock cmpxchgq %rdx, (%rdi)
    END

    ACCESS compare4
    movl %esi, %eax
    lock cmpxchgl %edx, (%rdi)
    END

    ACCESS bit_reset
    xorl %eax, %eax
    lock btrq %rsi, (%rdi)
    setc %al
    END

    ACCESS selector
    movl %edi, %fs
    # It does not stay: a context switch of Xen would load it again.
    xorl %eax, %eax
    movl %eax, %fs
    END

    .section .note.GNU-stack, "", @progbits
