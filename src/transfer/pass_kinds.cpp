// What the kinds of passes leave out, and what a sweep keeps (docs/report.md#passes).
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

uid_set oldest_and_newest(const uid_set& all, std::uint64_t n, bool only_oldest) {
    uid_set rest = all;
    const std::uint64_t newest = only_oldest ? 0 : n / 2;
    uid_set out = rest.take_front(n - newest, SIZE_MAX);
    if (rest.count() > newest) (void)rest.take_front(rest.count() - newest, SIZE_MAX);
    if (newest > 0) out.add(rest);
    return out;
}

} // namespace

// After the cutover, and when only failures are looked at again, folders and flags of the target are its owner's.
bool mailbox_pass::state::only_new() const noexcept {
    return options_.kind == pass_kind::sweep || options_.kind == pass_kind::repair;
}

void mailbox_pass::state::limit_to_kind(folder_work& f) const {
    uid_set failures;
    for (const auto& [uid, item] : f.failed) {
        failures.add(uid);
        // A target may have put them elsewhere (a filter): to bring them at every pass would fill that place.
        if (options_.kind != pass_kind::repair && item.reason.starts_with(said_ok)) f.held_back.add(uid);
    }
    f.wanted.remove(f.held_back);
    uid_set out = f.wanted;
    if (options_.kind == pass_kind::trial) {
        // Of all that is there, not of what is new: a trial that is repeated copies nothing more.
        // A target that took over the UIDs would have to give the rest new ones, were the newest there before it.
        const bool keeps_uids = target_->keeps_uids() && f.target && f.source.uid_validity != 0 &&
                                f.target->uid_validity == f.source.uid_validity;
        out.remove(oldest_and_newest(f.present, options_.trial_messages, keeps_uids));
    } else if (options_.kind == pass_kind::repair) {
        out.remove(failures);
    } else {
        return;
    }
    f.wanted.remove(out);
    out.remove(failures); // they stay failed, which is one count already
    if (out.empty()) return;
    f.notes.push_back(fmt::format("{}: {} messages were left for another pass", name_of(options_.kind), out.count()));
    f.skipped[std::string(name_of(options_.kind))].add(out);
}

// The owner has renamed the folder, or made it anew, since the cutover. What was brought once is his to keep or to
// throw away: the rows hold, though nobody knows where their copies are now.
task<result<void>> mailbox_pass::state::replant(folder_work& f, std::uint32_t mark) {
    auto rows = co_await env_.books->full_rows(f.book.id, 1, UINT32_MAX);
    if (!rows) co_return std::unexpected(rows.error());
    auto book = co_await env_.books->begin_folder(mailbox_, f.map.source, f.map.target, f.source.uid_validity,
                                                  f.target->uid_validity, mark);
    if (!book) co_return std::unexpected(book.error());
    // Sets that come in the old order get their old numbers, which the rows name.
    for (const std::string& flags : f.book.flag_sets)
        if (auto number = co_await env_.books->flag_set(book->id, flags); !number)
            co_return std::unexpected(number.error());
    std::erase_if(*rows, [](const ledger_row& row) {
        return row.state != item_state::copied && row.state != item_state::present;
    });
    for (ledger_row& row : *rows) row.target_uid = 0;
    for (ledger_brief& row : f.rows) row.target_uid = 0;
    book->flag_sets = f.book.flag_sets;
    book->rows = f.book.rows;
    f.book = std::move(*book);
    f.replanted = false;
    f.opened = true;
    f.notes.emplace_back("the target's folder is another one than at the copy; only new messages were brought");
    co_return co_await env_.books->record(f.book.id, std::move(*rows), {});
}

bool mailbox_pass::state::is_waived(const std::string& folder, std::uint32_t uid) const {
    return options_.waived && options_.waived->contains({folder, uid});
}

} // namespace postferry::transfer
