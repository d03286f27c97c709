/* SPDX-License-Identifier: MIT */
/*
 * The ways into places where C++ cannot go: another processor's first instructions, ring 3 and
 * 32-bit code.
 */
        .set    CODE64, 0x08
        .set    DATA, 0x10
        .set    CODE32, 0x18
        .set    USER_DATA, 0x20
        .set    USER_CODE, 0x28
        .set    RPL3, 3

/*
 * Copied to `kTrampoline`, a page below 1 MiB, where a processor begins after INIT and SIPI:
 * 16-bit, CS:IP at it.
 */
        .section .rodata
        .globl  trampoline_begin, trampoline_end
        .code16
trampoline_begin:
        cli
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   trampoline_gdt_pointer - trampoline_begin
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $CODE32, $processor_entry32
        .balign 8
trampoline_gdt:
        .quad   0, 0, 0x00cf92000000ffff, 0x00cf9a000000ffff
trampoline_gdt_pointer:
        .word   . - trampoline_gdt - 1
        .long   0x8000 + trampoline_gdt - trampoline_begin
trampoline_end:

        .section .text
        .code32
processor_entry32:
        movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        /* Only the first that comes may go on: there is one stack. */
        movl    $1, %eax
        xchgl   %eax, processor_taken
        testl   %eax, %eax
        jnz     2f
        movl    $processor_stack_top, %esp
        call    enter_long_mode
        ljmp    $CODE64, $1f
2:      cli
        hlt
        jmp     2b
        .code64
1:      xorl    %eax, %eax
        movl    %eax, %ss
        movl    $processor_stack_top, %esp
        xorl    %ebp, %ebp
        call    second_processor
3:      cli
        hlt
        jmp     3b

/* A call at %r9: its number, and its arguments where 64-bit code has them. */
        .macro  LOAD_CALL
        movq    0(%r9), %rax
        movq    8(%r9), %rdi
        movq    16(%r9), %rsi
        movq    24(%r9), %rdx
        movq    32(%r9), %r10
        movq    40(%r9), %r8
        movq    48(%r9), %r9
        .endm

/* long hypercall64(const uint64_t call[7], bool intel): number and six arguments. */
        .globl  hypercall64
hypercall64:
        movl    %esi, %r11d
        movq    %rdi, %r9
        LOAD_CALL
        testl   %r11d, %r11d
        jnz     1f
        vmmcall
        ret
1:      vmcall
        ret

/* long hypercall32(const uint64_t call[7]): the same from 32-bit code in ring 0. */
        .globl  hypercall32
hypercall32:
        pushq   %rbx
        pushq   %rbp
        movq    0(%rdi), %rax
        movq    8(%rdi), %rbx
        movq    16(%rdi), %rcx
        movq    24(%rdi), %rdx
        movq    32(%rdi), %rsi
        movq    48(%rdi), %rbp
        movq    40(%rdi), %rdi
        lcall   *to_code32
        popq    %rbp
        popq    %rbx
        cltq
        ret
        .code32
code32: vmmcall
        lret
        .code64

/*
 * void enter_ring3(uint64_t *kernel_stack, uint64_t user_stack, const uint64_t call[7]): runs
 * ring3_code there. Its INT comes back to leave_ring3, with the stack that was left in
 * *kernel_stack.
 */
        .globl  enter_ring3, leave_ring3
enter_ring3:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rdi)
        pushq   $USER_DATA | RPL3
        pushq   %rsi
        pushq   $2                              /* interrupts off */
        pushq   $USER_CODE | RPL3
        pushq   $ring3_code
        movq    %rdx, %r9
        LOAD_CALL
        iretq
leave_ring3:
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret
ring3_code:
        vmmcall
        int     $0x80
        ud2

/* bool wrmsr_or_fault(uint32_t msr, uint64_t value): true if it raised #GP. */
        .globl  wrmsr_or_fault, wrmsr_instruction
wrmsr_or_fault:
        movl    %edi, %ecx
        movq    %rsi, %rax
        movq    %rsi, %rdx
        shrq    $32, %rdx
        xorl    %esi, %esi
wrmsr_instruction:
        wrmsr
        movl    %esi, %eax                      /* the handler goes on here, having set it */
        ret

/* void take_interrupts(void): the only place where any comes. */
        .globl  take_interrupts
take_interrupts:
        sti
        nop
        nop
        cli
        ret

        .section .rodata
        .balign 8
to_code32:
        .long   code32
        .word   CODE32

        .section .bss
        .balign 16
        .skip   16384
processor_stack_top:
processor_taken:
        .long   0

        .section .note.GNU-stack, "", @progbits
