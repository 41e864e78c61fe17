// After the messages: flags that changed, subscriptions, names for failures, the closing of the books.
#include "message/fingerprint.hpp"
#include "net/join.hpp"
#include "transfer/detail/pass_state.hpp"
#include "transfer/flag_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

// Looks at heads only, one folder a request; what cannot be read changes nothing.
class head_reader : public mailbox::message_sink {
  public:
    explicit head_reader(std::vector<folder_work*> folders) : folders_(std::move(folders)) {}
    task<result<void>> begin(mailbox::message_head) override { co_return result<void>{}; }
    task<result<void>> chunk(const client::block_ref&, std::string_view) override { co_return result<void>{}; }
    task<result<void>> end() override { co_return result<void>{}; }
    void missing(std::size_t, uid_set, std::optional<error>) override {}
    void unavailable(std::size_t, error) override {}

  protected:
    std::vector<folder_work*> folders_;
};

// Takes the Message-IDs of failed messages from their headers.
class name_reader final : public head_reader {
  public:
    using head_reader::head_reader;
    void header(mailbox::message_head head, std::string_view fields) override {
        const auto at = folders_[head.request]->failed.find(head.uid);
        if (at == folders_[head.request]->failed.end()) return;
        at->second.message_id = message::fingerprint_of(fields).message_id;
        if (at->second.octets == 0) at->second.octets = head.octets;
    }
};

// Counts messages whose INTERNALDATE is not what was sent.
class date_reader final : public head_reader {
  public:
    explicit date_reader(std::vector<folder_work*> folders)
        : head_reader(std::move(folders)), differ(folders_.size()) {}
    std::vector<std::uint64_t> differ;
    void header(mailbox::message_head head, std::string_view) override {
        const auto sent = folders_[head.request]->odd_dates.find(head.uid);
        if (sent == folders_[head.request]->odd_dates.end()) return;
        if (!head.date || head.date->unix_seconds != sent->second) ++differ[head.request];
    }
};

} // namespace

task<result<void>> mailbox_pass::state::update_flags() {
    for (folder_work& f : folders_) {
        const bool changed = !only_new() && !f.flag_updates.empty();
        if ((!changed && f.flags_owed.empty()) || f.trouble) continue;
        auto ok = co_await update_flags_of(f);
        if (ok) continue;
        // NO and BAD are answers; a dead line is not.
        const bool answered = ok.error().cls == retry_class::permanent ||
                              (ok.error().cls == retry_class::protocol && !ok.error().server_said.empty());
        if (!answered) co_return ok;
        report_.warnings.push_back(
            fmt::format("{}: flags were not carried over: {}", f.map.source, ok.error().message()));
    }
    co_return result<void>{};
}

// quirk exchange: APPEND loses \Flagged there.
std::uint32_t mailbox_pass::state::flags_kept(folder_work& f, std::uint32_t source_uid, std::uint32_t target_uid,
                                              std::uint32_t flags) {
    if (target_->keeps_flagged()) return flags;
    std::vector<std::string> kept;
    for (const std::string_view flag : split_flags(f.flag_sets[flags]))
        if (flag != "\\Flagged") kept.emplace_back(flag);
    const std::uint32_t without = flag_index(f, canonical_flags(kept));
    if (without != flags)
        f.flags_owed.push_back({.source_uid = source_uid, .target_uid = target_uid, .without = without, .full = flags});
    return without;
}

