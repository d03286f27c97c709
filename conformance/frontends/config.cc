/* SPDX-License-Identifier: MIT */
/* See config.h. */
#include "frontends/config.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

uint32_t number(const std::string &text)
{
    return static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
}

/* False: there is no property of that name here. */
bool set(BackConfig &c, const std::string &name, const std::string &value)
{
    bool on = value == "on";
    if (name == "flush")
        c.flush = on;
    else if (name == "barrier")
        c.barrier = on;
    else if (name == "discard")
        c.discard = on;
    else if (name == "discard-secure")
        c.discard_secure = on;
    else if (name == "persistent")
        c.persistent = on;
    else if (name == "max-persistent")
        c.max_persistent = number(value);
    else if (name == "max-indirect-segments")
        c.max_indirect_segments = number(value);
    else if (name == "max-queues")
        c.max_queues = number(value);
    else if (name == "max-ring-page-order")
        c.max_ring_page_order = number(value);
    else if (name == "logical_block_size")
        c.sector_size = number(value);
    else if (name == "physical_block_size")
        c.physical_sector_size = number(value);
    else if (name == "read-only")
        c.read_only = on;
    else if (name == "cdrom")
        c.cdrom = c.read_only = on;
    else if (name == "removable")
        c.removable = on;
    else
        return false;
    return true;
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
