/* SPDX-License-Identifier: MIT */
/*
 * The hub's ports as BlockBack sees them in the target `back`: somebody acts
 * between two of its calls, and somebody looks at what it asks for.
 */
#pragma once

#include "pvblk/loopback.h"
#include "support/check.h"
#include "support/pass_ports.h"

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

namespace pvblk
{

/* Grants: knows what is mapped, and may act before a page is. */
class WatchedGrants final : public PassBackGrants
{
public:
    using PassBackGrants::PassBackGrants;
    Result<std::byte *> map(GrantRef ref, bool readonly) override
    {
        if (act && countdown-- == 0) {
            auto now = act;
            if (repeat)
                repeat--, countdown = 0;
            else
                act = nullptr;
            acted++;
            now();
        }
        auto page = PassBackGrants::map(ref, readonly);
        if (page)
            mapped_.emplace(page.value(), readonly);
        return page;
    }
    void unmap(GrantRef ref, std::byte *page) override
    {
        PassBackGrants::unmap(ref, page);
        /* Which one it is of several, nobody says. */
        auto [at, end] = mapped_.equal_range(page);
        while (at != end && !at->second && std::next(at) != end)
            at++;
        if (at != end)
            mapped_.erase(at);
    }
    bool mapped(std::byte *page, bool write) const
    {
        auto [at, end] = mapped_.equal_range(page);
        return std::any_of(at, end, [write](const auto &m) { return !write || !m.second; });
    }

    std::function<void()> act{};
    uint32_t countdown{0}, repeat{0};
    uint64_t acted{0};

private:
    std::multimap<std::byte *, bool> mapped_{}; /* page → for reading only */
};

/* Event channels: knows whether something was left undone. */
class WatchedEvents final : public PassBackEvents
{
public:
    using PassBackEvents::PassBackEvents;
    void again(uint32_t queue) override
    {
        more = true;
        PassBackEvents::again(queue);
    }

    bool more{false};
};

/* Storage: what is asked for is lawful, and its pages stay mapped until it is
 * done. */
class WatchedStorage final : public PassStorage, private StorageClient
{
public:
    WatchedStorage(Storage &under, const WatchedGrants &grants, const BackConfig &disk)
        : PassStorage(under), grants_(grants), disk_(disk)
    {
    }
    void submit(const StorageRequest &req, StorageClient &client) override
    {
        check_lawful(req);
        check_order(req, client);
        check_pages(req);
        size_t i = 0;
        while (i < slots_.size() && slots_[i].client)
            i++;
        if (i == slots_.size())
            slots_.emplace_back();
        slots_[i] = {req, &client};
        StorageRequest ours = req;
        ours.tag = i;
        PassStorage::submit(ours, *this);
    }

private:
    struct Slot {
        StorageRequest req{};
        StorageClient *client{nullptr};
    };

    void storage_done(uint64_t tag, bool ok) override
    {
        Slot s = slots_[tag];
        check_pages(s.req);
        slots_[tag].client = nullptr;
        last_done_[s.client] = s.req.op;
        s.client->storage_done(s.req.tag, ok);
    }
    void check_lawful(const StorageRequest &req) const
    {
        bool reads = req.op == StorageOp::Read || req.op == StorageOp::Flush;
        check(reads || !disk_.read_only, "a read-only disk is written");
        bool secure = req.op == StorageOp::SecureDiscard;
        check(!secure || disk_.discard_secure, "a secure discard that was not offered");
        check(req.op == StorageOp::Flush || req.sectors > 0, "nothing is asked of the storage");
    }
    /* A barrier: all before it is done and flushed, and nothing passes it. */
    void check_order(const StorageRequest &req, StorageClient &client)
    {
        bool barrier = req.op == StorageOp::WriteStable;
        for (const Slot &s : slots_)
            check(s.client != &client || (!barrier && s.req.op != StorageOp::WriteStable),
                  "a barrier is passed");
        check(!barrier || last_done_[&client] == StorageOp::Flush,
              "a barrier writes, and what came before it is not flushed");
    }
    void check_pages(const StorageRequest &req) const
    {
        uint64_t bytes = 0;
        for (const struct iovec &v : req.data) {
            auto at = reinterpret_cast<uintptr_t>(v.iov_base), end = at + v.iov_len;
            for (at &= ~uintptr_t{kPageSize - 1}; at < end; at += kPageSize)
                check(grants_.mapped(reinterpret_cast<std::byte *>(at), req.op == StorageOp::Read),
                      "the storage works on a page that is not mapped, or not for writing");
            bytes += v.iov_len;
        }
        check(req.data.empty() || bytes == req.sectors * kSectorSize,
              "more or less data than sectors");
    }

    const WatchedGrants &grants_;
    const BackConfig &disk_;
    std::vector<Slot> slots_{};
    std::map<StorageClient *, StorageOp> last_done_{};
};

} // namespace pvblk
