/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: what one turn of the pump came to.
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
