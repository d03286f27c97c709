/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a Linux that need not be uncompressed (scripts/pvblk/plainlinux.py). Linux's own set-up code jumps here,
 * to 1 MiB, in 32-bit protected mode, with its boot parameters at ESI. The kernel follows. This moves it to its place, and
 * enters it as Linux's decompressor does (Documentation/arch/x86/boot.rst). The assembler gets these numbers:
 *
 *   BYTES    of the kernel, a multiple of 8
 *   PLACE    its physical address
 *   ZEROES   bytes behind it that have to be zero
 *   ENTRY    the physical address of its entry
 *   WIDE     1: its entry wants 64-bit mode, with the first 4 GiB mapped one to one
 */
        .set    TABLES, 0x200000        /* six pages, where the copy of a kernel was that is in its place by then */
        .code32
        .globl  _start
_start:
        cli
        movl    %esi, %ebp
        /* The copy overlaps that place: last word first. */
        std
        movl    $(kernel + BYTES - 4), %esi
        movl    $(PLACE + BYTES - 4), %edi
        movl    $(BYTES / 4), %ecx
        rep     movsl
        cld
        xorl    %eax, %eax
        movl    $(PLACE + BYTES), %edi
        movl    $(ZEROES / 4), %ecx
        rep     stosl
#if WIDE
        movl    $TABLES, %edi
        movl    $(6 * 4096 / 4), %ecx
        rep     stosl
        movl    $(TABLES + 4096 + 7), TABLES
        movl    $(TABLES + 2 * 4096 + 7), TABLES + 4096
        movl    $(TABLES + 3 * 4096 + 7), TABLES + 4096 + 8
        movl    $(TABLES + 4 * 4096 + 7), TABLES + 4096 + 16
        movl    $(TABLES + 5 * 4096 + 7), TABLES + 4096 + 24
        /* Present, writable, 2 MiB. */
        movl    $0x83, %eax
        movl    $(TABLES + 2 * 4096), %edi
        movl    $2048, %ecx
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    1b

        lgdt    segments_at
        movl    %cr4, %eax
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        movl    $TABLES, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x100, %eax            /* EFER.LME */
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000001, %eax       /* paging, protected mode */
        movl    %eax, %cr0
        ljmp    $0x10, $wide

        .code64
wide:
        movl    $0x18, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %ebp, %esi
        movl    $ENTRY, %eax
        jmp     *%rax

        .balign 8
segments:
        .quad   0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff
segments_at:
        .word   segments_at - segments - 1
        .long   segments
#else
        movl    %ebp, %esi
        movl    $ENTRY, %eax
        jmp     *%eax
#endif
        .balign 16
kernel:
