// What is taken from the source, and what became of it: stored, refused, missing.
#include "base/text.hpp"
#include "transfer/detail/pass_stream.hpp"
#include "transfer/flag_rules.hpp"
#include "transfer/repair_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

// Dates that servers are known to store differently: Dovecot turns the far future into now, others cannot do 1970.
bool is_odd(const mailbox::message_date& date) {
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return date.unix_seconds < std::int64_t{365} * 86'400 || date.unix_seconds > now + 86'400;
}

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
        // Of several batches under way the first one's words stand for all.
        if (!halt_ && is_over_quota(why))
            name_full(halt_.emplace(why), f);
        else if (!halt_)
            halt_ = why;
        end_streams(*halt_);
    } else if (why.response_code == "TRYCREATE" || why.response_code == "NONEXISTENT") {
        if (!f.trouble) f.trouble = why;
    } else if (batch.size() == 1 && (goes_plainer(folder, batch.front(), why) || take_refusal(f, batch.front(), why))) {
        // It stays wanted: the next sweep brings it otherwise, or treat_refused() looks at it.
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
