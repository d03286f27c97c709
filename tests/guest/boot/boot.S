/* SPDX-License-Identifier: MIT */
/*
 * A disk that boots: a master boot record whose code reads more of its disk through the firmware (INT 13h),
 * adds up what it read, writes the sum back, and reports it on the second serial port.
 *
 *   sector 0      this file's first 512 bytes; reads sector 1 by cylinder, head and sector (AH=02h)
 *   sector 1      stage two; reads DATA_SECTORS sectors from DATA_LBA by address (AH=42h)
 *   RESULT_LBA    written by stage two (AH=43h): "PVBLKSUM" and the sum, little endian
 */
        .code16
        .set    COM2, 0x2f8
        .set    DATA_LBA, 2048
        .set    DATA_SECTORS, 64
        .set    DATA_SEGMENT, 0x1000
        .set    RESULT_LBA, 4096

        .globl  start
start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        cld
        sti
        movb    %dl, drive
        movw    $0x0201, %ax            /* read one sector */
        movw    $0x0002, %cx            /* cylinder 0, sector 2 (they count from 1) */
        movb    $0, %dh
        movw    $stage2, %bx
        int     $0x13
        jc      failed
        jmp     stage2

failed:
        movw    $failure, %si
        call    print
hang:
        cli
        hlt
        jmp     hang

/* Writes the string at DS:SI to the second serial port. */
print:
        lodsb
        testb   %al, %al
        jz      1f
        call    put
        jmp     print
1:      ret

/* Writes AL, when the transmitter is empty. */
put:
        pushw   %ax
        movw    $COM2 + 5, %dx
2:      inb     %dx, %al
        testb   $0x20, %al
        jz      2b
        popw    %ax
        movw    $COM2, %dx
        outb    %al, %dx
        ret

drive:   .byte  0
failure: .asciz "PVBLK: FAILED INT 13h\n"

        .org    446
        .byte   0x80, 0, 2, 0, 0x83, 0, 16, 0   /* one active partition */
        .long   1, 8191
        .org    510
        .word   0xaa55

        .org    512
stage2:
        movw    $packet_read, %si
        movb    $0x42, %ah
        call    disk
        /* The sum of all 32-bit words. */
        movw    $DATA_SEGMENT, %ax
        movw    %ax, %es
        xorw    %di, %di
        xorl    %ebx, %ebx
        movw    $(DATA_SECTORS * 512 / 4), %cx
3:      addl    %es:(%di), %ebx
        addw    $4, %di
        loop    3b
        movl    %ebx, sum
        movw    $packet_write, %si
        movw    $0x4300, %ax
        call    disk
        movw    $success, %si
        call    print
        movw    $8, %cx
        movl    sum, %ebx
4:      roll    $4, %ebx
        movb    %bl, %al
        andb    $15, %al
        addb    $'0', %al
        cmpb    $'9', %al
        jbe     5f
        addb    $('a' - '9' - 1), %al
5:      call    put
        loop    4b
        movb    $'\n', %al
        call    put
        jmp     hang

/* One extended request to the disk that booted. */
disk:
        movb    drive, %dl
        int     $0x13
        jc      failed
        ret

success: .asciz "PVBLK: booted "
        .balign 4
packet_read:
        .byte   16, 0
        .word   DATA_SECTORS
        .word   0, DATA_SEGMENT
        .quad   DATA_LBA
packet_write:
        .byte   16, 0
        .word   1
        .word   result, 0
        .quad   RESULT_LBA

        .org    900
result:  .ascii "PVBLKSUM"
sum:     .long  0
        .org    1024
        /* The write takes a whole sector from `result`; what lies behind it in memory is of no interest. */
