/* SPDX-License-Identifier: MIT */
/*
 * U-Boot's heap, console and clock, on the host's C library. A freed piece is
 * overwritten and kept: whoever uses it again reads nonsense, as he would where
 * the heap has given it to somebody else, and the second free of it is counted.
 */
#include "libc.h"
#include "seam.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define FREED 0x5a

/* ---- the heap ---------------------------------------------------------------- */

struct Piece {
    struct Piece *next;
    void *at;
    size_t size;
    void *world; /* its pages; NULL: it is the host's memory */
    size_t pages;
    bool freed;
};
static struct Piece *pieces;
static size_t in_use, double_frees;

static void *add(void *at, size_t size, void *world, size_t pages)
{
    struct Piece *piece = malloc(sizeof *piece);

    if (!piece || !at)
        abort();
    *piece = (struct Piece){pieces, at, size, world, pages, false};
    pieces = piece;
    in_use++;
    return at;
}

void *uboot_malloc(size_t size)
{
    return add(malloc(size + 1), size, NULL, 0);
}

void *uboot_calloc(size_t n, size_t size)
{
    return memset(uboot_malloc(n * size), 0, n * size);
}

char *uboot_strdup(const char *text)
{
    return memcpy(uboot_malloc(strlen(text) + 1), text, strlen(text) + 1);
}

/* What the driver aligns, it grants: whole pages of the guest. */
void *uboot_memalign(size_t alignment, size_t size)
{
    size_t extra = alignment / PAGE;
    size_t pages = size / PAGE + 1 + extra;
    uintptr_t world = (uintptr_t)world_pages(pages), at = world;

    if (!world)
        return NULL;
    for (size_t i = 0; i < extra && at % alignment; i++)
        at += PAGE;
    return add((void *)at, size, (void *)world, pages);
}

void uboot_free(void *at)
{
    if (!at)
        return;
    struct Piece *piece = pieces;
    /* The newest of those that were at this place. */
    while (piece && piece->at != at)
        piece = piece->next;
    if (!piece)
        driver_died("free() of what was never allocated");
    if (piece->freed) {
        double_frees++;
        return;
    }
    piece->freed = true;
    in_use--;
    if (piece->world)
        world_free_pages(piece->world, piece->pages);
    else
        memset(at, FREED, piece->size);
}

size_t uboot_double_frees(void)
{
    return double_frees;
}

size_t uboot_forget_heap(void)
{
    size_t left = in_use;

    while (pieces) {
        struct Piece *gone = pieces;
        pieces = gone->next;
        if (!gone->world)
            free(gone->at);
        free(gone);
    }
    in_use = double_frees = 0;
    return left;
}

/* ---- the console --------------------------------------------------------------- */

static char line[256], last_line[256];

static void print(const char *text)
{
    size_t used = strlen(line);

    snprintf(line + used, sizeof line - used, "%s", text);
    if (!strchr(line, '\n'))
        return;
    line[strcspn(line, "\n")] = 0;
    memcpy(last_line, line, sizeof line);
    line[0] = 0;
    driver_said(last_line);
}

int uboot_printf(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print(text);
    return length;
}

int uboot_puts(const char *text)
{
    print(text);
    return 0;
}

/* U-Boot's BUG() prints "BUG at FOLDERS/FILE:LINE/FUNCTION()!", and then panics. */
void panic(const char *format, ...)
{
    const char *place = strchr(last_line, ':');

    (void)format;
    while (place && place > last_line && place[-1] != '/')
        place--;
    driver_died(place ? place : last_line);
}

unsigned long simple_strtoul(const char *text, char **end, unsigned int base)
{
    return strtoul(text, end, (int)base);
}

/* ---- time ------------------------------------------------------------------------ */

/* A millisecond passes each time that somebody asks. */
unsigned long get_timer(unsigned long base)
{
    static unsigned long now;

    return now++ - base;
}

int ctrlc(void)
{
    return 0;
}
