// Messages that were asked for and did not come. They may have been removed since the scan; the server may keep them
// back; or its numbers mean nothing from one look to the next (docs/quirks.md#numbers-move), and then nobody may
// believe that they are gone.
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace postferry::transfer {

namespace {

class presence_reader final : public mailbox::scan_sink {
  public:
    struct folder {
        mailbox::folder_state state;
        uid_set present;
    };
    explicit presence_reader(std::size_t n) : folders(n) {}
    std::vector<std::optional<folder>> folders;
    std::map<std::size_t, error> troubles;
    void flags(std::size_t, std::uint32_t, const std::vector<std::string>&) override {}
    void done(std::size_t request, const mailbox::folder_state& state, uid_set uids) override {
        folders[request] = folder{.state = state, .present = std::move(uids)};
    }
    void failed(std::size_t request, error why) override { troubles.insert_or_assign(request, std::move(why)); }
};

error kept_back() {
    return {.cls = retry_class::permanent,
            .where = phase::fetch,
            .what = "The source said OK but sent no message",
            .server_said = {},
            .advice = "Open it with a mail program; if it shows nothing, it is lost on the source",
            .response_code = {}};
}

error renumbered(std::string_view folder, retry_class cls) {
    return {.cls = cls,
            .where = phase::fetch,
            .what = fmt::format("Messages of {} had other numbers at the next look", folder),
            .server_said = {},
            .advice = "If it stays so, open the folder once with a mail program, then run the same command again",
            .response_code = {}};
}

error not_looked_at(const error& why) {
    return {.cls = retry_class::transient,
            .where = phase::fetch,
            .what = fmt::format("The source sent no message, and its folder could not be opened again ({})", why.what),
            .server_said = why.server_said,
            .advice = "The next pass looks for it",
            .response_code = {}};
}

// Whether what is gone may have come back under other numbers.
bool may_be_renumbered(const mailbox::folder_state& before, const uid_set& listed, const presence_reader::folder& now) {
    uid_set others = now.present;
    others.remove(listed);
    return !others.empty() || now.state.uid_validity != before.uid_validity;
}

} // namespace

task<result<void>> mailbox_pass::state::settle_unread() {
    std::vector<mailbox::scan_request> requests;
    std::vector<folder_work*> which;
    for (folder_work& f : folders_) {
        if (f.unread.empty()) continue;
        requests.push_back(
            {.handle = f.source_handle, .known_uid_validity = 0, .known_uid_next = 0, .known_modseq = 0});
        which.push_back(&f);
    }
    if (requests.empty()) co_return result<void>{};
    presence_reader now(requests.size());
    if (auto ok = co_await source_->scan(requests, now); !ok) co_return ok;
    for (std::size_t k = 0; k < which.size(); ++k) {
        folder_work& f = *which[k];
        uid_set kept = std::exchange(f.unread, {});
        if (now.folders[k]) {
            uid_set lost = kept;
            // Numbers of another UIDVALIDITY name other messages.
            if (now.folders[k]->state.uid_validity == f.source.uid_validity) lost.remove(now.folders[k]->present);
            kept.remove(lost);
            settle_lost(f, lost, may_be_renumbered(f.source, f.present, *now.folders[k]));
        }
        const auto trouble = now.troubles.find(k);
        const error why = trouble == now.troubles.end() ? kept_back() : not_looked_at(trouble->second);
        while (!kept.empty()) fail_message(f, kept.take_front(1, 1).front(), 0, why);
    }
    if (replan_) co_return std::unexpected(*std::exchange(replan_, std::nullopt));
    co_return result<void>{};
}

// A folder that also got other messages is looked at again: if these are the lost ones, they must be brought. One that
// never comes to rest has them failed by name, so that the balance tells of them.
void mailbox_pass::state::settle_lost(folder_work& f, uid_set lost, bool may_be_there) {
    if (lost.empty()) return;
    if (may_be_there && f.memory->replans < most_replans) {
        ++f.memory->replans;
        f.memory->renumbered = true;
        if (!replan_) replan_ = renumbered(f.map.source, retry_class::transient);
        return;
    }
    while (!lost.empty()) {
        const std::uint32_t uid = lost.take_front(1, 1).front();
        if (may_be_there) {
            fail_message(f, uid, 0, renumbered(f.map.source, retry_class::permanent));
            continue;
        }
        f.vanished.add(uid);
        f.present.remove(uid, uid);
        f.wanted.remove(uid, uid);
        f.failed.erase(uid);
    }
}

// What this run has settled under a number that is gone. Of a source that moves numbers all is meant that vanished.
void mailbox_pass::state::note_adrift(folder_work& f, const ledger_brief& row) {
    const bool on_target = row.state == item_state::copied || row.state == item_state::present;
    if (!on_target || !(f.memory->renumbered || f.memory->copied.contains(row.source_uid))) return;
    if (row.target_uid != 0)
        f.adrift.emplace(row.target_uid, row.source_uid);
    else
        f.adrift_untold.push_back(row.source_uid);
}

// The number under which a message was brought that is now known by another; nothing: it was not.
std::optional<std::uint32_t> mailbox_pass::state::moor(folder_work& f, std::uint32_t target_uid) {
    std::uint32_t before = 0;
    if (const auto at = f.adrift.find(target_uid); at != f.adrift.end()) {
        before = at->second;
        f.adrift.erase(at);
    } else if (!f.adrift_untold.empty() && target_uid >= f.memory->first_mark) {
        before = f.adrift_untold.back();
        f.adrift_untold.pop_back();
    } else {
        return std::nullopt;
    }
    f.vanished.remove(before, before);
    return before;
}

} // namespace postferry::transfer
