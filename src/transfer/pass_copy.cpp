// The copy sweep: every message that is wanted, from all folders, in one continuous stream; then what was refused in
// company, in smaller and smaller company.
#include "transfer/detail/pass_state.hpp"
#include "transfer/flag_rules.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

constexpr unsigned strikes_to_fail = 4;
// A server whose UIDVALIDITY changes at each look would keep the pass busy for ever.
constexpr unsigned most_replans = 3;

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

void mailbox_pass::state::plan_first_sweep(std::vector<mailbox::fetch_request>& requests) {
    std::map<unsigned, std::map<std::size_t, uid_set>> suspects; // by strikes, then folder
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        folder_work& f = folders_[i];
        if (f.trouble || f.wanted.empty()) continue;
        fail_again(f);
        uid_set ordinary = f.wanted;
        for (const auto& [uid, strikes] : f.memory->strikes) {
            if (!f.wanted.contains(uid)) continue;
            ordinary.remove(uid, uid);
            if (strikes < strikes_to_fail) {
                suspects[strikes][i].add(uid);
                continue;
            }
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
        if (!ordinary.empty()) {
            requests.push_back(
                {.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = std::move(ordinary)});
            lanes_.push_back({.folder = i, .batch_limit = 0});
        }
    }
    // The least suspected first: several that kill lines must not stand in the way of all others.
    for (auto& [strikes, folders] : suspects)
        for (auto& [i, uids] : folders)
            leftovers_.push_back({.folder = i, .uids = std::move(uids), .batch_limit = limit_after(strikes)});
}

void mailbox_pass::state::plan_next_sweep(std::vector<mailbox::fetch_request>& requests) {
    for (leftover& l : std::exchange(leftovers_, {})) {
        const folder_work& f = folders_[l.folder];
        if (f.trouble) continue;
        requests.push_back(
            {.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = std::move(l.uids)});
        lanes_.push_back({.folder = l.folder, .batch_limit = l.batch_limit});
    }
}

task<result<void>> mailbox_pass::state::copy() {
    progress_now(mailbox_state::copying);
    bool first = true;
    while (first || (!leftovers_.empty() && !halt_)) {
        std::vector<mailbox::fetch_request> requests;
        lanes_.clear();
        if (first)
            plan_first_sweep(requests);
        else
            plan_next_sweep(requests);
        first = false;
        if (requests.empty()) continue;
        if (auto ok = co_await sweep(std::move(requests)); !ok) co_return ok;
    }
    // A full target ends the mailbox but not the books; anything else is worth another attempt.
    if (halt_ && !is_over_quota(*halt_)) co_return std::unexpected(*halt_);
    if (replan_) co_return std::unexpected(*std::exchange(replan_, std::nullopt));
    for (folder_work& f : folders_)
        if (auto ok = co_await record(f); !ok) co_return ok;
    if (halt_) co_return result<void>{};
    co_return co_await settle_unread();
}

task<result<void>> mailbox_pass::state::sweep(std::vector<mailbox::fetch_request> requests) {
    const executor ex = co_await boost::asio::this_coro::executor;
    pipeline belt(ex, options_.limits, *this);
    net::event books(ex);
    belt_ = &belt;
    bookkeeper_ = &books;
    sweeping_done_ = false;
    source_failure_.reset();
    sink_failure_.reset();
    source_died_first_ = false;
    requests_ = requests;
    begun_ = {0, 0};
    if (stop_) belt.end_of_source(stopped());
    co_await (read_source(requests, belt) && write_target(belt) && keep_books());
    belt_ = nullptr;
    bookkeeper_ = nullptr;
    if (sink_failure_ || source_failure_) note_line_failure(belt);
    if (books_failure_) co_return std::unexpected(*books_failure_);
    if (stop_) co_return std::unexpected(stopped());
    if (halt_) co_return result<void>{};
    // A source that was closed because the target died has no story of its own.
    if (sink_failure_) co_return std::unexpected(*sink_failure_);
    if (source_failure_) co_return std::unexpected(*source_failure_);
    co_return result<void>{};
}

