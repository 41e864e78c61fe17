// The copy sweep: every message that is wanted, from all folders, in one continuous stream; then what was refused in
// company, in smaller and smaller company.
#include "net/join.hpp"
#include "transfer/detail/pass_stream.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

constexpr unsigned strikes_to_fail = 4;

// What a message that was under way when lines died may share a batch with.
std::size_t limit_after(unsigned strikes) { return strikes < 2 ? 10 : 1; }

} // namespace

std::vector<lane> mailbox_pass::state::plan_first_sweep() {
    std::vector<lane> work;
    std::map<unsigned, std::map<std::size_t, uid_set>> suspects; // by strikes, then folder
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        folder_work& f = folders_[i];
        if (f.trouble || f.wanted.empty()) continue;
        fail_again(f);
        uid_set ordinary = f.wanted;
        set_twins_aside(f, ordinary);
        set_refused_aside(f, ordinary);
        for (const auto& [uid, strikes] : f.memory->strikes) {
            if (!f.wanted.contains(uid)) continue;
            ordinary.remove(uid, uid);
            if (strikes < strikes_to_fail) {
                if (!f.memory->refusals.contains(uid)) suspects[strikes][i].add(uid);
                continue;
            }
            f.memory->refusals.erase(uid);
            // No progress: with a server that dies whatever it is given, the attempts must come to an end.
            f.memory->failed.add(uid);
            fail_message(
                f, uid, 0,
                error{.cls = retry_class::permanent,
                      .where = phase::append,
                      .what = fmt::format("The connection was lost {} times while this message was under way", strikes),
                      .server_said = {},
                      .advice = {},
                      .response_code = {}});
        }
        if (!ordinary.empty()) work.push_back({.folder = i, .batch_limit = 0, .uids = std::move(ordinary)});
    }
    // The least suspected first: several that kill lines must not stand in the way of all others.
    for (auto& [strikes, folders] : suspects)
        for (auto& [i, uids] : folders)
            leftovers_.push_back({.folder = i, .batch_limit = limit_after(strikes), .uids = std::move(uids)});
    return work;
}

std::vector<lane> mailbox_pass::state::plan_next_sweep() {
    std::vector<lane> work = std::exchange(leftovers_, {});
    std::erase_if(work, [this](const lane& l) { return folders_[l.folder].trouble.has_value(); });
    return work;
}

task<result<void>> mailbox_pass::state::sweep_all(std::vector<lane> work) {
    while (true) {
        if (!work.empty())
            if (auto ok = co_await sweep(std::move(work)); !ok) co_return ok;
        if ((leftovers_.empty() && !has_refusals()) || halt_) co_return result<void>{};
        if (auto ok = co_await treat_refused(); !ok) co_return ok;
        work = plan_next_sweep();
    }
}

task<result<void>> mailbox_pass::state::copy() {
    progress_now(mailbox_state::copying);
    if (auto ok = co_await unless_stopped(find_twins()); !ok) co_return ok;
    if (auto ok = co_await place_twins(); !ok) co_return ok; // whose first place an earlier attempt has brought
    if (!halt_)
        if (auto ok = co_await sweep_all(plan_first_sweep()); !ok) co_return ok;
    if (!halt_)
        if (auto ok = co_await place_twins(); !ok) co_return ok;
    if (!halt_) {
        read_other_twins();
        if (auto ok = co_await sweep_all(plan_next_sweep()); !ok) co_return ok;
    }
    for (std::string& odd : source_->take_notes()) report_.warnings.push_back(std::move(odd));
    // A full target ends the mailbox but not the books; anything else is worth another attempt.
    if (halt_ && !is_over_quota(*halt_)) co_return std::unexpected(*halt_);
    if (replan_) co_return std::unexpected(*std::exchange(replan_, std::nullopt));
    for (folder_work& f : folders_)
        if (auto ok = co_await record(f); !ok) co_return ok;
    if (halt_) co_return result<void>{};
    co_return co_await settle_unread();
}

