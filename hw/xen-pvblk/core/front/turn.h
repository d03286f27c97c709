/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: one turn of the pump: its result and its permission.
 *
 * A fault is only noted. It ends the turn: each loop checks it, and takes, sends
 * or completes nothing after it. Its consequences follow when the turn is over
 * (Connection::settle()), so that no ring goes away under a loop over rings.
 */
#pragma once

#include "pvblk/result.h"

#include <optional>

namespace pvblk
{

/* Whether requests may be sent. Ask again for each request: the owner may have
 * acted in between. */
class Permit
{
public:
    virtual bool may_send() const = 0;

protected:
    ~Permit() = default;
};

struct Turn {
    bool progress{false};
    std::optional<Error> fault{};

    void fail(const Error &error)
    {
        progress = true;
        if (!fault)
            fault = error;
    }
};

} // namespace pvblk
