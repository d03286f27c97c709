/* SPDX-License-Identifier: MIT */
/* Strings and numbers, without a C library. Short, not fast. */
#include "text.h"

#include <stdint.h>

extern "C" {

void *memcpy(void *to, const void *from, size_t n)
{
    void *begin = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return begin;
}

void *memset(void *to, int value, size_t n)
{
    void *begin = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return begin;
}

void *memmove(void *to, const void *from, size_t n)
{
    if (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) >= n)
        return memcpy(to, from, n);
    auto *t = static_cast<volatile uint8_t *>(to);
    auto *f = static_cast<const uint8_t *>(from);
    while (n--)
        t[n] = f[n];
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    auto *x = static_cast<const uint8_t *>(a);
    auto *y = static_cast<const uint8_t *>(b);
    for (; n--; x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    return memcmp(a, b, strlen(a) + 1);
}

} // extern "C"

Decimal::Decimal(unsigned long value)
{
    char *at = buffer + sizeof buffer;
    *--at = 0;
    do {
        *--at = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value);
    text = at;
}

unsigned long parse_decimal(const char *s)
{
    unsigned long value = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        value = value * 10 + static_cast<unsigned long>(*s - '0');
    return value;
}

/* What follows `name` (and an equals sign) where a word begins with it, or null. */
const char *CommandLine::find(const char *name, bool with_value) const
{
    size_t n = strlen(name);
    for (const char *at = text_; *at; at++) {
        if (at != text_ && at[-1] != ' ')
            continue;
        size_t i = 0;
        while (i < n && at[i] == name[i])
            i++;
        if (i < n)
            continue;
        if (with_value && at[n] == '=')
            return at + n + 1;
        if (!with_value && (!at[n] || at[n] == ' '))
            return at + n;
    }
    return nullptr;
}

bool CommandLine::says(const char *name, const char *value) const
{
    const char *v = find(name, true);
    if (!v)
        return false;
    while (*value && *v == *value) {
        v++;
        value++;
    }
    return !*value && (!*v || *v == ' ');
}

unsigned long CommandLine::number(const char *name, unsigned long otherwise) const
{
    const char *v = find(name, true);
    return v ? parse_decimal(v) : otherwise;
}
