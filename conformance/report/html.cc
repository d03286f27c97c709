/* SPDX-License-Identifier: MIT */
/* The HTML page: see report.h. All of it but the runs is page.html. */
#include "report.h"

#include "page.h"

#include <string_view>

namespace pvblk::conformance
{

namespace
{

constexpr std::string_view kMark = "@RUNS@";

/* JSON in which nothing ends the script element or a line of JavaScript. What is
 * escaped here occurs in strings alone. */
std::string inert(const std::string &json)
{
    std::string out;
    for (size_t i = 0; i < json.size(); i++) {
        std::string_view rest = std::string_view(json).substr(i, 3);
        if (rest[0] == '<')
            out += "\\u003c";
        else if (rest == "\xe2\x80\xa8" || rest == "\xe2\x80\xa9") {
            out += rest[2] == '\xa8' ? "\\u2028" : "\\u2029";
            i += 2;
        } else
            out += rest[0];
    }
    return out;
}

/* [head, case, case, …], of the lines that jsonl() writes. */
std::string array(const Run &run)
{
    std::string all = "[" + json_head(run);
    for (const CaseResult &r : run.results)
        all += "," + json_line(r);
    return all + "]";
}

} // namespace

std::string html(const std::vector<Run> &runs)
{
    std::string all;
    for (const Run &run : runs)
        all += (all.empty() ? "[" : ",") + array(run);
    all += "]";
    std::string page = kPage;
    return page.replace(page.find(kMark), kMark.size(), inert(all));
}

} // namespace pvblk::conformance
