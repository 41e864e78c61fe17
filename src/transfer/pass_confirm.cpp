// A target may say OK and keep nothing: after a copy each folder must hold as many messages more as were acknowledged.
// One look; only where the number is short it is found out which ones are not there.
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

constexpr unsigned most_looks = 3; // what was stored may show a moment later

error not_held(std::string_view folder) {
    return {.cls = retry_class::permanent,
            .where = phase::append,
            .what = fmt::format("{}{} does not hold the message", said_ok, folder),
            .server_said = {},
            .advice = "Ask whoever runs the target; a repair pass brings the message again",
            .response_code = {}};
}

} // namespace

task<result<void>> mailbox_pass::state::confirm_stored() {
    struct place {
        std::vector<folder_work*> folders; // --map may send several to one
        std::uint64_t before = 0, landed = 0;
    };
    std::map<std::string, place> places;
    for (folder_work& f : folders_) {
        // Without a UIDVALIDITY it is no place that can be looked into.
        if (f.landed == 0 || f.trouble || !f.target || f.target->uid_validity == 0) continue;
        place& p = places[f.target_handle];
        p.folders.push_back(&f);
        p.before = f.target->messages;
        p.landed += f.landed;
    }
    for (unsigned look = 0; !places.empty() && look < most_looks; ++look) {
        if (look > 0)
            if (auto ok = co_await wait(options_.first_pause); !ok) co_return ok;
        std::vector<mailbox::folder_wish> wishes;
        for (const auto& [handle, p] : places) wishes.push_back({.handle = handle});
        auto states = co_await target_->prepare(wishes);
        if (!states) co_return std::unexpected(states.error());
        for (std::size_t i = 0; i < wishes.size(); ++i) {
            const place& p = places.at(wishes[i].handle);
            const mailbox::prepared_folder& now = (*states)[i];
            if (now.failure || now.state.uid_validity != p.folders.front()->target->uid_validity ||
                now.state.messages >= p.before + p.landed)
                places.erase(wishes[i].handle);
        }
    }
    if (places.empty()) co_return result<void>{};
    std::vector<std::string> handles;
    for (const auto& [handle, p] : places) handles.push_back(handle);
    uid_lister there(handles.size());
    if (auto ok = co_await list_uids(*target_, handles, there); !ok) co_return ok;
    for (std::size_t i = 0; i < handles.size(); ++i) {
        if (there.troubles[i]) continue;
        for (folder_work* f : places.at(handles[i]).folders)
            if (auto ok = co_await look_for(*f, there.present[i]); !ok) co_return ok;
    }
    if (replan_) co_return std::unexpected(*std::exchange(replan_, std::nullopt));
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::look_for(folder_work& f, const uid_set& on_target) {
    if (f.memory->copied.empty()) co_return result<void>{};
    const auto rows = co_await env_.books->full_rows(f.book.id, f.memory->copied.front(), f.memory->copied.back());
    if (!rows) co_return std::unexpected(rows.error());
    std::vector<std::uint32_t> untold;
    for (const ledger_row& row : *rows) {
        if (row.state != item_state::copied || !f.memory->copied.contains(row.source_uid)) continue;
        const bool told = row.target_uid != 0;
        // Below the mark of this attempt lies what an earlier one brought and was sure of.
        if (told && (row.target_uid < f.target->uid_next || on_target.contains(row.target_uid))) continue;
        f.unconfirmed = true;
        f.memory->copied.remove(row.source_uid, row.source_uid);
        f.memory->copied_octets -= std::min(f.memory->copied_octets, row.octets);
        if (told || f.memory->searched_again) {
            fail_message(f, row.source_uid, row.octets, not_held(f.map.target));
        } else {
            untold.push_back(row.source_uid);
            f.memory->unanswered.add(row.source_uid);
        }
    }
    if (untold.empty()) co_return result<void>{};
    // Nobody told which ones they are (no UIDPLUS): they are looked for like those of a line that died, once.
    f.memory->searched_again = true;
    if (auto ok = co_await env_.books->forget(f.book.id, std::move(untold)); !ok) co_return ok;
    replan_ = error{.cls = retry_class::transient,
                    .where = phase::append,
                    .what = fmt::format("{} holds fewer messages than the target said OK to", f.map.target),
                    .server_said = {},
                    .advice = {},
                    .response_code = {}};
    co_return result<void>{};
}

} // namespace postferry::transfer
