/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: several waits on a Clock's one deadline. It does not know their
 * purpose.
 */
#pragma once

#include "pvblk/ports.h"

#include <array>
#include <optional>

namespace pvblk
{

/* If several are due, they are served in this order. */
enum class Wait : uint8_t {
    Handshake, /* the backend's next state */
    Nodes,     /* nodes of a backend that is InitWait and has none yet */
    Orphans,   /* answers to requests that were cancelled */
    Requests,  /* the answer to the oldest request, or an earlier look at it */
};
inline constexpr uint32_t kWaits = 4;

class Deadlines
{
public:
    explicit Deadlines(Clock &clock) : clock_(clock) { at_.fill(kNever); }
    ~Deadlines() { clock_.set_deadline(kNever); }
    Deadlines(const Deadlines &) = delete;
    Deadlines &operator=(const Deadlines &) = delete;

    /* A wait that is running keeps its end: a peer that makes us start it again
     * and again gains no time. */
    void start(Wait w, int64_t ns);
    void set(Wait w, int64_t at_ns);
    void stop(Wait w) { set(w, kNever); }

    int64_t now_ns() const { return clock_.now_ns(); }
    /* The clock's deadline passed: stops and returns a wait that is over.
     * nullopt: none is over yet. */
    std::optional<Wait> passed();

private:
    static constexpr int64_t kNever = -1;
    int64_t &at(Wait w) { return at_[static_cast<uint32_t>(w)]; }
    void tell();

    Clock &clock_;
    std::array<int64_t, kWaits> at_{};
    int64_t told_{kNever}; /* the clock's deadline */
};

} // namespace pvblk
