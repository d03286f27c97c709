/* SPDX-License-Identifier: MIT */
/* See driver_front.h. */
#include "frontends/driver_front.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

Ended no_memory()
{
    return {Ended::Error, "the guest's memory is too small"};
}

Ended ended(const DriverOutcome &outcome)
{
    std::string text = outcome.text;
    if (text == "Success")
        return {};
    if (text.starts_with("hung: "))
        return {Ended::Hung, text.substr(6)};
    if (text.starts_with("assert: "))
        return {Ended::Died, text.substr(8)};
    return {Ended::Error, text};
}

} // namespace

Ended DriverFront::start()
{
    return ended(calls_.start());
}

Ended DriverFront::read(uint64_t sector, std::span<std::byte> to)
{
    std::byte *at = world_.take_buffer(to.size());
    if (!at)
        return no_memory();
    Ended how = ended(calls_.read(sector, to.size(), at));
    if (how.what == Ended::Okay)
        std::copy_n(at, to.size(), to.begin());
    return give_back(at, to.size(), std::move(how));
}

Ended DriverFront::write(uint64_t sector, std::span<const std::byte> from)
{
    std::byte *at = world_.take_buffer(from.size());
    if (!at)
        return no_memory();
    std::copy(from.begin(), from.end(), at);
    return give_back(at, from.size(), ended(calls_.write(sector, from.size(), at)));
}

std::optional<Ended> DriverFront::flush()
{
    if (!calls_.flush)
        return std::nullopt;
    return ended(calls_.flush());
}

Ended DriverFront::stop()
{
    return ended(calls_.stop());
}

/* A driver that hangs still uses the buffer. */
Ended DriverFront::give_back(std::byte *at, size_t bytes, Ended how)
{
    if (how.what != Ended::Hung)
        world_.give_buffer(at, bytes);
    return how;
}

} // namespace pvblk::conformance
