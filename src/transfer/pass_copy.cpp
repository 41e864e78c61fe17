// The copy sweep: every message that is wanted, from all folders, in one continuous stream; then what was refused in
// company, in smaller and smaller company.
#include "base/text.hpp"
#include "net/join.hpp"
#include "transfer/detail/pass_stream.hpp"
#include "transfer/flag_rules.hpp"
#include "transfer/repair_rules.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

constexpr unsigned strikes_to_fail = 4;

// What a message that was under way when lines died may share a batch with.
std::size_t limit_after(unsigned strikes) { return strikes < 2 ? 10 : 1; }

// Dates that servers are known to store differently: Dovecot turns the far future into now, others cannot do 1970.
bool is_odd(const mailbox::message_date& date) {
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return date.unix_seconds < 365 * 86'400 || date.unix_seconds > now + 86'400;
}

bool is_over_quota(const error& why) { return why.response_code == "OVERQUOTA"; }

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

namespace {

bool is_keyword(std::string_view flag) { return !flag.starts_with('\\'); }

// What some servers choke on: before 1981, or more seconds than 31 bits hold.
bool is_unusual(const mailbox::message_date& date) {
    constexpr std::int64_t from_1981 = 347'155'200, to_2038 = 2'147'483'647;
    return date.unix_seconds < from_1981 || date.unix_seconds > to_2038;
}

void make_plain(flags_for_target& flags, verdict& v, const mailbox::message_head& head) {
    std::string kept;
    for (const std::string_view flag : split_flags(flags.flags)) {
        if (is_keyword(flag))
            flags.dropped.push_back({std::string(flag), "refused by the target"});
        else
            (kept += kept.empty() ? "" : " ") += flag;
    }
    flags.flags = std::move(kept);
    v.undated = head.date && is_unusual(*head.date);
}

} // namespace

// quirk flags-refused, quirk odd-dates-refused: before a message is mended or given up it is brought once more without
// what may be to blame beside its octets: keywords, and a date that few servers like.
bool mailbox_pass::state::goes_plainer(std::size_t folder, const sent_message& m, const error& why) {
    folder_work& f = folders_[folder];
    folder_memory& memory = *f.memory;
    if (memory.plain.contains(m.uid)) { // in vain
        memory.plain.remove(m.uid, m.uid);
        memory.plain_in_vain.add(m.uid);
    }
    if (memory.plain_in_vain.contains(m.uid)) return false;
    const std::string said = ascii_lower(why.server_said);
    if (!may_be_cured(why) && !said.contains("flag") && !said.contains("keyword")) return false;
    const flags_for_target allowed = flags_allowed(f.flag_sets[m.source_flags], f.permanent_flags);
    const bool keywords = std::ranges::any_of(split_flags(allowed.flags), is_keyword);
    if (!keywords && !(m.date && is_unusual(*m.date))) return false;
    memory.plain.add(m.uid);
    lane again{.folder = folder, .batch_limit = 1, .uids = {}};
    again.uids.add(m.uid);
    leftovers_.push_back(std::move(again));
    return true;
}

verdict mailbox_pass::state::judge(const lane& l, const mailbox::message_head& head) {
    folder_work& f = folders_[l.folder];
    if (!f.wanted.contains(head.uid)) return {};
    const char* rule = nullptr;
    if (options_.max_octets && head.octets > *options_.max_octets) rule = "--max-size";
    if (options_.since_unix && head.date && head.date->unix_seconds < *options_.since_unix) rule = "--since";
    if (!head.skip_rule.empty()) rule = head.skip_rule.c_str();
    if (rule != nullptr) {
        f.skipped[rule].add(head.uid);
        f.skipped_octets += head.octets;
        f.wanted.remove(head.uid, head.uid);
        return {};
    }
    if (head.halves) f.memory->joined.add(head.uid);
    verdict v{.take = true, .source_flags = 0, .target_flags = {}, .batch_limit = l.batch_limit};
    const std::string canonical = canonical_flags(head.flags);
    v.source_flags = flag_index(f, canonical);
    flags_for_target allowed = flags_allowed(canonical, f.permanent_flags);
    if (f.memory->plain.contains(head.uid)) make_plain(allowed, v, head);
    v.target_flags = std::move(allowed.flags);
    v.repair = treatment_of(f, head.uid);
    for (dropped_flag& k : allowed.dropped) f.keywords_dropped.insert(std::move(k.flag));
    if (progress_.folder != f.map.source) progress_.folder = f.map.source;
    return v;
}

