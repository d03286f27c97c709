/* SPDX-License-Identifier: MIT */
/* The backend's C seam: ports that call the host's operations, and c/back.h over a BlockBack.
 */
#include "pvblk/c/back.h"

#include "back/config_check.h"
#include "c/host.h"
#include "proto/wire.h"
#include "pvblk/back.h"
#include "pvblk/fault.h"
#include "pvblk/judge.h"

#include <cstdio>
#include <optional>

using namespace pvblk;

namespace
{

using BackHost = Host<pvblk_back_ops>;

class BackHostGrants final : public BackGrants
{
public:
    explicit BackHostGrants(BackHost h) : h_(h) {}
    Result<std::byte *> map(GrantRef ref, bool readonly) override
    {
        void *page = h_.ops->grant_map(h_.opaque, ref.value, readonly);
        if (!page)
            return Error{ErrorKind::PeerViolation, "blkif:gref", "a grant cannot be mapped",
                         ref.value};
        return static_cast<std::byte *>(page);
    }
    void unmap(GrantRef ref, std::byte *page) override
    {
        h_.ops->grant_unmap(h_.opaque, ref.value, page);
    }

private:
    BackHost h_;
};

class BackHostEvents final : public BackEvents
{
public:
    explicit BackHostEvents(BackHost h) : h_(h) {}
    Status bind(uint32_t queue, Port remote) override
    {
        return host_status(h_.ops->event_bind(h_.opaque, queue, remote.value),
                           "blkif:event-channel", "the frontend's event-channel cannot be bound");
    }
    Status notify(uint32_t queue) override
    {
        return host_status(h_.ops->event_send(h_.opaque, queue), "evtchn:send",
                           "could not send an event");
    }
    void again(uint32_t queue) override { h_.ops->event_again(h_.opaque, queue); }
    void pause(uint32_t queue) override { h_.ops->event_pause(h_.opaque, queue); }
    void unbind(uint32_t queue) override { h_.ops->event_unbind(h_.opaque, queue); }
    void later() override { h_.ops->later(h_.opaque); }

private:
    BackHost h_;
};

class BackHostStorage final : public Storage
{
public:
    explicit BackHostStorage(BackHost h) : h_(h) {}
    uint64_t sectors() const override { return h_.ops->storage_bytes(h_.opaque) >> kSectorShift; }
    void submit(const StorageRequest &req, StorageClient &client) override
    {
        static_assert(static_cast<int>(StorageOp::SecureDiscard) == PVBLK_BACK_SECURE_DISCARD);
        static_assert(kMaxVectors == PVBLK_BACK_MAX_VECTORS);
        pvblk_back_io io{static_cast<pvblk_back_io_kind>(req.op),
                         req.at.value << kSectorShift,
                         req.sectors << kSectorShift,
                         req.data.data(),
                         static_cast<uint32_t>(req.data.size()),
                         &client,
                         req.tag};
        h_.ops->storage_submit(h_.opaque, &io);
    }
    void drain() override { h_.ops->storage_drain(h_.opaque); }

private:
    BackHost h_;
};

class BackHostOwner final : public BackOwner
{
public:
    BackHostOwner(BackHost h, std::string path) : h_(h), path_(std::move(path)) {}
    void violation(const Error &e) override
    {
        std::array<char, 256> line;
        host_sentence(line.data(), line.size(), path_.c_str(), e);
        h_.ops->violation(h_.opaque, line.data());
    }
    void refused(const RefusedRequest &r) override
    {
        if (!h_.ops->refused)
            return;
        const pvblk_back_refused request{r.queue,
                                         r.id.value,
                                         static_cast<uint32_t>(r.op),
                                         static_cast<int32_t>(r.status),
                                         r.why.clause,
                                         r.why.what,
                                         r.why.value};
        h_.ops->refused(h_.opaque, &request);
    }

private:
    BackHost h_;
    std::string path_;
};

class BackHostListener final : public JudgeListener
{
public:
    explicit BackHostListener(BackHost h) : h_(h) {}
    void broken(const JudgeRuleInfo &rule, const char *how, uint64_t value) override
    {
        tell({PVBLK_BACK_SEEN_BROKEN, 0, 0, 0, 0, 0, value, rule.clause, how});
    }
    void frontend_state(XenbusState state) override
    {
        tell({PVBLK_BACK_SEEN_STATE, 0, 0, static_cast<uint32_t>(state), 0, 0, 0, "",
              xenbus_state_name(state)});
    }
    void request(uint32_t queue, RequestId id, Op op, uint32_t segments, uint64_t sector) override
    {
        tell({PVBLK_BACK_SEEN_REQUEST, queue, id.value, static_cast<uint32_t>(op), segments, 0,
              sector, "", ""});
    }
    void response(uint32_t queue, RequestId id, Op op, int16_t status) override
    {
        tell({PVBLK_BACK_SEEN_RESPONSE, queue, id.value, static_cast<uint32_t>(op), 0, status, 0,
              "", ""});
    }

private:
    void tell(const pvblk_back_seen &what)
    {
        if (h_.ops->seen)
            h_.ops->seen(h_.opaque, &what);
    }
    BackHost h_;
};

BackConfig back_config(const pvblk_back_config &c)
{
    auto text = [](const char *t) { return std::string(t ? t : ""); };
    BackConfig b;
    b.frontend_path = c.frontend_path;
    b.backend_path = c.backend_path;
    b.type = text(c.type);
    b.dev = text(c.dev);
    b.params = text(c.params);
    b.sector_size = c.sector_size;
    b.physical_sector_size = c.physical_sector_size;
    b.units = c.device_sector_units ? SectorUnits::Device : SectorUnits::Bytes512;
    b.read_only = c.read_only;
    b.cdrom = c.cdrom;
    b.removable = c.removable;
    b.flush = c.flush;
    b.barrier = c.barrier;
    b.discard = c.discard;
    b.discard_secure = c.discard_secure;
    b.discard_granularity = c.discard_granularity;
    b.discard_alignment = c.discard_alignment;
    b.max_ring_page_order = c.max_ring_page_order;
    b.max_queues = c.max_queues;
    b.max_indirect_segments = c.max_indirect_segments;
    b.max_segments_in_flight = c.max_segments_in_flight;
    b.persistent = c.persistent;
    b.max_persistent = c.max_persistent;
    return b;
}

} // namespace

