// One message in several folders of the source (Gmail's labels) is read once: where its first place was brought, the
// target copies it to the others by itself (docs/adr/0020-gmail-labels.md).
#include "transfer/detail/pass_state.hpp"
#include "transfer/flag_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace postferry::transfer {

namespace {

constexpr std::size_t most_ranges = 80; // of one COPY: they fit into any server's command line

// What is known is asked for its name as well, unless that costs more octets than it can spare: some 64 for each of
// them, some thousands for each message that is not read.
constexpr std::uint64_t known_for_each_wanted = 64;

constexpr std::uint32_t rows_at_once = 20'000; // of the ledger, in memory

struct place {
    std::uint64_t id = 0;
    std::size_t folder = 0;
    std::uint32_t uid = 0, flags = 0;
    bool wanted = false;
};

} // namespace

std::vector<mailbox::fetch_request> mailbox_pass::state::to_be_named() const {
    std::vector<mailbox::fetch_request> out;
    std::uint64_t wanted = 0, known = 0;
    for (const folder_work& f : folders_) {
        wanted += f.trouble ? 0 : f.wanted.count();
        known += f.moved ? f.known.count() : f.book.rows.copied;
    }
    if (wanted == 0) return out;
    const bool all = known <= wanted * known_for_each_wanted;
    for (const folder_work& f : folders_) {
        mailbox::fetch_request& r = out.emplace_back(
            mailbox::fetch_request{.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = {}});
        if (f.trouble || f.map.what != mapped_folder::verdict::copy) continue;
        r.uids = f.wanted;
        if (!all || f.book.id == 0) continue;
        if (f.moved)
            r.uids.add(f.known);
        else if (f.book.rows.copied > 0 && f.source.uid_validity == f.book.source_uid_validity)
            r.uids = uid_set::of(1, std::max(f.book.source_uid_next, 2U) - 1);
    }
    return out;
}

task<result<void>> mailbox_pass::state::find_twins() {
    const std::vector<mailbox::fetch_request> requests = to_be_named();
    if (copies_refused_ || requests.empty()) co_return result<void>{};
    std::vector<place> seen;
    auto ok = co_await source_->identities(
        requests, [&](std::size_t i, std::uint32_t uid, std::uint64_t id, const std::vector<std::string>& flags) {
            folder_work& f = folders_[i];
            const bool wanted = f.wanted.contains(uid);
            const std::uint32_t index = wanted ? flag_index(f, canonical_flags(flags)) : 0;
            seen.push_back({.id = id, .folder = i, .uid = uid, .flags = index, .wanted = wanted});
        });
    if (!ok) co_return ok;
    std::ranges::sort(seen, {}, [](const place& p) { return std::tuple(p.id, p.wanted, p.folder, p.uid); });
    std::uint64_t found = 0;
    for (std::size_t i = 0, home = 0; i < seen.size(); ++i) {
        if (seen[i].id != seen[home].id) home = i;
        const place &p = seen[i], &at = seen[home];
        if (!p.wanted || p.folder == at.folder) continue;
        folders_[p.folder].twins.insert_or_assign(p.uid, twin{.folder = at.folder, .uid = at.uid, .flags = p.flags});
        ++found;
    }
    if (found > 0) note(fmt::format("{} messages are in a further folder as well and are read once", found));
    co_return result<void>{};
}

// Messages that need a treatment of their own are read for it.
void mailbox_pass::state::set_twins_aside(folder_work& f, uid_set& ordinary) {
    std::erase_if(f.twins, [&f](const auto& t) {
        return !f.wanted.contains(t.first) || f.memory->strikes.contains(t.first) ||
               f.memory->refusals.contains(t.first) || f.memory->plain.contains(t.first);
    });
    for (const auto& [uid, t] : f.twins) ordinary.remove(uid, uid);
}

bool mailbox_pass::state::may_copy(const folder_work& from, const folder_work& to) const {
    return !copies_refused_ && !from.trouble && !to.trouble && from.book.id != 0 && from.target && to.target &&
           from.target->uid_validity != 0 && to.target->uid_validity != 0 &&
           from.target->uid_validity == from.book.target_uid_validity && (!from.new_generation || from.opened) &&
           from.target_handle != to.target_handle;
}

// The copy has the flags of what it is made from: they must be those that the message is to have here.
bool mailbox_pass::state::same_flags(const folder_work& from, std::uint32_t number, const folder_work& to,
                                     std::uint32_t index) {
    if (from.flag_sets.left_keywords_out() || to.flag_sets.left_keywords_out()) return false;
    for (std::size_t i = 0; i < from.flag_sets.size(); ++i) {
        if (from.flag_set_ids[i] != number) continue;
        const std::string& wanted = to.flag_sets[index];
        // Where nobody has looked which flags the folder keeps, only those of RFC 3501 are sure.
        if (!from.prepared &&
            std::ranges::any_of(split_flags(wanted), [](auto flag) { return !flag.starts_with('\\'); }))
            return false;
        return from.flag_sets[i] == wanted &&
               flags_allowed(wanted, from.permanent_flags).flags == flags_allowed(wanted, to.permanent_flags).flags;
    }
    return false;
}

