/* SPDX-License-Identifier: MIT */
/* Layer `back`: the backend's table of (state, event) → action. */
#include "back/states.h"

#include <array>

namespace pvblk
{

namespace
{

using S = XenbusState;
using E = BackEvent;
using A = BackAction;
using Table = std::array<std::array<A, kBackEvents>, kXenbusStates>;

constexpr Table make_table()
{
    Table t{}; /* nothing happens */
    auto set = [&t](S s, E e, A action) {
        t[static_cast<uint32_t>(s)][static_cast<uint32_t>(e)] = action;
    };

    for (E e : {E::FrontInitialised, E::FrontConnected})
        set(S::InitWait, e, A::Connect);
    for (E e : {E::FrontClosing, E::Close})
        set(S::InitWait, e, A::Close);

    /* Also without Closing and Closed: a frontend that crashed. */
    set(S::Connected, E::FrontInitialising, A::Restart);
    /* It may have taken the place of one that died (a crash kernel's does, and
     * win-xenvbd's xencrsh). Or it closed and came back before we looked. A
     * frontend that has sent a request is never Initialised again. */
    set(S::Connected, E::FrontConnected, A::Renew);
    set(S::Connected, E::FrontInitialised, A::Replace);
    for (E e : {E::FrontClosing, E::Close})
        set(S::Connected, e, A::Close);
    for (E e : {E::FrontUnknown, E::FrontClosed})
        set(S::Connected, e, A::End);

    for (E e : {E::FrontUnknown, E::FrontClosed})
        set(S::Closing, e, A::End);

    /* A frontend need not wait for InitWait: it may be ready before we look. */
    for (S s : {S::Closing, S::Closed}) {
        set(s, E::FrontInitialising, A::Restart);
        for (E e : {E::FrontInitialised, E::FrontConnected})
            set(s, e, A::Return);
    }
    return t;
}

constexpr Table kTable = make_table();

} // namespace

BackAction back_action(XenbusState state, BackEvent event)
{
    return kTable[static_cast<uint32_t>(state)][static_cast<uint32_t>(event)];
}

const char *back_action_name(BackAction a)
{
    static constexpr const char *names[] = {"none",  "restart", "return", "connect",
                                            "renew", "replace", "close",  "end"};
    return names[static_cast<uint32_t>(a)];
}

} // namespace pvblk
