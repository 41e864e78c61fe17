#pragma once
// A mailbox that a worker has at work, and what several files of the worker share.
#include "jobs/worker.hpp"
#include "store/change_state.hpp"

#include <mutex>
#include <stop_token>

namespace postferry::jobs {

struct worker::running {
    store::taken what; ///< the mailbox as this worker has last seen it
    batch_settings settings;
    store::batch_mode mode = store::batch_mode::messages_only;
    store::batch_state batch = store::batch_state::syncing;
    store::row_version batch_version = 0;
    transfer::pass_kind kind = transfer::pass_kind::bulk;
    bool account_first = false; ///< its account on the new server is made before the first pass
    std::optional<message::recipient_wish> recipients = {}; ///< of the pass that has begun
    std::shared_ptr<lease_clock> lease = std::make_shared<lease_clock>();
    std::stop_source stop;
    std::mutex mutex; ///< of the lines, which come from the pass's strand
    std::vector<store::log_line> lines;
    std::size_t lines_left_out = 0;
    std::chrono::steady_clock::time_point last_progress{};
};

namespace detail {

[[nodiscard]] inline std::string actor_of(const std::string& worker) { return "worker/" + worker; }

} // namespace detail

} // namespace postferry::jobs
