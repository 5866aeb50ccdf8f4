/*
 * The loops' way into long mode under QEMU, and their first instructions on the core. QEMU starts an ELF file that has the
 * note of the PVH protocol in 32-bit mode with paging off; the core starts at the image's first byte, in long mode already.
 */
    .section .start, "ax"
    .code64
    /* On the core: number in rdi, rounds in rsi; the result is in rax when hlt is refused. */
    call run_loop
    hlt

    .section .note, "a"
    /* XEN_ELFNOTE_PHYS32_ENTRY of the PVH protocol. */
    .long 4, 4, 18
    .asciz "Xen"
    .long start32

    .text
    .code32
    .globl start32
start32:
    /* One gigabyte, mapped where it is with pages of two megabytes. */
    movl $l3 + 7, l4
    movl $l2 + 7, l3
    movl $0x87, %eax
    movl $l2, %edi
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    cmpl $l2 + 4096, %edi
    jne 1b
    movl $l4, %eax
    movl %eax, %cr3
    /* CR4: PAE, OSFXSR, OSXMMEXCPT. */
    movl $0x620, %eax
    movl %eax, %cr4
    /* EFER.LME */
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    /* CR0: paging, write protection, no x87 emulation, protected mode. */
    movl $0x80010033, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_end, %esp
    xorl %ebx, %ebx
loop:
    /* Port 0xe9 is QEMU's debug console: S when a loop starts, its result as 16 digits when it has ended. */
    movb $'S', %al
    outb %al, $0xe9
    movl %ebx, %edi
    movl rounds(,%rbx,8), %esi
    call run_loop
    movl $16, %ecx
2:  rolq $4, %rax
    movq %rax, %rdx
    andl $15, %eax
    movb digits(%rax), %al
    outb %al, $0xe9
    movq %rdx, %rax
    decl %ecx
    jne 2b
    movb $'\n', %al
    outb %al, $0xe9
    incl %ebx
    cmpl $LOOPS, %ebx
    jne loop
    /* QEMU's isa-debug-exit ends it. */
    outb %al, $0xf4
    hlt

    .section .rodata
digits: .ascii "0123456789abcdef"
    .balign 8
gdt: .quad 0, 0x00209a0000000000
gdt_pointer: .word 15
    .long gdt
    .balign 8
rounds: .quad ROUNDS

    .bss
    .balign 4096
l4: .skip 4096
l3: .skip 4096
l2: .skip 4096
    .skip 16384
stack_end:
