/* SPDX-License-Identifier: MIT */
/* See config.h. */
#include "frontends/config.h"

#include "pvblk/xenbus.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

constexpr struct {
    const char *name;
    bool BackConfig::*on;
} kSwitches[] = {
    {"flush", &BackConfig::flush},           {"barrier", &BackConfig::barrier},
    {"discard", &BackConfig::discard},       {"discard-secure", &BackConfig::discard_secure},
    {"persistent", &BackConfig::persistent}, {"read-only", &BackConfig::read_only},
    {"cdrom", &BackConfig::cdrom},           {"removable", &BackConfig::removable},
};

constexpr struct {
    const char *name;
    uint32_t BackConfig::*number;
} kNumbers[] = {
    {"max-persistent", &BackConfig::max_persistent},
    {"max-indirect-segments", &BackConfig::max_indirect_segments},
    {"max-queues", &BackConfig::max_queues},
    {"max-ring-page-order", &BackConfig::max_ring_page_order},
    {"logical_block_size", &BackConfig::sector_size},
    {"physical_block_size", &BackConfig::physical_sector_size},
};

/* False: there is no property of that name or value here. */
bool set(BackConfig &c, const std::string &name, const std::string &value)
{
    for (const auto &s : kSwitches)
        if (name == s.name) {
            c.*s.on = value == "on";
            if (s.on == &BackConfig::cdrom)
                c.read_only = c.cdrom;
            return value == "on" || value == "off";
        }
    for (const auto &n : kNumbers)
        if (name == n.name) {
            auto number = parse_decimal(value);
            c.*n.number = static_cast<uint32_t>(number.value_or(0));
            return number && *number <= UINT32_MAX;
        }
    return false;
}

} // namespace

std::string read_config(const std::string &text, BackConfig &c)
{
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find(',', at), text.size());
        std::string word = text.substr(at, end - at);
        size_t equals = word.find('=');
        if (equals == std::string::npos || !set(c, word.substr(0, equals), word.substr(equals + 1)))
            return word;
        at = end + 1;
    }
    return "";
}

} // namespace pvblk::conformance
