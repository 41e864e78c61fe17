// --delete-extra: copies whose source message has vanished are removed from the target, when a dry run has shown them
// before and the source is to be believed (docs/adr/0009).
#include "transfer/deletion.hpp"
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

constexpr std::string_view if_right =
    "If that is right, run a pass without --delete-extra first: it takes the new number as right";

} // namespace

/// Brought by us, and where it is on the target is known.
bool mailbox_pass::state::is_ours(const ledger_brief& row) noexcept {
    return row.state == item_state::copied && row.target_uid != 0;
}

// Before this run changes the books. Another attempt must not measure by what the first one wrote.
void mailbox_pass::state::note_what_was(const std::vector<ledger_folder>& books) {
    if (!options_.delete_extra) return;
    const auto messages = [](const ledger_folder& b) {
        return std::max<std::uint64_t>(b.source_messages, b.rows.copied + b.rows.present);
    };
    for (folder_work& f : folders_)
        if (!f.memory->had) f.memory->had = f.book.id == 0 ? 0 : messages(f.book);
    if (had_) return;
    had_ = 0;
    for (const ledger_folder& b : books) {
        // A folder that a rule leaves out has lost nothing; one that is gone altogether has.
        const auto f = std::ranges::find(folders_, b.source_name, [](const folder_work& w) { return w.map.source; });
        if (f == folders_.end() || f->map.what == mapped_folder::verdict::copy) *had_ += messages(b);
    }
}

void mailbox_pass::state::judge_deletion() {
    if (!options_.delete_extra) return;
    std::uint64_t now = 0;
    for (const folder_work& f : folders_)
        if (f.map.what == mapped_folder::verdict::copy) now += f.scanned ? f.present.count() : f.source.messages;
    const std::string whole = why_not_delete(now, had_.value_or(0));
    for (folder_work& f : folders_) {
        if (!f.scanned) continue;
        const std::string here = why_not_delete(f.present.count(), f.memory->had.value_or(0));
        if (!whole.empty())
            f.not_deleted = fmt::format("of the whole mailbox {}. {}", whole, if_right);
        else if (!here.empty())
            f.not_deleted = fmt::format("{}. {}", here, if_right);
    }
}

/// The copies of these source messages; what a message that is still there names as well is not among them.
uid_set mailbox_pass::state::targets_of(const folder_work& f, const uid_set& sources) const {
    uid_set out;
    for (const ledger_brief& row : f.rows)
        if (sources.contains(row.source_uid)) out.add(row.target_uid);
    for (const folder_work& other : folders_) {
        if (!knows_target_of(other, f)) continue;
        for (const ledger_brief& row : other.rows)
            if (other.known.contains(row.source_uid) && out.contains(row.target_uid))
                out.remove(row.target_uid, row.target_uid);
    }
    return out;
}

task<result<void>> mailbox_pass::state::delete_extra() {
    if (!options_.delete_extra) co_return result<void>{};
    report_.not_deleted.clear();
    for (folder_work& f : folders_) {
        if (!f.scanned || !f.prepared || f.trouble || f.new_generation) continue;
        if (auto ok = co_await delete_from(f); !ok) co_return ok;
    }
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::delete_from(folder_work& f) {
    uid_set doomed;
    std::uint64_t not_shown = 0;
    for (const ledger_brief& row : f.rows) {
        if (row.state == item_state::condemned && f.gone.contains(row.source_uid)) doomed.add(row.source_uid);
        if (row.state == item_state::gone && f.gone.contains(row.source_uid)) ++not_shown;
        if (is_ours(row) && f.vanished.contains(row.source_uid)) ++not_shown;
    }
    if (doomed.empty() && not_shown == 0) co_return result<void>{};
    const auto left_alone = [&](std::string_view why) {
        report_.not_deleted.push_back(fmt::format("{}: {} messages that vanished from the source stay: {}",
                                                  f.map.source, doomed.count() + not_shown, why));
    };
    if (!f.not_deleted.empty()) {
        left_alone(f.not_deleted);
        co_return result<void>{};
    }
    if (doomed.empty()) {
        left_alone("no dry run has shown them; run the same command with --dry-run first");
        co_return result<void>{};
    }
    auto ok = co_await target_->remove(f.target_handle, f.target->uid_validity, targets_of(f, doomed));
    if (!ok && ok.error().cls != retry_class::permanent && ok.error().cls != retry_class::config) co_return ok;
    if (!ok) {
        left_alone(ok.error().message());
        co_return result<void>{};
    }
    f.memory->deleted += doomed.count();
    progress_mark_ += doomed.count();
    note(fmt::format("{}: {} messages removed from the target", f.map.source, doomed.count()));
    if (not_shown > 0)
        report_.warnings.push_back(fmt::format(
            "{}: {} more messages vanished from the source since the dry run; they stay until another one shows them",
            f.map.source, not_shown));
    std::vector<std::uint32_t> rows;
    f.gone.remove(doomed);
    while (!doomed.empty()) rows.push_back(doomed.take_front(1, 1).front());
    co_return co_await env_.books->forget(f.book.id, std::move(rows));
}

// A dry run: what it shows is marked in the ledger, and only that may be deleted later.
task<result<void>> mailbox_pass::state::condemn(folder_work& f, planned_folder& out) {
    if (!options_.delete_extra || !f.scanned || f.trouble || f.new_generation) co_return result<void>{};
    uid_set doomed = f.gone;
    for (const ledger_brief& row : f.rows)
        if (is_ours(row) && f.vanished.contains(row.source_uid)) doomed.add(row.source_uid);
    if (doomed.empty()) co_return result<void>{};
    if (!f.not_deleted.empty()) {
        report_.not_deleted.push_back(fmt::format("{}: {} messages that vanished from the source would stay: {}",
                                                  f.map.source, doomed.count(), f.not_deleted));
        co_return result<void>{};
    }
    out.delete_uids = targets_of(f, doomed);
    out.to_delete = out.delete_uids.count();
    std::vector<std::uint32_t> rows;
    while (!doomed.empty()) rows.push_back(doomed.take_front(1, 1).front());
    co_return co_await env_.books->set_state(f.book.id, std::move(rows), item_state::condemned);
}

} // namespace postferry::transfer