void mailbox_pass::state::stored(std::size_t folder, sent_message message, std::uint32_t uid_validity,
                                 std::uint32_t uid) {
    folder_work& f = folders_[folder];
    // An APPENDUID of another UIDVALIDITY names a UID that the ledger's folder does not have.
    if (uid_validity != 0 && f.target && uid_validity != f.target->uid_validity) uid = 0;
    f.to_record.push_back({.source_uid = message.uid,
                           .target_uid = uid,
                           .octets = message.octets,
                           .flags = flags_kept(f, message.uid, uid, message.source_flags),
                           .state = item_state::copied,
                           .digest = message.digest,
                           .repairs = note_repaired(f, message).bits()});
    f.wanted.remove(message.uid, message.uid);
    f.failed.erase(message.uid);
    f.highest_target_uid = std::max(f.highest_target_uid, uid);
    f.uids_untold = f.uids_untold || uid == 0;
    f.memory->copied.add(message.uid);
    f.memory->copied_octets += message.octets;
    f.memory->strikes.erase(message.uid);
    ++f.landed;
    if (message.date_from_header) ++dates_from_header_;
    if (uid != 0 && message.date && is_odd(*message.date)) f.odd_dates.emplace(uid, message.date->unix_seconds);
    ++progress_mark_;
    ++progress_.messages_done;
    progress_.octets_done += message.octets;
    progress_now(mailbox_state::copying);
    if (bookkeeper_ != nullptr) bookkeeper_->notify();
}

void mailbox_pass::state::refused(std::size_t folder, std::vector<sent_message> batch, const error& why) {
    folder_work& f = folders_[folder];
    std::ranges::sort(batch, {}, &sent_message::uid);
    const bool line_is_dying = why.cls == retry_class::protocol; // BAD: the session drops the line right after this
    const bool ends_the_sweep =
        is_over_quota(why) || why.cls == retry_class::transient || why.cls == retry_class::throttled;
    if (ends_the_sweep) {
        if (!halt_) halt_ = why;
        if (is_over_quota(why)) name_full(*halt_, f);
        end_streams(*halt_);
    } else if (why.response_code == "TRYCREATE" || why.response_code == "NONEXISTENT") {
        if (!f.trouble) f.trouble = why;
    } else if (batch.size() == 1 && goes_plainer(folder, batch.front(), why)) {
        // It stays wanted.
    } else if (batch.size() == 1 && take_refusal(f, batch.front(), why)) {
        // It stays wanted: treat_refused() looks at it.
    } else if (batch.size() == 1) {
        fail_message(f, batch.front().uid, batch.front().octets, why);
        f.memory->refused.insert_or_assign(batch.front().uid, f.failed.at(batch.front().uid));
    } else if (line_is_dying) {
        for (const sent_message& m : batch) ++f.memory->strikes[m.uid];
    } else {
        // The batch is atomic (RFC 3502): nothing of it is there. Its halves are read again and tried by themselves.
        const std::size_t half = (batch.size() + 1) / 2;
        lane left{.folder = folder, .batch_limit = half, .uids = {}};
        lane right{.folder = folder, .batch_limit = half, .uids = {}};
        for (std::size_t i = 0; i < batch.size(); ++i) (i < half ? left : right).uids.add(batch[i].uid);
        leftovers_.push_back(std::move(left));
        leftovers_.push_back(std::move(right));
    }
}

// A quota may be a folder's own.
void mailbox_pass::state::name_full(error& why, const folder_work& f) {
    why.what += fmt::format(" (folder {})", quote_server_text(f.map.target, 100));
    why.advice = "Make room on the target or raise its quota, then run the same command again";
}

void mailbox_pass::state::fail_message(folder_work& f, std::uint32_t uid, std::uint64_t octets, const error& why) {
    const failed_item item{
        .source_uid = uid, .octets = octets, .message_id = {}, .cls = why.cls, .reason = why.message()};
    f.wanted.remove(uid, uid);
    f.failed.insert_or_assign(uid, item);
    f.failures_to_name.add(uid);
    ++progress_.messages_done;
    if (f.memory->failed.contains(uid)) return;
    f.memory->failed.add(uid);
    ++progress_mark_;
}

// What an earlier attempt was told about a message holds: where the refusal costs the line (BAD), each attempt would
// end with it.
void mailbox_pass::state::fail_again(folder_work& f) {
    for (const auto& [uid, item] : f.memory->refused) {
        if (!f.wanted.contains(uid)) continue;
        f.wanted.remove(uid, uid);
        f.failed.insert_or_assign(uid, item);
        f.failures_to_name.add(uid);
        ++progress_.messages_done;
    }
}

void mailbox_pass::state::missing(std::size_t folder, const uid_set& uids, const std::optional<error>& why) {
    folder_work& f = folders_[folder];
    if (!why) {
        f.unread.add(uids);
        return;
    }
    uid_set rest = uids;
    while (!rest.empty()) fail_message(f, rest.take_front(1, 1).front(), 0, *why);
}

void mailbox_pass::state::unavailable(std::size_t folder, const error& why) {
    folder_work& f = folders_[folder];
    if (why.cls == retry_class::transient && ++f.memory->replans <= most_replans) {
        if (!replan_) replan_ = why;
    } else if (!f.trouble) {
        f.trouble = why;
    }
}

} // namespace postferry::transfer
