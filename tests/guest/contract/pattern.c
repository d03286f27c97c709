/* SPDX-License-Identifier: MIT */
/*
 * The contract's commands on a disk of Linux (docs/bring-your-own-frontend.rst), one a run:
 *   pattern DISK write SECTOR COUNT SEED | read SECTOR COUNT SEED | discard SECTOR COUNT | flush |
 * size It prints the answer: ok, error, wrong or unsupported, and a word or two more. Data goes
 * around the page cache, so that each command becomes requests of the frontend.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* for 32-bit guests */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { kSector = 512, kChunk = 1 << 20, kAlignment = 4096 };

static uint64_t word_of(uint64_t seed, uint64_t sector, uint64_t index)
{
    return (seed << 32 | sector) ^ index * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t *words, uint64_t seed, uint64_t sector, size_t bytes)
{
    for (size_t i = 0; i < bytes / 8; i++)
        words[i] = word_of(seed, sector + i / 64, i % 64);
}

static int failed(void)
{
    if (errno == EOPNOTSUPP || errno == ENOTTY)
        puts("unsupported");
    else
        printf("error %s\n", strerror(errno));
    return 0;
}

/* The functions below return whether all is well. If not, they have printed the answer. */
static int write_piece(int disk, uint64_t *words, uint64_t seed, uint64_t sector, size_t bytes)
{
    fill(words, seed, sector, bytes);
    ssize_t done = pwrite(disk, words, bytes, (off_t)(sector * kSector));
    if (done < 0)
        return failed();
    if ((size_t)done < bytes)
        return puts("error the disk ends too early"), 0;
    return 1;
}

static int read_piece(int disk, uint64_t *words, uint64_t seed, uint64_t sector, size_t bytes)
{
    /* What the frontend does not write shows. */
    memset(words, 0xa5, bytes);
    ssize_t done = pread(disk, words, bytes, (off_t)(sector * kSector));
    if (done < 0)
        return failed();
    if ((size_t)done < bytes)
        return puts("error the disk ends too early"), 0;
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t should = word_of(seed, sector + i / 64, i % 64);
        if (words[i] == should)
            continue;
        printf("wrong sector %llu word %zu: %016llx instead of %016llx\n",
               (unsigned long long)(sector + i / 64), i % 64, (unsigned long long)words[i],
               (unsigned long long)should);
        return 0;
    }
    return 1;
}

typedef int Piece(int disk, uint64_t *words, uint64_t seed, uint64_t sector, size_t bytes);

static int transfer(int disk, Piece *piece, uint64_t sector, uint64_t count, uint64_t seed)
{
    void *words;
    if (posix_memalign(&words, kAlignment, kChunk))
        return puts("error no memory"), 0;
    while (count > 0) {
        uint64_t now = count < kChunk / kSector ? count : kChunk / kSector;
        if (!piece(disk, words, seed, sector, now * kSector))
            return 0;
        sector += now;
        count -= now;
    }
    return 1;
}

static int discard(int disk, uint64_t sector, uint64_t count)
{
    uint64_t range[2] = {sector * kSector, count * kSector};
    return ioctl(disk, BLKDISCARD, range) ? failed() : 1;
}

static int obey(int disk, const char *command, uint64_t sector, uint64_t count, uint64_t seed)
{
    if (!strcmp(command, "write"))
        return transfer(disk, write_piece, sector, count, seed);
    if (!strcmp(command, "read"))
        return transfer(disk, read_piece, sector, count, seed);
    if (!strcmp(command, "discard"))
        return discard(disk, sector, count);
    if (!strcmp(command, "flush"))
        return fsync(disk) ? failed() : 1;
    puts("unsupported");
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t number[3] = {0}, bytes;
    if (argc < 3)
        return 2;
    for (int i = 3; i < argc && i < 6; i++)
        number[i - 3] = strtoull(argv[i], NULL, 10);
    const char *command = argv[2];
    int reads = !strcmp(command, "read") || !strcmp(command, "size");
    int disk = open(argv[1], (reads ? O_RDONLY : O_RDWR) | O_DIRECT);
    if (disk < 0)
        return failed();
    if (!strcmp(command, "size")) {
        if (ioctl(disk, BLKGETSIZE64, &bytes) == 0)
            printf("ok %llu\n", (unsigned long long)bytes / kSector);
        else
            failed();
    } else if (obey(disk, command, number[0], number[1], number[2]))
        puts("ok");
    return 0;
}