struct pvblk_back {
    pvblk_back(const pvblk_back_config &config, BackHost host)
        : store(host, "could not watch the frontend's state"), grants(host), events(host),
          storage(host), owner(host, config.backend_path), listener(host)
    {
        BackHooks *hooks = faults.hooks();
        BackOwner *told = &owner;
        if (config.judge) {
            judge.emplace(hooks, told, &listener);
            hooks = judge->hooks();
            told = judge->owner();
        }
        back.emplace(BackPorts{store, grants, events, storage, told}, back_config(config), hooks);
    }

    HostStore<pvblk_back_ops> store;
    BackHostGrants grants;
    BackHostEvents events;
    BackHostStorage storage;
    BackHostOwner owner;
    BackHostListener listener;
    BackFaults faults{};
    std::optional<BackJudge> judge{}; /* if it was asked for; goes after the backend */
    std::optional<BlockBack> back{};
    std::string plan{};          /* what pvblk_back_faults() gave */
    mutable std::string error{}; /* what pvblk_back_last_error() gave */
};

void pvblk_back_defaults(pvblk_back_config *config)
{
    const BackConfig b;
    *config = {};
    config->sector_size = b.sector_size;
    config->physical_sector_size = b.physical_sector_size;
    config->discard_granularity = b.discard_granularity;
    config->discard_alignment = b.discard_alignment;
    config->max_ring_page_order = b.max_ring_page_order;
    config->max_queues = b.max_queues;
    config->max_indirect_segments = b.max_indirect_segments;
    config->max_segments_in_flight = b.max_segments_in_flight;
    config->max_persistent = b.max_persistent;
    config->device_sector_units = b.units == SectorUnits::Device;
    config->read_only = b.read_only;
    config->cdrom = b.cdrom;
    config->removable = b.removable;
    config->flush = b.flush;
    config->barrier = b.barrier;
    config->discard = b.discard;
    config->discard_secure = b.discard_secure;
    config->persistent = b.persistent;
}

pvblk_back *pvblk_back_new(const pvblk_back_config *config, const pvblk_back_ops *ops, void *opaque,
                           char *error, size_t error_size)
{
    if (auto possible = check_config(back_config(*config)); !possible) {
        host_sentence(error, error_size, config->backend_path, possible.error());
        return nullptr;
    }
    return new pvblk_back(*config, {ops, opaque});
}

void pvblk_back_free(pvblk_back *back)
{
    delete back;
}

void pvblk_back_publish(pvblk_back *back)
{
    (void)back->back->publish(); /* pvblk_back_new() asked already */
}

void pvblk_back_close(pvblk_back *back)
{
    back->back->close();
}

void pvblk_back_vanish(pvblk_back *back)
{
    back->back->vanish();
}

int pvblk_back_watch(pvblk_back *back)
{
    auto s = back->back->watch();
    return s ? 0 : -static_cast<int>(s.error().value);
}

void pvblk_back_resized(pvblk_back *back)
{
    back->back->resized();
}

