/* SPDX-License-Identifier: MIT */
/* What a program needs of <cstring>, and what the compiler calls by itself. */
#pragma once

#include <stddef.h>

extern "C" {
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
}

/* A number in decimal, NUL-terminated. */
struct Decimal {
    explicit Decimal(unsigned long value);
    const char *text;

private:
    char buffer[21];
};

/* The number that `s` starts with. */
unsigned long parse_decimal(const char *s);

/* The kernel command line: words, some of them `name=value`. */
class CommandLine
{
public:
    explicit CommandLine(const char *text) : text_(text) {}

    bool has(const char *word) const { return find(word, false) != nullptr; }
    bool has_value(const char *name) const { return find(name, true) != nullptr; }
    /* Whether the line says `name=value`. */
    bool says(const char *name, const char *value) const;
    unsigned long number(const char *name, unsigned long otherwise) const;

private:
    const char *find(const char *name, bool with_value) const;

    const char *text_;
};
