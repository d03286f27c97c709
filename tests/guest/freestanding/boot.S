/* SPDX-License-Identifier: MIT */
/*
 * From reset to C++: QEMU's -kernel finds the note below in our ELF file and enters `pvh_entry` as
 * Xen's PVH boot says (xen/arch-x86/hvm/start_info.h): 32-bit, flat, paging off, EBX = struct
 * hvm_start_info.
 *
 * Long mode with the first 4 GiB mapped to themselves, so that a pointer is a guest-physical
 * address: that is RAM below the PCI hole, the local APIC, the I/O APIC and the pages that Xen puts
 * below them.
 */
        .set    CR0_PE, 1 << 0
        .set    CR0_PG, 1 << 31
        .set    CR4_PAE, 1 << 5
        .set    MSR_EFER, 0xc0000080
        .set    EFER_LME, 1 << 8
        .set    PTE_TABLE, 0x7                  /* present, writable, user */
        .set    PTE_2M, 0x87                    /* the same, a page of 2 MiB */

        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 8, 18                /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .quad   pvh_entry

        .section .text.boot, "ax"
        .code32
        .globl  pvh_entry
pvh_entry:
        cld
        cli
        movl    %ebx, %ebp                      /* start_info, until it can be handed over */

        /* One PML4 entry, four page directories of 512 large pages. */
        movl    $boot_pdpt + PTE_TABLE, boot_pml4
        movl    $boot_pds + PTE_TABLE, %eax
        movl    $boot_pdpt, %edi
        movl    $4, %ecx
1:      movl    %eax, (%edi)
        addl    $4096, %eax
        addl    $8, %edi
        loop    1b
        movl    $PTE_2M, %eax
        movl    $boot_pds, %edi
        movl    $4 * 512, %ecx
2:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    2b

        movl    $stack_top, %esp
        call    enter_long_mode
        ljmp    $0x08, $1f
        .code64
1:      xorl    %eax, %eax
        movl    %eax, %ss
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %ebp, %edi
        movl    $stack_top, %esp
        xorl    %ebp, %ebp                      /* where a debugger's backtrace ends */
        call    start
3:      cli
        hlt
        jmp     3b

        .code32
        .globl  enter_long_mode                 /* also for other processors */
enter_long_mode:
        movl    %cr4, %eax
        orl     $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $CR0_PG | CR0_PE, %eax
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ret

        .section .rodata
        .balign 8
        .globl  boot_gdt, boot_gdt_pointer
boot_gdt:
        .quad   0
        .quad   0x00af9a000000ffff              /* 0x08: 64-bit code */
        .quad   0x00cf92000000ffff              /* 0x10: data */
boot_gdt_pointer:
        .word   . - boot_gdt - 1
        .quad   boot_gdt

        .section .bss
        .balign 4096
        .globl  boot_pml4, boot_pds
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pds:  .skip 4 * 4096
        .balign 16
stack:     .skip 16384
stack_top:

        .section .note.GNU-stack, "", @progbits