task<result<void>> mailbox_pass::state::update_flags_of(folder_work& f) {
    struct due {
        std::uint32_t source_uid, target_uid;
        std::string_view before;
        std::uint32_t now;
        bool changed; ///< on the source
    };
    std::vector<due> all;
    for (const flag_update& u : f.flag_updates) {
        if (only_new()) break;
        const ledger_brief& row = f.rows[u.row];
        all.push_back({row.source_uid, row.target_uid, f.book.flag_sets[row.flags], u.flags, true});
    }
    for (const owed_flags& o : f.flags_owed)
        all.push_back({o.source_uid, o.target_uid, f.flag_sets[o.without], o.full, false});
    std::map<std::pair<std::vector<std::string>, std::vector<std::string>>, uid_set> groups;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> rows;
    std::uint64_t unknown = 0, updated = 0;
    for (const due& d : all) {
        if (d.target_uid == 0) {
            ++unknown;
            continue;
        }
        flag_delta delta = flags_changed(d.before, f.flag_sets[d.now]);
        const flags_for_target allowed = flags_allowed(canonical_flags(delta.added), f.permanent_flags);
        for (const dropped_flag& flag : allowed.dropped) f.keywords_dropped.insert(flag.flag);
        std::vector<std::string> add;
        for (const std::string_view flag : split_flags(allowed.flags)) add.emplace_back(flag);
        std::erase_if(delta.removed, [](const std::string& flag) { return !is_writable(flag); });
        if (!add.empty() || !delta.removed.empty())
            groups[{std::move(add), std::move(delta.removed)}].add(d.target_uid);
        if (!f.flag_set_ids[d.now]) {
            const auto id = co_await env_.books->flag_set(f.book.id, f.flag_sets[d.now]);
            if (!id) co_return std::unexpected(id.error());
            f.flag_set_ids[d.now] = *id;
        }
        rows.emplace_back(d.source_uid, *f.flag_set_ids[d.now]);
        updated += d.changed ? 1U : 0U;
    }
    if (unknown > 0)
        report_.warnings.push_back(fmt::format("{}: flags of {} messages are to be set, but the target does "
                                               "not tell which messages they are (no UIDPLUS)",
                                               f.map.source, unknown));
    std::vector<mailbox::flag_change> changes;
    for (auto& [delta, uids] : groups)
        changes.push_back({.uids = std::move(uids),
                           .add = delta.first,
                           .remove = delta.second,
                           .uid_validity = f.target ? f.target->uid_validity : 0});
    if (!changes.empty())
        if (auto ok = co_await target_->change_flags(f.target_handle, changes); !ok) co_return ok;
    report_.flags_updated += updated;
    if (rows.empty()) co_return result<void>{};
    co_return co_await env_.books->update_flags(f.book.id, std::move(rows));
}