void pvblk_back_store_changed(pvblk_back *back)
{
    back->back->store_changed();
}

void pvblk_back_event(pvblk_back *back, uint32_t queue)
{
    back->back->event_received(queue);
}

void pvblk_back_later(pvblk_back *back)
{
    back->back->later();
}

void pvblk_back_io_done(void *client, uint64_t tag, bool ok)
{
    static_cast<StorageClient *>(client)->storage_done(tag, ok);
}

void pvblk_back_plan(const pvblk_back *back, pvblk_emit *emit, void *opaque)
{
    const BackPlan &p = back->back->plan();
    const pvblk_field fields[] = {
        {"protocol", pvblk_field::PVBLK_FIELD_TEXT, 0, abi_name(p.abi)},
        {"queues", pvblk_field::PVBLK_FIELD_U64, p.queues, ""},
        {"ring-pages", pvblk_field::PVBLK_FIELD_U64, p.ring_pages, ""},
        {"ring-entries", pvblk_field::PVBLK_FIELD_U64, ring_entries(p.abi, p.ring_pages), ""},
        {"persistent", pvblk_field::PVBLK_FIELD_BOOL, p.persistent, ""},
        {"halted", pvblk_field::PVBLK_FIELD_BOOL, back->back->halted(), ""},
    };
    for (const pvblk_field &f : fields)
        emit(opaque, &f);
}

void pvblk_back_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque)
{
    BackCounters c = back->back->counters();
    const std::pair<const char *, uint64_t> rows[] = {
        {"connects", c.connects},
        {"connect-failures", c.connect_failures},
        {"requests", c.requests},
        {"responses", c.responses},
        {"refused", c.refused},
        {"unsupported", c.unsupported},
        {"indirect", c.indirect},
        {"segments", c.segments},
        {"map-failures", c.map_failures},
        {"persistent-hits", c.persistent_hits},
        {"persistent-kept", c.persistent_kept},
        {"events-received", c.events_received},
        {"events-sent", c.events_sent},
        {"bytes-read", c.bytes_read},
        {"bytes-written", c.bytes_written},
        {"faults", back->faults.plan().fired()},
    };
    for (const auto &[name, value] : rows) {
        pvblk_field f{name, pvblk_field::PVBLK_FIELD_U64, value, ""};
        emit(opaque, &f);
    }
}

void pvblk_back_look(pvblk_back *back)
{
    if (back->judge)
        back->judge->look();
}

void pvblk_back_judgement(pvblk_back *back, pvblk_emit *emit, void *opaque)
{
    if (!back->judge)
        return;
    for (const JudgeRuleInfo &rule : judge_rules()) {
        const JudgeRecord &r = back->judge->record(rule.rule);
        if (!r.kept && !r.broken)
            continue;
        std::string text = judgement(r.kept, r.broken, first_breach(r), rule.level);
        pvblk_field f{rule.clause, pvblk_field::PVBLK_FIELD_TEXT, 0, text.c_str()};
        emit(opaque, &f);
    }
    pvblk_field state{"frontend-state", pvblk_field::PVBLK_FIELD_TEXT, 0,
                      xenbus_state_name(back->judge->frontend_state())};
    emit(opaque, &state);
    const std::pair<const char *, uint64_t> numbers[] = {
        {"connections", back->judge->connections()}, {"grants-left", back->judge->grants_left()}};
    for (const auto &[name, value] : numbers) {
        pvblk_field f{name, pvblk_field::PVBLK_FIELD_U64, value, ""};
        emit(opaque, &f);
    }
}

int pvblk_back_set_faults(pvblk_back *back, const char *text, char *error, size_t error_size)
{
    static_assert(PVBLK_MAX_FAULT_PLAN == FaultPlan::kMaxBytes);
    auto plan = FaultPlan::parse(text);
    if (!plan) {
        std::snprintf(error, error_size, "%s", plan.error().what.c_str());
        return -EINVAL;
    }
    back->faults.obey(std::move(plan.value()));
    return 0;
}

const char *pvblk_back_faults(pvblk_back *back)
{
    back->plan = back->faults.plan().text();
    return back->plan.c_str();
}

void pvblk_back_fault_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque)
{
    const FaultPlan &plan = back->faults.plan();
    for (size_t i = 0; i < plan.rules(); i++) {
        std::string name = std::to_string(plan.rule(i).line) + ": " + plan.rule_text(i);
        pvblk_field f{name.c_str(), pvblk_field::PVBLK_FIELD_U64, plan.counters(i).fired, ""};
        emit(opaque, &f);
    }
}

const char *pvblk_back_last_error(const pvblk_back *back)
{
    back->error = sentence(back->back->last_error());
    return back->error.c_str();
}
