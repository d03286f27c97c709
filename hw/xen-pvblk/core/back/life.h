/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the life of a backend: it follows the frontend's state by the
 * table of back/states.h, connects and lets go. Serves blkif.h "STATE DIAGRAMS".
 *
 * While pause(), drain() and bind() wait, a host may make other calls. These
 * calls note their work, and it is done after the wait.
 */
#pragma once

#include "back/nodes.h"
#include "back/rings.h"
#include "back/states.h"

namespace pvblk
{

class BackLife final : public HookedBack
{
public:
    BackLife(BackPorts ports, BackConfig config, BackHooks *hooks);
    ~BackLife();
    BackLife(const BackLife &) = delete;
    BackLife &operator=(const BackLife &) = delete;

    /* As in BlockBack. */
    Status publish() override;
    Status watch();
    void close() override;
    void vanish();
    void resized();
    void store_changed();
    void event_received(uint32_t queue);
    void later() override;

    XenbusState state() const override { return state_; }
    const BackPlan &plan() const override { return rings_.plan(); }
    BackCounters counters() const;
    const Error &last_error() const;
    bool halted() const { return rings_.halted() != nullptr; }

    /* As in HookedBack. */
    void ask_hooks() override;
    const BackPorts &ports() const override { return ports_; }
    const BackConfig &config() const override { return config_; }
    bool connected() const override { return rings_.up(); }
    void write(std::string_view name, std::string_view value) override;
    void remove(std::string_view name) override { nodes_.remove(name); }
    void write_state(XenbusState state) override;
    void write_state(std::string_view text) override;
    void remove_state() override { nodes_.remove_state(); }
    void set_state(XenbusState state) override;
    void publish_nodes() override { nodes_.publish(); }
    void disconnect() override { rings_.stop(); }
    void disappear() override;
    void remove_nodes() override { nodes_.remove_all(); }

private:
    /* Work is going on. Calls that came meanwhile: */
    struct Turn {
        bool busy{false};
        bool look{false}, resized{false}, later{false};
    };

    void end_turn();
    void look();
    void act(BackAction action);
    bool restart();
    void connect();
    void renew(bool replace);
    void end();
    void connect(const Result<BackPlan> &plan);
    void refuse(const Result<BackPlan> &plan, const Error &error);
    void expect_nobody_else();
    bool is_another();

    BackPorts ports_;
    BackConfig config_;
    BackHooks *const offered_;
    BackHooks *hooks_{nullptr}; /* offered_, after ask_hooks() */
    BackNodes nodes_;
    BackRings rings_;
    XenbusState state_{XenbusState::Unknown};
    /* The frontend left the last session: if it is ready now, it begins another.
     * False, too, while the owner wants this one to end. */
    bool left_{false};
    /* The nodes of the refused frontend, as they were: until InitWait, or until
     * the owner closes. */
    std::optional<Result<BackPlan>> refused_{};
    Error error_{};
    uint64_t connects_{0}, connect_failures_{0};
    Turn turn_{};
};

} // namespace pvblk