// Only what we brought as it was: what was found there or mended is decided by its own octets.
bool mailbox_pass::state::is_ready(const folder_work& home, const ledger_row& row, const folder_work& f,
                                   std::uint32_t uid) {
    const bool plain =
        home.memory->plain.contains(row.source_uid) || home.memory->plain_in_vain.contains(row.source_uid);
    return row.state == item_state::copied && row.digest && row.target_uid != 0 && row.repairs == 0 && !plain &&
           same_flags(home, row.flags, f, f.twins.at(uid).flags);
}

// What of `twins` (by the UID at home) is on the target already, by its UID there.
task<result<std::map<std::uint32_t, mailbox_pass::state::ready_twin>>>
mailbox_pass::state::ready_twins(const folder_work& home, folder_work& f,
                                 const std::map<std::uint32_t, std::uint32_t>& twins) {
    std::map<std::uint32_t, ready_twin> out;
    for (auto next = twins.begin(); next != twins.end();) {
        const std::uint32_t first = next->first, last = first + std::min(UINT32_MAX - first, rows_at_once - 1);
        const auto rows = co_await env_.books->full_rows(home.book.id, first, last);
        if (!rows) co_return std::unexpected(rows.error());
        for (const ledger_row& row : *rows)
            if (const auto at = twins.find(row.source_uid); at != twins.end() && is_ready(home, row, f, at->second))
                out.emplace(row.target_uid, ready_twin{.uid = at->second, .row = row});
        next = twins.upper_bound(last);
    }
    co_return out;
}

task<result<void>> mailbox_pass::state::copy_twins(const folder_work& home, folder_work& f,
                                                   const std::map<std::uint32_t, std::uint32_t>& twins) {
    auto ready = co_await ready_twins(home, f, twins);
    if (!ready) co_return std::unexpected(ready.error());
    uid_set rest;
    for (const auto& [target_uid, t] : *ready) rest.add(target_uid);
    while (!rest.empty() && !copies_refused_) {
        if (stop_) co_return std::unexpected(stopped());
        const std::uint64_t limit = copy_pace_.limit();
        uid_set some = rest.take_front(limit, most_ranges), later;
        std::uint64_t octets = 0;
        for (const auto& [target_uid, t] : *ready) {
            if (!some.contains(target_uid)) continue;
            octets += t.row.octets;
            if (octets > limit * copy_pace::octets_each && octets != t.row.octets) {
                octets -= t.row.octets;
                later.add(target_uid);
            } else {
                f.memory->unanswered.add(t.uid);
            }
        }
        some.remove(later);
        rest.add(later);
        const auto begun = std::chrono::steady_clock::now();
        const auto copied = co_await target_->copy_within({.from = home.target_handle,
                                                           .to = f.target_handle,
                                                           .from_uid_validity = home.target->uid_validity,
                                                           .to_uid_validity = f.target->uid_validity,
                                                           .uids = some});
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
        if (!copied) {
            if (auto ok = judge_copy(f, copied.error(), took); !ok) co_return ok;
            continue;
        }
        copy_pace_.answered(copy_pace::weight(some.count(), octets), took);
        for (const auto& [from, to] : *copied) {
            const ready_twin& t = ready->at(from);
            stored(static_cast<std::size_t>(&f - folders_.data()),
                   {.request = 0,
                    .uid = t.uid,
                    .octets = t.row.octets,
                    .source_flags = f.twins.at(t.uid).flags,
                    .batch_limit = 0,
                    .date = {},
                    .digest = *t.row.digest},
                   f.target->uid_validity, to);
            f.twins.erase(t.uid);
        }
        if (auto ok = co_await record(f); !ok) co_return ok;
    }
    co_return result<void>{};
}

// A refusal is no loss: these messages are read and appended like all others.
result<void> mailbox_pass::state::judge_copy(const folder_work& f, const error& why,
                                             std::chrono::milliseconds unanswered) {
    target_spoke_ = true;
    if (is_over_quota(why)) {
        name_full(halt_.emplace(why), f);
        copies_refused_ = true;
        return {};
    }
    // Its line may have died under the COPY, with these words: whether it was carried out must be looked at.
    target_owes_ = true;
    rest_ = std::max(rest_, copy_pace_.rest_after(unanswered));
    if (why.cls == retry_class::throttled) return std::unexpected(why);
    copies_refused_ = true;
    if (why.cls == retry_class::config || why.cls == retry_class::permanent) {
        note(fmt::format("messages in several folders are read for each of them ({})", why.message()));
        return {};
    }
    return std::unexpected(why);
}

task<result<void>> mailbox_pass::state::place_twins() {
    for (folder_work& f : folders_) {
        if (f.twins.empty() || f.trouble) continue;
        std::map<std::size_t, std::map<std::uint32_t, std::uint32_t>> homes; // folder -> UID there -> UID here
        for (const auto& [uid, t] : f.twins)
            if (f.wanted.contains(uid)) homes[t.folder].emplace(t.uid, uid);
        for (const auto& [i, twins] : homes) {
            if (!may_copy(folders_[i], f)) continue;
            if (auto ok = co_await copy_twins(folders_[i], f, twins); !ok) co_return ok;
            if (halt_) co_return result<void>{};
        }
    }
    co_return result<void>{};
}

void mailbox_pass::state::read_other_twins() {
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        folder_work& f = folders_[i];
        uid_set left;
        for (const auto& [uid, t] : std::exchange(f.twins, {}))
            if (f.wanted.contains(uid)) left.add(uid);
        if (!left.empty() && !f.trouble) leftovers_.push_back({.folder = i, .batch_limit = 0, .uids = std::move(left)});
    }
}

} // namespace postferry::transfer
