/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: barriers of one backend, over all its rings. blkif:barrier — what was begun before
 * a barrier is done before it, and nothing is begun until it is done; blkif.h does not say "on the
 * same ring".
 *
 * A ring that is full of barriers does not starve the others: those that had to wait have a turn
 * each, in any order, before anything is taken from a ring that is not among them.
 *
 * A connection ends when nothing is at the storage, and so no barrier is left then.
 *
 * Threads: the one of the rings' events.
 */
#pragma once

#include <cstdint>
#include <vector>

namespace pvblk
{

class BarrierGate
{
public:
    /* A ring that may have barriers, and that may have to wait for one. */
    class Ring
    {
    public:
        /* Its barrier's turn. False: none of its requests is a barrier that waits. */
        virtual bool barrier_turn() = 0;
        /* What it had to leave it can take now: an event, after this returned. */
        virtual void look_again() = 0;

    protected:
        ~Ring() = default;

    private:
        friend class BarrierGate;
        bool waits_{false}; /* had to leave something */
        bool turn_{false};
    };

    void add(Ring &ring) { rings_.push_back(&ring); }

    /* Whether requests may be taken from a ring. */
    bool admits(const Ring &ring) const { return !barriers_ && (!turns_ || ring.turn_); }
    /* A ring's event is over, at whose beginning it was admitted or not. */
    void event_over(Ring &ring, bool admitted)
    {
        ring.waits_ = !admits(ring);
        if (admitted)
            end_turn(ring);
        if (!barriers_ && !turns_)
            next_round();
    }
    /* Its connection is over, as is that of the other rings. Writes nothing for a ring without an
     * event: one that could not be started is forgotten while others are at work. */
    void forget(Ring &ring)
    {
        if (ring.waits_)
            ring.waits_ = false;
        end_turn(ring);
    }

    /* A barrier was taken. True: it may go on. Else barrier_turn() will say so. */
    bool close()
    {
        barriers_++;
        return working_ == 0;
    }
    /* One is done, or failed. */
    void open()
    {
        if (--barriers_)
            return;
        if (!turns_)
            return next_round();
        for (Ring *ring : rings_)
            if (ring->turn_)
                ring->look_again();
    }

    /* A request goes to the storage, and is back from there. */
    void begin() { working_++; }
    void end() { working_--; }
    /* After end(), and what it led to. It goes no further than the ring of the one barrier that
     * waits: rings after that one may not have been started yet, by another thread. */
    void settle()
    {
        if (!barriers_ || working_)
            return;
        for (Ring *ring : rings_)
            if (ring->barrier_turn())
                return;
    }

private:
    void end_turn(Ring &ring)
    {
        if (ring.turn_) {
            ring.turn_ = false;
            turns_--;
        }
    }
    /* Who waits has a turn. */
    void next_round()
    {
        for (Ring *ring : rings_)
            if (ring->waits_) {
                ring->waits_ = false;
                ring->turn_ = true;
                turns_++;
                ring->look_again();
            }
    }

    std::vector<Ring *> rings_{};
    uint32_t barriers_{0};
    uint32_t working_{0}; /* at the storage, of all rings */
    uint32_t turns_{0};   /* of rings */
};

} // namespace pvblk
