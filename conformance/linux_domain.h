/* SPDX-License-Identifier: MIT */
/*
 * A vbd of the Linux domain that we run in, on real or emulated Xen: any backend,
 * in any domain. Stands on /dev/xen (pvblk/linux.h), with gntalloc's limits.
 */
#pragma once

#include "domain.h"
#include "pvblk/linux.h"

#include <map>
#include <memory>

namespace pvblk::conformance
{

/* Why there is no such domain: a sentence. */
struct NoDomain {
    std::string what{};
};

class LinuxDomain final : public Domain
{
public:
    /* `vbd`: 51712 is xvda. Error: no such vbd, no Xen, no rights, no module. */
    static Result<std::unique_ptr<LinuxDomain>, NoDomain> create(const std::string &vbd);

    uint32_t abilities() const override { return kGrantsToAny; }
    const std::string &frontend() const override { return frontend_; }
    const std::string &backend() const override { return backend_; }
    Store &store() override { return *store_; }
    Events &events() override { return *events_; }
    Result<SharedPage> share(bool readonly, Grantee to) override;
    void unshare(const SharedPage &page) override { pages_.erase(page.at); }
    Woken wait(std::chrono::milliseconds patience) override;
    /* A new device comes where a node of none changes. */
    bool revive() override { return store_->write(backend_ + "/state", "1").ok(); }
    std::chrono::microseconds now() override;

private:
    LinuxDomain() = default;
    bool take_events();

    std::string frontend_{}, backend_{};
    DomId peer_{};
    std::unique_ptr<LinuxStore> store_{};
    std::unique_ptr<LinuxEvents> events_{};
    std::map<std::byte *, LinuxPages> pages_{};
};

} // namespace pvblk::conformance
