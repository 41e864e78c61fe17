#pragma once
// Takes mailboxes that are due, under leases, and has passes made over them.
#include "jobs/lease_clock.hpp"
#include "jobs/pass_runner.hpp"
#include "net/awaitable.hpp"
#include "net/event.hpp"
#include "store/clock_watch.hpp"
#include "store/database.hpp"
#include "store/tables.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace postferry::jobs {

struct provision_end;
class hook_runner;

/// How accounts are made on the new server (jobs/provision.hpp); empty: not here.
struct account_maker {
    std::function<bool(const store::migration&, store::batch_mode, const batch_settings&)> wanted = {};
    std::function<task<provision_end>(work, std::string actor, std::stop_token)> make = {};
};

struct worker_options {
    std::string name = {}; ///< for people; empty: the host's
    std::string version = {};
    int jobs = 8;                                   ///< mailboxes at a time
    int connections = 1;                            ///< of a mailbox to each of its servers
    std::chrono::milliseconds term{60'000};         ///< of a lease
    std::chrono::milliseconds beat{15'000};         ///< between two renewals; at least three fit into a term
    std::chrono::milliseconds look{1'000};          ///< between two looks for work
    std::optional<int> connections_per_server = {}; ///< over all workers, where a server has no limit of its own
    /// For batches that say nothing of it themselves.
    std::vector<window> windows = {};
    std::optional<int> delta_every_minutes = {};
    account_maker accounts = {};
    hook_runner* hook = nullptr;                                   ///< outlives the worker; none: hooks are not run
    std::function<void(const std::string& text)> complain = {};    ///< of what is tried again; for the log
    std::function<std::int64_t()> steady_ms = lease_clock::now_ms; ///< by which others are watched; for tests
};

/// What a batch leaves open.
void complete(batch_settings& s, const worker_options& options);

/// One process's hands. Everything on one strand; the passes on strands of their own. What it does is in steps
/// (take, beat) that tests call by themselves; run() is the clock around them.
///
/// A lease that could not be renewed in time (a stalled process, a database that is gone) ends the pass by itself, on
/// this side ten seconds before anybody else may take the mailbox (lease_clock); what comes too late all the same is
/// refused by the store (fencing).
class worker {
  public:
    worker(executor ex, store::database& db, pass_runner& runner, worker_options options);
    ~worker();
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

    /// Registers, works until stop() is called, then ends the passes in good order and gives the leases back. Errors:
    /// it could not register.
    task<result<void>> run();
    /// From any thread.
    void stop();
    /// There may be work, or news about what is at work: look now. From any thread.
    void wake();

    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] const executor& strand() const noexcept { return strand_; }

    // The steps of run(), on the strand.

    task<result<void>> enlist(store::worker_state as);
    /// Takes as much as there is room for and begins it. Answers how many.
    task<result<int>> take();
    /// Renews the leases, tells running passes what has changed, takes back what others have dropped.
    task<result<void>> beat();
    [[nodiscard]] std::size_t at_work() const noexcept { return running_.size(); }
    /// Waits until no pass is at work.
    task<> settle();

    /// A mailbox that was taken, with what its batch says.
    struct begun {
        store::taken what;
        batch_settings settings = {};
        store::batch_mode mode = store::batch_mode::messages_only;
        store::batch_state batch = store::batch_state::syncing;
        store::row_version batch_version = 0;
        bool account_first = false;
    };

    using limits_by_batch = std::map<store::record_id, std::pair<store::row_version, int>>;

  private:
    struct running;
    using running_ptr = std::shared_ptr<running>;

    [[nodiscard]] result<std::vector<begun>> begin(store::tables& t, int room);
    void start(begun one, std::int64_t asked);
    task<> make_passes(running_ptr r);
    task<bool> make_account(running_ptr r);
    task<result<store::record_id>> begin_pass(running_ptr r);
    task<result<std::optional<transfer::pass_kind>>> end_pass(running_ptr r, store::record_id pass, pass_end end);
    task<> run_hook(running_ptr r, store::mailbox_state becomes, std::string grade);
    task<> pass_after_pass(running_ptr r);
    task<result<void>> reload(running_ptr r);
    void complain(const error& why) const;
    void complain_of(const std::exception_ptr& thrown, const running& r) const;
    task<> watch_windows();
    [[nodiscard]] std::chrono::milliseconds rest() const;
    [[nodiscard]] pass_hooks hooks_of(const running_ptr& r);
    task<> keep_lines(running_ptr r);
    task<> loop();
    void nudge();
    void lose(const running_ptr& r);
    task<result<void>> let_go(std::vector<store::lease> dropped);
    task<result<void>> take_over();

    executor pool_, strand_;
    store::database& db_;
    pass_runner& runner_;
    worker_options options_;
    std::string id_;
    net::event news_;
    store::lease_watch others_;
    bool nudged_ = false; ///< since the last look for work began
    bool stopping_ = false;
    std::chrono::steady_clock::duration last_take_{}; ///< how long it took
    limits_by_batch limits_;                          ///< of begin(), which runs once at a time
    std::map<store::record_id, running_ptr> running_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< for what is posted and may come too late
};

} // namespace postferry::jobs
