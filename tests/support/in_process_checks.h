/* SPDX-License-Identifier: MIT */
/* The promises of conformance/frontends/in_process.h, for each frontend behind it. */
#pragma once

#include "frontends/in_process.h"
#include "pvblk/fault.h"
#include "support/pattern.h"

#include <gtest/gtest.h>

#include <vector>

namespace pvblk::conformance
{

/* A hub, and our backend with a fault plan. */
struct HubAndBack {
    explicit HubAndBack(std::string_view plan = "")
    {
        config.frontend_path = hub.config.frontend_path;
        config.backend_path = hub.config.backend_path;
        faults.obey(FaultPlan::parse(plan).value());
        back = std::make_unique<BlockBack>(hub.back_ports(), config, faults.hooks());
        hub.attach(back.get());
        EXPECT_TRUE(back->start());
    }
    ~HubAndBack() { hub.detach_back(); }

    LoopbackHub hub{};
    BackConfig config{};
    BackFaults faults{};
    std::unique_ptr<BlockBack> back{};
};

/* `flush` is nothing: the frontend has none. */
inline void check_a_life(MakeFront make, std::optional<Ended::What> flush = Ended::Okay)
{
    HubAndBack ends;
    auto front = make(ends.hub);
    ASSERT_EQ(front->start().what, Ended::Okay);
    FrontDisk disk = front->disk();
    EXPECT_EQ(disk.sector_size, 512u);
    EXPECT_EQ(disk.sectors, ends.hub.config.disk_sectors);
    EXPECT_FALSE(disk.read_only);

    std::vector<std::byte> from(20 * kPageSize), to(from.size());
    fill_pattern(from.data(), from.size(), 1);
    EXPECT_EQ(front->write(3, from).what, Ended::Okay);
    EXPECT_TRUE(has_pattern(ends.hub.storage.data.data() + 3 * kSectorSize, from.size(), 1));
    EXPECT_EQ(front->read(3, to).what, Ended::Okay);
    EXPECT_EQ(to, from);
    auto flushed = front->flush();
    EXPECT_EQ(flushed ? std::optional(flushed->what) : std::nullopt, flush);
    Ended beyond = front->read(disk.sectors, std::span(to).first(512));
    EXPECT_EQ(beyond.what, Ended::Error);
    EXPECT_NE(beyond.said, "");
    EXPECT_EQ(front->stop().what, Ended::Okay);
    EXPECT_EQ(ends.hub.grants.in_use(), 0u);
}

inline void check_a_hang(MakeFront make)
{
    HubAndBack ends("at take always: response/lost\n");
    auto front = make(ends.hub);
    ASSERT_EQ(front->start().what, Ended::Okay);
    std::vector<std::byte> to(512);
    Ended how = front->read(0, to);
    EXPECT_EQ(how.what, Ended::Hung);
    EXPECT_NE(how.said, "");
}

inline void check_another_life(MakeFront make, std::optional<Ended::What> flush = Ended::Okay)
{
    {
        HubAndBack ends("at take always: response/lost\n");
        auto front = make(ends.hub);
        ASSERT_EQ(front->start().what, Ended::Okay);
        std::vector<std::byte> to(512);
        ASSERT_EQ(front->read(0, to).what, Ended::Hung);
    }
    check_a_life(make, flush);
}

} // namespace pvblk::conformance
