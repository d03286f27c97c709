/* SPDX-License-Identifier: MIT */
/*
 * Our own backend in the same process: no Xen, no waiting. Under a debugger or a
 * sanitizer both ends are at hand.
 */
#pragma once

#include "domain.h"
#include "pvblk/fault.h"
#include "pvblk/loopback.h"

#include <memory>
#include <vector>

namespace pvblk::conformance
{

class LoopbackDomain final : public Domain
{
public:
    /* Which disk it is. */
    enum class Kind : uint8_t {
        Plain,
        ReadOnly,
        LargeSectors,
        Insecure, /* has no secure discard */
        Bare,     /* has nothing that is optional */
    };
    static constexpr uint64_t kSectors = 8192;

    explicit LoopbackDomain(Kind kind = Kind::Plain);
    ~LoopbackDomain() override;
    /* Makes the backend misbehave from now on: docs/faults.rst. Error: the text
     * is no plan. */
    Result<Ok, FaultError> obey(const std::string &plan);

    /* The nth of the frontend's calls of this kind fails: "node", "grant", "channel" or
     * "event". False: no call is called so. */
    bool fail(const std::string &call, uint32_t nth);

    uint32_t abilities() const override
    {
        return kSeesQuiet | kSeesMaps | kGrantsToAny | kDefersStorage | kResizes | kRemoves |
               kNoRam;
    }
    const std::string &frontend() const override { return hub_.config.frontend_path; }
    const std::string &backend() const override { return hub_.config.backend_path; }
    Store &store() override { return hub_.front_store; }
    Events &events() override { return hub_.events; }
    Result<SharedPage> share(bool readonly, Grantee to) override;
    void unshare(const SharedPage &page) override;
    Woken wait(std::chrono::milliseconds) override;
    std::chrono::microseconds now() override
    {
        return std::chrono::microseconds(hub_.clock.now / 1000);
    }

    uint32_t mapped() override { return hub_.grants.mapped(); }
    void hold() override { hub_.storage.defer = true; }
    void release() override;
    void resize(uint64_t sectors) override;
    void restart() override;
    bool revive() override
    {
        restart();
        return true;
    }
    Result<GrantRef> share_no_ram() override;

private:
    void start();

    LoopbackHub hub_;
    BackConfig config_{};
    BackFaults faults_{}; /* of all backends, one after the other */
    std::unique_ptr<BlockBack> back_{};
    std::vector<bool> in_use_; /* private page i, granted by entry i */
    bool event_{false}, store_{false};
};

} // namespace pvblk::conformance