// A date that the target stores differently is no failure, but it is said.
task<result<void>> mailbox_pass::state::read_back_dates() {
    std::vector<mailbox::fetch_request> requests;
    std::vector<folder_work*> which;
    for (folder_work& f : folders_) {
        if (f.odd_dates.empty() || f.trouble) continue;
        mailbox::fetch_request& r = requests.emplace_back(
            mailbox::fetch_request{.handle = f.target_handle, .uid_validity = f.target->uid_validity, .uids = {}});
        for (const auto& [uid, date] : f.odd_dates) r.uids.add(uid);
        which.push_back(&f);
    }
    if (requests.empty()) co_return result<void>{};
    date_reader reader(which);
    if (auto ok = co_await target_->fetch(requests, mailbox::fetch_part::fingerprint, reader); !ok) co_return ok;
    for (std::size_t k = 0; k < which.size(); ++k)
        if (reader.differ[k] > 0)
            report_.warnings.push_back(fmt::format(
                "{}: the target keeps another INTERNALDATE for {} messages with dates of the far past or future",
                which[k]->map.source, reader.differ[k]));
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::subscribe() {
    std::vector<std::string> handles;
    if (only_new()) co_return result<void>{};
    for (folder_work& f : folders_) {
        if (!f.map.subscribed || f.book.subscribed || f.trouble || !f.prepared) continue;
        f.book.subscribed = true;
        const auto listed = std::ranges::find(target_list_.folders, f.target_handle, &mailbox::listed_folder::handle);
        if (listed == target_list_.folders.end() || !listed->subscribed) handles.push_back(f.target_handle);
    }
    if (handles.empty()) co_return result<void>{};
    auto ok = co_await target_->subscribe(handles);
    if (!ok && ok.error().cls == retry_class::permanent) {
        report_.warnings.push_back(ok.error().message());
        co_return result<void>{};
    }
    co_return ok;
}

task<result<void>> mailbox_pass::state::name_failures() {
    std::vector<mailbox::fetch_request> requests;
    std::vector<folder_work*> which;
    for (folder_work& f : folders_) {
        if (f.failures_to_name.empty()) continue;
        requests.push_back(
            {.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = f.failures_to_name});
        which.push_back(&f);
    }
    name_reader names(which);
    // The name is a kindness to whoever reads the report; a failure here fails nothing.
    if (!requests.empty() && !halt_) (void)co_await source_->fetch(requests, mailbox::fetch_part::fingerprint, names);
    for (folder_work* f : which) {
        while (!f->failures_to_name.empty()) {
            const auto at = f->failed.find(f->failures_to_name.take_front(1, 1).front());
            if (at == f->failed.end()) continue;
            const failed_item& item = at->second;
            f->to_record.push_back({.source_uid = item.source_uid,
                                    .target_uid = 0,
                                    .octets = item.octets,
                                    .flags = flag_index(*f, ""),
                                    .state = item_state::failed,
                                    .digest = {}});
            f->failures_to_record.push_back(item);
            if (env_.on_failure)
                env_.on_failure({.folder = f->map.source,
                                 .source_uid = item.source_uid,
                                 .octets = item.octets,
                                 .message_id = item.message_id,
                                 .cls = item.cls,
                                 .reason = item.reason,
                                 .waived = is_waived(f->map.source, item.source_uid)});
        }
        if (auto ok = co_await record(*f); !ok) co_return ok;
    }
    co_return result<void>{};
}

/// What the ledger is to know of the folder after this pass.
ledger_folder mailbox_pass::state::closed_book(folder_work& f) const {
    ledger_folder& b = f.book;
    const bool for_another_pass = f.skipped.contains("trial") || f.skipped.contains("repair");
    // What was left for another pass must look moved to it, and so must flags that this one does not carry over.
    if (!for_another_pass) {
        b.source_uid_next = f.source.uid_next;
        if (f.not_deleted.empty()) b.source_messages = f.source.messages;
        if (!only_new() || f.flag_updates.empty()) b.source_modseq = f.source.modseq;
    }
    // Where the mark moves, everything below it has been looked at: not so while a rule leaves something out unmatched,
    // or while something is missing that may still appear.
    if ((f.opened || f.skipped.empty()) && !f.unconfirmed && f.held_back.empty())
        b.target_mark = std::max({b.target_mark, f.target->uid_next, f.highest_target_uid + 1});
    b.complete = f.failed.empty() && f.wanted.empty();
    return b;
}

task<result<void>> mailbox_pass::state::close_folders() {
    std::vector<mailbox::folder_wish> wishes;
    std::vector<folder_work*> untold;
    for (folder_work& f : folders_) {
        if (!f.uids_untold || f.trouble) continue;
        wishes.push_back({.handle = f.target_handle});
        untold.push_back(&f);
    }
    if (!wishes.empty()) {
        auto states = co_await target_->prepare(wishes);
        if (!states) co_return std::unexpected(states.error());
        for (std::size_t k = 0; k < untold.size(); ++k)
            if (!(*states)[k].failure) untold[k]->target = (*states)[k].state;
    }
    std::vector<task<>> closings;
    std::optional<error> first;
    const auto close = [this, &first](folder_work& f) -> task<> {
        const auto keep = [&first](const result<void>& ok) {
            if (!ok && !first) first = ok.error();
        };
        std::vector<std::uint32_t> copies, others;
        for (uid_set rest = f.vanished; !rest.empty();) {
            const std::uint32_t uid = rest.take_front(1, 1).front();
            const auto row = std::ranges::lower_bound(f.rows, uid, {}, &ledger_brief::source_uid);
            const bool ours = row != f.rows.end() && row->source_uid == uid && is_ours(*row);
            (ours ? copies : others).push_back(uid);
        }
        if (!copies.empty()) keep(co_await env_.books->set_state(f.book.id, std::move(copies), item_state::gone));
        if (!others.empty()) keep(co_await env_.books->forget(f.book.id, std::move(others)));
        std::vector<std::uint32_t> back;
        while (!f.returned.empty()) back.push_back(f.returned.take_front(1, 1).front());
        if (!back.empty()) keep(co_await env_.books->set_state(f.book.id, std::move(back), item_state::copied));
        keep(co_await env_.books->finish_folder(closed_book(f)));
    };
    for (folder_work& f : folders_)
        if (f.moved && f.prepared && !f.trouble && f.book.id != 0) closings.push_back(close(f));
    if (!closings.empty()) co_await net::join_all(std::move(closings));
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

} // namespace postferry::transfer
