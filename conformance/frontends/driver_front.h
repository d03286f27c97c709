/* SPDX-License-Identifier: MIT */
/*
 * InProcess for another project's driver: it lends the driver buffers of the
 * guest's memory, since the driver grants the pages of its callers.
 */
#pragma once

#include "frontends/driver_world.h"
#include "frontends/in_process.h"

namespace pvblk::conformance
{

class DriverFront final : public InProcess
{
public:
    DriverFront(LoopbackHub &hub, const DriverCalls &calls) : world_(hub), calls_(calls)
    {
        world_.idle = [this] { return idle && idle(); };
    }
    ~DriverFront() override { calls_.forget(); }

    Ended start() override;
    FrontDisk disk() const override
    {
        DriverDisk d = calls_.disk();
        return {d.blocks, d.block_size, d.read_only};
    }
    Ended read(uint64_t sector, std::span<std::byte> to) override;
    Ended write(uint64_t sector, std::span<const std::byte> from) override;
    std::optional<Ended> flush() override;
    Ended stop() override;

private:
    Ended give_back(std::byte *at, size_t bytes, Ended how);

    DriverWorld world_;
    const DriverCalls &calls_;
};

} // namespace pvblk::conformance
