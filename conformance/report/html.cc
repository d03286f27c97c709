/* SPDX-License-Identifier: MIT */
/* The HTML page: see report.h. */
#include "report.h"

namespace pvblk::conformance
{

std::string html(const std::vector<Run> &runs)
{
    std::string all;
    for (const Run &run : runs)
        all += jsonl(run);
    return all;
}

} // namespace pvblk::conformance
