/* SPDX-License-Identifier: MIT */
/* States and numbers, as XenStore has them. */
#include "pvblk/xenbus.h"

namespace pvblk
{

std::optional<uint64_t> parse_decimal(std::string_view text)
{
    if (text.empty())
        return std::nullopt;
    uint64_t v = 0;
    for (char c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, static_cast<uint64_t>(c - '0'), &v))
            return std::nullopt;
    }
    return v;
}

Result<XenbusState> parse_xenbus_state(std::string_view text)
{
    auto v = parse_decimal(text);
    if (!v)
        return Error{ErrorKind::Malformed, "xenbus:state",
                     "the backend's state is not a decimal number", 0};
    if (*v >= kXenbusStates)
        return Error{ErrorKind::OutOfRange, "xenbus:state",
                     "the backend's state is not a state of xenbus.h", *v};
    return static_cast<XenbusState>(*v);
}

const char *xenbus_state_name(XenbusState s)
{
    static constexpr const char *names[kXenbusStates] = {
        "Unknown", "Initialising", "InitWait",      "Initialised", "Connected",
        "Closing", "Closed",       "Reconfiguring", "Reconfigured"};
    return names[static_cast<uint32_t>(s)];
}

} // namespace pvblk
