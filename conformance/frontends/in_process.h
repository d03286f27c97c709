/* SPDX-License-Identifier: MIT */
/*
 * A frontend that runs in this process, against a backend on a LoopbackHub.
 * Other people's drivers and our own stand behind this one interface.
 *
 * Every call is synchronous. It returns when the frontend has done the work,
 * or when the hub has nothing left to deliver: then the frontend is hung.
 *
 * Units: `sector` counts FrontDisk::sector_size bytes; buffers are in bytes.
 * Threads: one. Ownership: the hub outlives the frontend.
 */
#pragma once

#include "pvblk/loopback.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace pvblk::conformance
{

/* How a call into a frontend ended. */
struct Ended {
    enum What : uint8_t {
        Okay,
        Error, /* the frontend reported an error to its caller */
        Hung,  /* the frontend waits, and nothing can come any more */
        Died,  /* the frontend stopped at an assertion of its own */
    };
    What what{Okay};
    std::string said{}; /* the frontend's own words, if it has any */
};

/* The disk as the frontend shows it to its users. */
struct FrontDisk {
    uint64_t sectors{0}; /* of sector_size */
    uint32_t sector_size{512};
    bool read_only{false};
};

class InProcess
{
public:
    InProcess() = default;
    InProcess(const InProcess &) = delete;
    InProcess &operator=(const InProcess &) = delete;
    /* Also legal while the frontend is hung or dead. */
    virtual ~InProcess() = default;

    /* Connects, as at boot. */
    virtual Ended start() = 0;
    virtual FrontDisk disk() const = 0;
    virtual Ended read(uint64_t sector, std::span<std::byte> to) = 0;
    virtual Ended write(uint64_t sector, std::span<const std::byte> from) = 0;
    /* Nothing: it has no flush, or does not discard this disk. */
    virtual std::optional<Ended> flush() = 0;
    virtual std::optional<Ended> discard(uint64_t /* sector */, uint64_t /* sectors */)
    {
        return std::nullopt;
    }
    /* Closes, as at power-off. */
    virtual Ended stop() = 0;

    /* A frontend that waits asks this when the hub has nothing left to deliver. True: somebody did
     * something about it, so it looks again. */
    std::function<bool()> idle{};
};

/* Makes a frontend that is not started yet. */
using MakeFront = std::unique_ptr<InProcess> (*)(LoopbackHub &);

} // namespace pvblk::conformance