task<> mailbox_pass::state::read_source(std::span<const mailbox::fetch_request> requests, pipeline& belt) {
    auto ok = co_await source_->fetch(requests, mailbox::fetch_part::whole, belt);
    if (!ok) {
        source_failure_ = ok.error();
        source_died_first_ = !belt.target_failure();
    }
    belt.end_of_source(source_failure_);
}

task<> mailbox_pass::state::write_target(pipeline& belt) {
    auto ok = co_await target_->append(belt);
    if (!ok) {
        sink_failure_ = ok.error();
        source_->close();
    }
    sweeping_done_ = true;
    bookkeeper_->notify();
}

task<> mailbox_pass::state::keep_books() {
    while (true) {
        bool idle = true;
        for (folder_work& f : folders_) {
            if (f.to_record.empty() && f.failures_to_record.empty()) continue;
            idle = false;
            auto ok = co_await record(f);
            if (ok || books_failure_) continue;
            // Without its books the pass must not go on: what is stored but not recorded is found again by its
            // fingerprint.
            books_failure_ = ok.error();
            belt_->end_of_source(books_failure_);
            source_->close();
        }
        if (sweeping_done_ && (idle || books_failure_)) co_return;
        if (idle) co_await bookkeeper_->wait();
    }
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

verdict mailbox_pass::state::judge(const mailbox::message_head& head) {
    const lane& l = lanes_[head.request];
    folder_work& f = folders_[l.folder];
    begun_ = {head.request, head.uid};
    if (!f.wanted.contains(head.uid)) return {};
    const char* rule = nullptr;
    if (options_.max_octets && head.octets > *options_.max_octets) rule = "--max-size";
    if (options_.since_unix && head.date && head.date->unix_seconds < *options_.since_unix) rule = "--since";
    if (rule != nullptr) {
        f.skipped[rule].add(head.uid);
        f.skipped_octets += head.octets;
        f.wanted.remove(head.uid, head.uid);
        return {};
    }
    verdict v{.take = true, .source_flags = 0, .target_flags = {}, .batch_limit = l.batch_limit};
    const std::string canonical = canonical_flags(head.flags);
    v.source_flags = flag_index(f, canonical);
    flags_for_target allowed = flags_allowed(canonical, f.permanent_flags);
    v.target_flags = std::move(allowed.flags);
    for (dropped_flag& k : allowed.dropped) f.keywords_dropped.insert(std::move(k.flag));
    if (progress_.folder != f.map.source) progress_.folder = f.map.source;
    return v;
}

std::string_view mailbox_pass::state::target_handle(std::size_t request) {
    return folders_[lanes_[request].folder].target_handle;
}

void mailbox_pass::state::stored(sent_message message, std::uint32_t uid_validity, std::uint32_t uid) {
    folder_work& f = folders_[lanes_[message.request].folder];
    // An APPENDUID of another UIDVALIDITY names a UID that the ledger's folder does not have.
    if (uid_validity != 0 && f.target && uid_validity != f.target->uid_validity) uid = 0;
    f.to_record.push_back({.source_uid = message.uid,
                           .target_uid = uid,
                           .octets = message.octets,
                           .flags = message.source_flags,
                           .state = item_state::copied,
                           .digest = message.digest});
    f.wanted.remove(message.uid, message.uid);
    f.failed.erase(message.uid);
    f.highest_target_uid = std::max(f.highest_target_uid, uid);
    f.uids_untold = f.uids_untold || uid == 0;
    f.memory->copied.add(message.uid);
    f.memory->copied_octets += message.octets;
    f.memory->strikes.erase(message.uid);
    if (message.date_from_header) ++dates_from_header_;
    if (uid != 0 && message.date && is_odd(*message.date)) f.odd_dates.emplace(uid, message.date->unix_seconds);
    ++progress_mark_;
    ++progress_.messages_done;
    progress_.octets_done += message.octets;
    progress_now(mailbox_state::copying);
    if (bookkeeper_ != nullptr) bookkeeper_->notify();
}

void mailbox_pass::state::refused(std::vector<sent_message> batch, const error& why) {
    const std::size_t index = lanes_[batch.front().request].folder;
    folder_work& f = folders_[index];
    std::ranges::sort(batch, {}, &sent_message::uid);
    const bool line_is_dying = why.cls == retry_class::protocol; // BAD: the session drops the line right after this
    const bool ends_the_sweep =
        is_over_quota(why) || why.cls == retry_class::transient || why.cls == retry_class::throttled;
    if (ends_the_sweep) {
        if (!halt_) halt_ = why;
        if (is_over_quota(why))
            halt_->advice = "Make room on the target or raise its quota, then run the same command again";
        belt_->end_of_source(halt_);
        source_->close();
    } else if (why.response_code == "TRYCREATE" || why.response_code == "NONEXISTENT") {
        if (!f.trouble) f.trouble = why;
    } else if (batch.size() == 1) {
        fail_message(f, batch.front().uid, batch.front().octets, why);
        f.memory->refused.insert_or_assign(batch.front().uid, f.failed.at(batch.front().uid));
    } else if (line_is_dying) {
        for (const sent_message& m : batch) ++f.memory->strikes[m.uid];
    } else {
        // The batch is atomic (RFC 3502): nothing of it is there. Its halves are read again and tried by themselves.
        const std::size_t half = (batch.size() + 1) / 2;
        leftover left{.folder = index, .uids = {}, .batch_limit = half};
        leftover right{.folder = index, .uids = {}, .batch_limit = half};
        for (std::size_t i = 0; i < batch.size(); ++i) (i < half ? left : right).uids.add(batch[i].uid);
        leftovers_.push_back(std::move(left));
        leftovers_.push_back(std::move(right));
    }
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

void mailbox_pass::state::missing(std::size_t request, const uid_set& uids, const std::optional<error>& why) {
    folder_work& f = folders_[lanes_[request].folder];
    if (!why) {
        f.unread.add(uids);
        return;
    }
    uid_set rest = uids;
    while (!rest.empty()) fail_message(f, rest.take_front(1, 1).front(), 0, *why);
}

void mailbox_pass::state::unavailable(std::size_t request, const error& why) {
    folder_work& f = folders_[lanes_[request].folder];
    if (why.cls == retry_class::transient && ++f.memory->replans <= most_replans) {
        if (!replan_) replan_ = why;
    } else if (!f.trouble) {
        f.trouble = why;
    }
}

// Nobody knows what became of messages that a line took with it. They are looked for on the target before they are
// brought again, and brought in smaller company, in case one of them is what kills the line.
void mailbox_pass::state::note_line_failure(const pipeline& belt) {
    // A source that breaks off within a message that streams takes the target's line with it.
    const bool target_died = sink_failure_ && !source_died_first_;
    for (const sent_message& m : belt.unsettled()) {
        folder_memory& memory = *folders_[lanes_[m.request].folder].memory;
        memory.unanswered.add(m.uid);
        target_owes_ = target_owes_ || sink_failure_;
        if (target_died) ++memory.strikes[m.uid];
        suspicion_ = true;
    }
    if (target_died || stop_ || halt_) return;
    if (const auto [request, uid] = belt.interrupted(); uid != 0)
        ++folders_[lanes_[request].folder].memory->strikes[uid];
    else
        suspect_next();
    suspicion_ = true;
}

// The source died with no message under way: what it died of may be the next one, of which it never sent an octet.
void mailbox_pass::state::suspect_next() {
    for (std::size_t i = begun_.first; i < requests_.size(); ++i) {
        uid_set rest = requests_[i].uids;
        if (i == begun_.first && begun_.second != 0) rest.remove(1, begun_.second);
        if (rest.empty()) continue;
        ++folders_[lanes_[i].folder].memory->strikes[rest.take_front(1, 1).front()];
        return;
    }
}

} // namespace postferry::transfer
