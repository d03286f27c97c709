/* SPDX-License-Identifier: MIT */
/*
 * The fault plans of docs/: those that docs/faults.rst quotes, and the files of
 * docs/examples. No GoogleTest.
 */
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace pvblk
{

inline std::string text_of(const std::filesystem::path &path)
{
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/* The blocks after a `::`, without indentation and blank lines around. */
inline std::vector<std::string> literal_blocks(const std::string &rst)
{
    std::vector<std::string> blocks;
    std::istringstream in(rst);
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (inside && (line.empty() || line.starts_with("    "))) {
            if (!line.empty() || !blocks.back().empty())
                blocks.back() += (line.empty() ? "" : line.substr(4)) + "\n";
            continue;
        }
        inside = line.ends_with("::") && !line.starts_with("..");
        if (inside)
            blocks.emplace_back();
    }
    for (std::string &b : blocks)
        b.erase(b.find_last_not_of('\n') + 1);
    return blocks;
}

/* A literal block of docs/faults.rst is a plan, or the sentence that the plan
 * before it is refused with. */
struct ManualPlan {
    std::string text, refusal;
};

inline std::vector<ManualPlan> manual_plans(const std::string &rst)
{
    std::vector<ManualPlan> plans;
    for (const std::string &block : literal_blocks(rst)) {
        if (block.starts_with("line ") && !plans.empty())
            plans.back().refusal = block;
        else
            plans.push_back({block, ""});
    }
    return plans;
}

/* The files of docs/examples, in the order of their names. */
inline std::vector<std::filesystem::path> example_files(const std::filesystem::path &docs)
{
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto &file : std::filesystem::directory_iterator(docs / "examples", error))
        files.push_back(file.path());
    std::sort(files.begin(), files.end());
    return files;
}

/* All of both that the parser takes. */
inline std::vector<std::string> plans_of_docs(const std::filesystem::path &docs)
{
    std::vector<std::string> plans;
    for (const ManualPlan &p : manual_plans(text_of(docs / "faults.rst")))
        if (p.refusal.empty())
            plans.push_back(p.text);
    for (const auto &file : example_files(docs))
        plans.push_back(text_of(file));
    return plans;
}

} // namespace pvblk
