/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`, private to the parser and printer of plans: the words of a
 * line, names of numbers, and messages about wrong words. Allocates.
 */
#pragma once

#include "pvblk/fault.h"

namespace pvblk
{

/* The index of a name is its value. */
using FaultNames = std::vector<std::string_view>;

FaultNames fault_point_names();
FaultNames fault_op_names();
FaultNames fault_state_names();
FaultNames fault_queue_names();
/* All faults, by FaultKind. */
FaultNames fault_kind_names();
/* The faults that can happen at a point. */
FaultNames fault_kind_names(FaultPoint point);
/* The points where a fault can happen. */
FaultNames fault_point_names(const FaultInfo &fault);

std::optional<size_t> fault_index(std::string_view word, const FaultNames &names);
FaultNames fault_split(std::string_view words, char at);
std::string fault_join(const FaultNames &names);
/* In quotes, cut to fit a line of a terminal. */
std::string fault_quote(std::string_view word);
/* "; did you mean 'x'?", if one of the names is close; else "". */
std::string fault_suggest(std::string_view word, const FaultNames &names);

/* Decimal, or hexadecimal after 0x; no sign. */
std::optional<uint64_t> parse_fault_number(std::string_view word);
/* 0.05, as parts of a billion. */
std::optional<uint32_t> parse_probability(std::string_view word);
std::string print_probability(uint32_t parts);
/* In quotes; characters that are not printable ASCII become \xHH. */
std::string print_quoted(std::string_view text);

struct FaultWord {
    enum Kind : uint8_t { End, Bare, Colon, Quoted, Bad } kind{End};
    std::string_view bare{};
    std::string text{}; /* Quoted: without the quotes; Bad: the mistake */

    /* For a sentence. */
    std::string said() const;
};

/* One line, word by word. A comment ends it. */
class FaultLine
{
public:
    explicit FaultLine(std::string_view text) : rest_(text) {}
    FaultWord next();

private:
    FaultWord quoted();

    std::string_view rest_;
};

} // namespace pvblk
