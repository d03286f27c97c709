/* SPDX-License-Identifier: MIT */
/* An entry for each of the 256 vectors, and the way to on_interrupt() and back. */
        .section .text
        .balign 32
        .globl  interrupt_entries
interrupt_entries:
        vector = 0
        .rept   256
        .balign 32
        /*
         * The CPU aligns the stack to 16 bytes and pushes five words, or six where the exception
         * has an error code. An external interrupt has none, whichever vector it comes with.
         */
        testb   $8, %spl
        jz      1f
        pushq   $0
1:      pushq   $vector
        jmp     interrupt_common
        vector = vector + 1
        .endr

interrupt_common:
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rbx
        pushq   %rbp
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        cld
        movq    %rsp, %rdi
        call    on_interrupt
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rbp
        popq    %rbx
        popq    %rdx
        popq    %rcx
        popq    %rax
        addq    $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
