/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: barriers of one backend, over all its rings. blkif:barrier — requests begun
 * before a barrier are done before it, and none begins until it is done; blkif.h does not say
 * "on the same ring".
 *
 * A ring full of barriers does not starve the others. Each ring that had to wait gets a turn, in
 * any order, before requests are taken from the other rings.
 *
 * A connection ends when no request is at the storage. So no barrier is left then.
 *
 * Threads: the thread of the rings' events.
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
        /* Its waiting barrier has its turn. False: no barrier waits on this ring. */
        virtual bool barrier_turn() = 0;
        /* The ring may take the requests that it left: send an event, after this returned. */
        virtual void look_again() = 0;

    protected:
        ~Ring() = default;

    private:
        friend class BarrierGate;
        bool waits_{false}; /* had to leave requests */
        bool turn_{false};
    };

    void add(Ring &ring) { rings_.push_back(&ring); }

    /* Whether requests may be taken from a ring. */
    bool admits(const Ring &ring) const { return !barriers_ && (!turns_ || ring.turn_); }
    /* A ring's event is over. `admitted`: the ring was admitted when the event began. */
    void event_over(Ring &ring, bool admitted)
    {
        ring.waits_ = !admits(ring);
        if (admitted)
            end_turn(ring);
        if (!barriers_ && !turns_)
            next_round();
    }
    /* All rings lose their connection. Writes nothing for a ring that had no event: a ring that
     * failed to start is forgotten while others are at work. */
    void forget(Ring &ring)
    {
        if (ring.waits_)
            ring.waits_ = false;
        end_turn(ring);
    }

    /* A barrier was taken. True: it may go on. False: it waits for barrier_turn(). */
    bool close()
    {
        barriers_++;
        return working_ == 0;
    }
    /* A barrier is done, or failed. */
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
    /* After end() and its consequences. Stops at the ring of the one waiting barrier: another
     * thread may not have started the rings after it yet. */
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
    /* Each waiting ring gets a turn. */
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
