/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: one turn of the pump: what it came to, and what it may do.
 *
 * A fault is only noted. It ends the turn: whoever loops looks at it, and
 * nothing is taken, sent or completed after it. What it leads to happens once
 * the turn is over (Connection::settle()), so that no ring goes away under a
 * loop over rings.
 */
#pragma once

#include "pvblk/result.h"

#include <optional>

namespace pvblk
{

/* Whether requests may be sent. Asked anew for each of them: the owner has the
 * word in between. */
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
