/* SPDX-License-Identifier: MIT */
/*
 * A profile says what is known of a subject: which cases it fails, and why. It is
 * a TOML file, ours or a consumer's own:
 *
 *     subject = "QEMU 10.0, xen-disk"
 *     extends = "another.toml"    # optional: a file beside this one; its entries come behind ours
 *     [[deviation]]
 *     id   = "D10"
 *     case = "request/op/7-unknown"  # a glob over IDs
 *     note = "an unknown operation is answered ERROR"
 *     seen = "ERROR"              # optional: another answer is a FAIL
 *     verdict = "CRASH"           # optional: FAIL without it, WEDGED, CORRUPT, LEAK, or a list
 *     sometimes = true            # optional: it may pass as well
 *     [[skip]]
 *     case = "persistent/reuse/again"
 *     note = "not offered"
 *
 * The first entry that covers a case counts. If the case then passes, that is a
 * FAIL: the entry is out of date. With `skips = "listed"`, a SKIP that no entry
 * covers is a FAIL, too.
 */
#pragma once

#include "result.h"

#include <optional>
#include <string>
#include <vector>

namespace pvblk::conformance
{

class Profile
{
public:
    /* A file, with those that it extends. Nothing: `problem` is a sentence with the
     * file and the line. */
    static std::optional<Profile> read(const std::string &path, std::string &problem);

    /* A failure that the profile knows becomes a deviation; one that it expects
     * and that did not come becomes a failure. */
    void apply(CaseResult &r) const;

private:
    static std::optional<Profile> parse(const std::string &text, std::string &problem);
    /* Globs that match no case of the suite: "" if none. */
    std::string unknown_cases() const;
    struct Entry {
        std::string id{}, pattern{}, note{}, seen{};
        std::vector<std::string> verdicts{};
        bool sometimes{false};
    };
    std::vector<Entry> deviations_{}, skips_{};
    bool skips_are_listed_{false};
    std::string extends_{};
};

} // namespace pvblk::conformance
