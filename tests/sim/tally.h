/* SPDX-License-Identifier: MIT */
/*
 * What many runs of the simulator have met: rare states, which faults happened
 * in which state of the frontend, and how large things became. A simulator that
 * never meets a state proves nothing about it.
 */
#pragma once

#include "pvblk/fault_catalogue.h"
#include "pvblk/xenbus.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace pvblk::sim
{

/* What has to happen sometimes. The sentence goes on "sometimes …". */
enum class Sometimes : uint8_t {
    Connects,
    Requeues,
    RetriesIntake,
    Rejects,
    CompletesOk,
    CompletesError,
    CompletesUnsupported,
    CompletesCancelled,
    SubmitsInCompletion,
    CancelsInFlight,
    SuppressesEvent,
    SendsIndirect,
    SendsBarrier,
    SendsDiscard,
    Bounces,
    UsesPersistent,
    UsesQueues,
    UsesRingPages,
    UsesX86_32,
    UsesLargeSectors,
    UsesDeviceUnits,
    WrapsRing,
    Quarantines,
    TimesOut,
    ResizesInFlight,
    ChecksContents,
    SeesOverlap,
    PortFails,
    NewBackend,
    NewFrontend,
    RecoversAlone,
    RecoversByReconnect,
    RecoversByTwo,
    RecoversByNewBackend,
    LosesCache,
};
inline constexpr uint32_t kSometimes = 35;

inline constexpr std::string_view kSometimesText[kSometimes] = {
    "frontend and backend connect",
    "what was in flight is sent again on the next connection",
    "there is no room for a request",
    "a request is rejected",
    "a request ends well",
    "a request ends with an error",
    "a request is unsupported",
    "a request is cancelled",
    "a completion submits the next request",
    "a request is cancelled while the backend has it",
    "an event is saved by hold-off",
    "a request is indirect",
    "a barrier stands in for a flush",
    "a discard is sent",
    "data goes through private pages",
    "a persistent grant is used again",
    "there are several queues",
    "a ring has several pages",
    "the ABI is x86_32",
    "sectors are larger than 512 bytes",
    "sector numbers count in them",
    "a ring goes round",
    "a page is quarantined",
    "a request times out",
    "the disk is resized while requests are in flight",
    "a read is compared with what the disk may hold",
    "a read may see one of several writes",
    "a port of the frontend's fails",
    "a new backend takes over",
    "a new frontend takes over",
    "all ends without help once faults stop",
    "a reconnect is what helps",
    "a second reconnect is what helps",
    "a new backend is what helps",
    "a disk loses writes that were not flushed",
};

inline constexpr uint32_t kFaultGroupCount = std::size(kFaultGroups);

/* The index of a fault's group. */
constexpr uint32_t group_of(FaultKind kind)
{
    uint32_t g = 0;
    while (kFaultGroups[g] != fault_info(kind).group())
        g++;
    return g;
}

struct Tally {
    std::array<uint64_t, kSometimes> sometimes{};
    std::array<uint64_t, kFaultKinds> fired{};
    /* [group][state of the frontend] */
    std::array<std::array<uint64_t, kFrontStates>, kFaultGroupCount> table{};
    uint64_t seeds{0}, requests{0}, steps{0}, faults{0}, max_work{0};
    /* Of all that was seen, in order: the same seeds, the same hash. */
    uint64_t hash{0xcbf29ce484222325};

    void met(Sometimes what, bool really = true)
    {
        sometimes[static_cast<uint32_t>(what)] += really;
    }
    void add(const Tally &other)
    {
        auto sum = [](auto &to, const auto &from) {
            for (size_t i = 0; i < to.size(); i++)
                to[i] += from[i];
        };
        sum(sometimes, other.sometimes);
        sum(fired, other.fired);
        for (size_t g = 0; g < table.size(); g++)
            sum(table[g], other.table[g]);
        seeds += other.seeds, requests += other.requests, steps += other.steps;
        faults += other.faults;
        max_work = std::max(max_work, other.max_work);
        mix(other.hash);
    }
    void mix(uint64_t value)
    {
        for (int i = 0; i < 8; i++)
            hash = (hash ^ (value >> i * 8 & 0xff)) * 0x100000001b3;
    }
};

} // namespace pvblk::sim
