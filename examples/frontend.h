/* SPDX-License-Identifier: MIT */
/*
 * A frontend of somebody else's, as small as one can be: one page of a ring,
 * x86_64's layout, one READ of a sector at a time. It takes nothing of pvblk
 * but the ports that it stands on, where a driver has its hypercalls, and is
 * here to be tested: see frontend_test.cc. Clauses: io/blkif.h, io/ring.h.
 */
#pragma once

#include <pvblk/ports.h>

#include <optional>
#include <string>

namespace example
{

class Frontend
{
public:
    /* `path` is its own directory in XenStore. */
    Frontend(const pvblk::FrontPorts &ports, std::string path);
    ~Frontend();
    Frontend(const Frontend &) = delete;
    Frontend &operator=(const Frontend &) = delete;

    /* Tell the backend of ring and event channel: Initialised. */
    bool announce();
    /* The backend is Connected: so are we. */
    void connected();
    /* Ask for one sector, to be read into the guest page of this frame. */
    void read(uint64_t sector, pvblk::Gfn frame);
    /* An event came: look at the ring. */
    void event();
    /* Nothing came in time: an event may be lost, its response is not. */
    void timeout() { event(); }

    enum class Outcome { Waiting, Done, Failed, Refused };
    /* Refused: the backend broke a rule: a wrong answer, or a page that it keeps. */
    Outcome outcome() const { return outcome_; }

private:
    struct Ring;
    struct Response;
    bool write(const char *node, const std::string &value);
    bool take_answers();
    bool more_came();
    void answer(const Response &response);

    pvblk::FrontPorts ports_;
    std::string path_;
    Ring *ring_;
    uint32_t produced_{0}, consumed_{0};
    uint64_t id_{0}; /* of the request in flight */
    bool open_{false};
    Outcome outcome_{Outcome::Waiting};
};

} // namespace example
