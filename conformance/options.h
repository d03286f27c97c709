/* SPDX-License-Identifier: MIT */
/* The command line of blkif-conformance. */
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pvblk::conformance
{

struct Options {
    enum class Do : uint8_t { Run, List, Coverage, Report, Scenarios, Help };
    enum class Format : uint8_t { Text, Tap, Junit, Jsonl, Html };

    Do what{Do::Run};
    Format format{Format::Text};
    std::string output{}; /* "": standard output */
    bool frontend{false}; /* the subject is a frontend */
    bool loopback{false};
    std::string serve{}; /* the number of a vbd; "": nothing is served */
    std::string domain{}, image{}, config{}, scenario{};
    std::string facts{}; /* a file of what came of scenarios; "": they are played here */
    std::vector<std::string> vbds{};  /* numbers, in decimal */
    std::string plan{};               /* a fault plan for our own backend */
    std::string fail{};               /* "grant:7": this call of the suite's own fails; "": none */
    std::vector<std::string> words{}; /* which cases; of a report: files */
    std::string profile{}, baseline{}, subject{}, version{}, after{};
    uint32_t operator_can{0}; /* bits of Ability */
    bool allow_writes{false}, wait_for_gdb{false}, progress{false}, quiet{false}, terse{false};
    uint32_t seed{0}; /* 0: the registry's order */
    uint32_t repeat{1}, shard{0}, shards{1};
    std::chrono::milliseconds patience{3000};
    std::chrono::seconds time_limit{0}; /* 0: none */
};

/* Nothing: `problem` is a sentence. */
std::optional<Options> parse_options(int argc, char **argv, std::string &problem);
extern const char *const kHelp;
/* A whole number from 1 on, of at most seven digits; 0: it is none. */
uint32_t whole(const std::string &text);

} // namespace pvblk::conformance