task<result<void>> mailbox_pass::state::sweep(std::vector<lane> work) {
    const executor ex = co_await boost::asio::this_coro::executor;
    net::event books(ex);
    bookkeeper_ = &books;
    net::event recorded(ex);
    recorded_ = &recorded;
    const std::size_t connections = connections_for(work);
    std::vector<std::vector<lane>> parts = share_out(std::move(work), connections);
    pipeline_limits limits = options_.limits;
    limits.buffered_octets /= parts.size();
    limits.whole_octets /= parts.size();
    for (std::vector<lane>& part : parts)
        streams_.push_back(std::make_unique<stream>(*this, ex, limits, std::move(part)));
    running_ = streams_.size();
    if (stop_) end_streams(stopped());
    std::vector<task<>> at_once;
    at_once.push_back(run_stream(*streams_.front(), *source_, *target_));
    if (streams_.size() > 1) at_once.push_back(run_beside());
    at_once.push_back(keep_books());
    co_await net::join_all(std::move(at_once));
    bookkeeper_ = nullptr;
    recorded_ = nullptr;
    for (const auto& s : streams_) s->note_line_failure();
    const std::optional<error> failure = std::exchange(first_failure_, std::nullopt);
    streams_.clear();
    if (books_failure_) co_return std::unexpected(*books_failure_);
    if (stop_) co_return std::unexpected(stopped());
    if (halt_) co_return result<void>{};
    if (failure) co_return std::unexpected(*failure);
    co_return result<void>{};
}

// One is enough for a mailbox of one page; several hide what a single connection waits for: the target's disk, a long
// line's window.
std::size_t mailbox_pass::state::connections_for(const std::vector<lane>& work) const {
    if (beside_refused_ || !source_->shares_well() || !target_->shares_well()) return 1;
    return connections_worth(work, options_.messages_per_connection, options_.connections);
}

task<> mailbox_pass::state::run_stream(stream& s, mailbox::source& from, mailbox::target& to) {
    co_await s.run(from, to);
    if (s.failure() && !first_failure_) {
        first_failure_ = s.failure();
        for (const auto& other : streams_)
            if (other.get() != &s) other->end(*first_failure_);
    }
    --running_;
    bookkeeper_->notify();
}

// The further connections of a sweep. Where a server does not want them, the first one does their work in the next.
task<> mailbox_pass::state::run_beside() {
    const auto ok = co_await unless_stopped(connect_beside(streams_.size() - 1));
    std::vector<task<>> at_once;
    for (std::size_t i = 1; i < streams_.size(); ++i) {
        if (ok) {
            at_once.push_back(run_stream(*streams_[i], *beside_[i - 1].from, *beside_[i - 1].to));
            continue;
        }
        --running_;
        for (lane& l : std::move(*streams_[i]).take_lanes()) leftovers_.push_back(std::move(l));
    }
    if (!ok && !stop_) {
        beside_refused_ = true;
        note(fmt::format("no second connection ({}); going on with one", ok.error().message()));
    }
    bookkeeper_->notify();
    if (!at_once.empty()) co_await net::join_all(std::move(at_once));
}

task<result<void>> mailbox_pass::state::connect_beside(std::size_t n) {
    while (beside_.size() < n) {
        auto [from, to] = co_await (env_.open_source() && env_.open_target());
        if (!from) co_return std::unexpected(from.error());
        if (!to) co_return std::unexpected(to.error());
        beside_.push_back({.from = std::move(*from), .to = std::move(*to)});
    }
    co_return result<void>{};
}

void mailbox_pass::state::end_streams(const error& why) {
    for (const auto& s : streams_) s->end(why);
}

task<> mailbox_pass::state::keep_books() {
    while (true) {
        bool idle = true;
        for (folder_work& f : folders_) {
            if (f.to_record.empty() && f.failures_to_record.empty()) continue;
            idle = false;
            recording_ = true;
            auto ok = co_await record(f);
            recording_ = false;
            recorded_->notify();
            if (ok || books_failure_) continue;
            // Without its books the pass must not go on: what is stored but not recorded is found again by its
            // fingerprint.
            books_failure_ = ok.error();
            end_streams(*books_failure_);
            recorded_->notify();
        }
        if (running_ == 0 && (idle || books_failure_)) co_return;
        if (idle) co_await bookkeeper_->wait();
    }
}

task<result<void>> mailbox_pass::state::recorded() {
    const auto open = [](const folder_work& f) { return !f.to_record.empty(); };
    while (!books_failure_ && (recording_ || std::ranges::any_of(folders_, open))) co_await recorded_->wait();
    if (books_failure_) co_return std::unexpected(*books_failure_);
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::record(folder_work& f) {
    if (f.to_record.empty() && f.failures_to_record.empty()) co_return result<void>{};
    std::vector<ledger_row> rows = std::exchange(f.to_record, {});
    std::vector<failed_item> failures = std::exchange(f.failures_to_record, {});
    for (ledger_row& row : rows) {
        const std::uint32_t local = row.flags;
        if (!f.flag_set_ids[local]) {
            const auto id = co_await env_.books->flag_set(f.book.id, f.flag_sets[local]);
            if (!id) co_return std::unexpected(id.error());
            f.flag_set_ids[local] = *id;
        }
        row.flags = *f.flag_set_ids[local];
    }
    co_return co_await env_.books->record(f.book.id, std::move(rows), std::move(failures));
}

} // namespace postferry::transfer
