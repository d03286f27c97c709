/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`, private to the parser and printer of plans: the words of a
 * line, the names that stand for numbers, and what a user is told who got one
 * of them wrong. Allocates.
 */
#pragma once

#include "pvblk/fault.h"

namespace pvblk
{

/* Index: the value that the name stands for. */
using FaultNames = std::vector<std::string_view>;

FaultNames fault_point_names();
FaultNames fault_op_names();
FaultNames fault_state_names();
FaultNames fault_queue_names();
/* All faults, by FaultKind. */
FaultNames fault_kind_names();
/* Those that can happen at a point. */
FaultNames fault_kind_names(FaultPoint point);
/* Those that a fault can happen at. */
FaultNames fault_point_names(const FaultInfo &fault);

std::optional<size_t> fault_index(std::string_view word, const FaultNames &names);
FaultNames fault_split(std::string_view words, char at);
std::string fault_join(const FaultNames &names);
/* In quotes, and not longer than a line of a terminal takes. */
std::string fault_quote(std::string_view word);
/* "; did you mean 'x'?", if one of the names is close; else "". */
std::string fault_suggest(std::string_view word, const FaultNames &names);

/* Decimal, or hexadecimal after 0x; no sign. */
std::optional<uint64_t> parse_fault_number(std::string_view word);
/* 0.05, as parts of a billion. */
std::optional<uint32_t> parse_probability(std::string_view word);
std::string print_probability(uint32_t parts);
/* In quotes, with what is neither printable nor ASCII as \xHH. */
std::string print_quoted(std::string_view text);

struct FaultWord {
    enum Kind : uint8_t { End, Bare, Colon, Quoted, Bad } kind{End};
    std::string_view bare{};
    std::string text{}; /* Quoted: without the quotes; Bad: what is wrong */

    /* For a sentence. */
    std::string said() const;
};

/* One line, word by word. A comment is its end. */
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
