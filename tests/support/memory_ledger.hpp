#pragma once
// The ledger in memory, for tests of the engine: the same answers as store::ledger_books (src/store/ledger_test.cpp
// runs over both), at once and on the caller's executor. One thread.
#include "transfer/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postferry::support {

using namespace transfer;

class memory_ledger final : public ledger {
  public:
    /// Asked before each call with its name ("record"); an error it gives is the call's outcome, and nothing is
    /// changed.
    std::function<std::optional<error>(std::string_view call)> before;

    task<result<mailbox_id>> open_mailbox(std::string source_key, std::string target_key) override {
        if (auto refused = ask("open_mailbox")) co_return std::unexpected(*refused);
        const auto [found, added] =
            mailboxes_.try_emplace({source_key, target_key}, static_cast<mailbox_id>(mailboxes_.size() + 1));
        if (!open_.insert(found->second).second)
            co_return fail(retry_class::config, phase::ledger,
                           fmt::format("{} to {} is listed twice", source_key, target_key),
                           "Remove one of the two; a mailbox is copied by one pass at a time");
        co_return found->second;
    }
    void close_mailbox(mailbox_id mailbox) noexcept override { open_.erase(mailbox); }

    task<result<std::vector<ledger_folder>>> folders(mailbox_id mailbox) override {
        if (auto refused = ask("folders")) co_return std::unexpected(*refused);
        std::vector<ledger_folder> all;
        for (const auto& [id, folder] : folders_)
            if (folder.mailbox == mailbox) all.push_back(folder.state);
        co_return all;
    }

    task<result<std::vector<ledger_brief>>> rows(folder_id folder) override {
        if (auto refused = ask("rows")) co_return std::unexpected(*refused);
        std::vector<ledger_brief> all;
        for (const auto& [uid, row] : content(folder).rows)
            all.push_back({.source_uid = uid, .target_uid = row.target_uid, .flags = row.flags, .state = row.state});
        co_return all;
    }

    task<result<std::vector<ledger_row>>> full_rows(folder_id folder, std::uint32_t first_uid,
                                                    std::uint32_t last_uid) override {
        if (auto refused = ask("full_rows")) co_return std::unexpected(*refused);
        std::vector<ledger_row> all;
        for (const auto& [uid, row] : content(folder).rows)
            if (uid >= first_uid && uid <= last_uid) all.push_back(row);
        co_return all;
    }

    task<result<std::vector<std::pair<std::uint32_t, std::uint8_t>>>> repaired(folder_id folder) override {
        if (auto refused = ask("repaired")) co_return std::unexpected(*refused);
        std::vector<std::pair<std::uint32_t, std::uint8_t>> all;
        for (const auto& [uid, row] : content(folder).rows)
            if (row.repairs != 0) all.emplace_back(uid, row.repairs);
        co_return all;
    }

    task<result<std::vector<failed_item>>> failures(folder_id folder) override {
        if (auto refused = ask("failures")) co_return std::unexpected(*refused);
        std::vector<failed_item> all;
        for (const auto& [uid, item] : content(folder).failures) all.push_back(item);
        co_return all;
    }

    task<result<ledger_folder>> begin_folder(mailbox_id mailbox, std::string source_name, std::string target_name,
                                             std::uint32_t source_uid_validity, std::uint32_t target_uid_validity,
                                             std::uint32_t target_mark) override {
        if (auto refused = ask("begin_folder")) co_return std::unexpected(*refused);
        stored_folder& folder = named(mailbox, source_name);
        ledger_folder& state = folder.state;
        if (state.target_name != target_name || state.source_uid_validity != source_uid_validity ||
            state.target_uid_validity != target_uid_validity) {
            folder.rows.clear();
            folder.failures.clear();
            const folder_id id = state.id;
            state = {};
            state.id = id;
            state.source_name = std::move(source_name);
            state.target_name = std::move(target_name);
            state.source_uid_validity = source_uid_validity;
            state.target_uid_validity = target_uid_validity;
        }
        state.target_mark = target_mark;
        state.complete = false;
        co_return state;
    }

    task<result<std::uint32_t>> flag_set(folder_id folder, std::string canonical) override {
        if (auto refused = ask("flag_set")) co_return std::unexpected(*refused);
        const auto stored = folders_.find(folder);
        if (stored == folders_.end()) co_return no_such_folder(folder);
        auto& sets = stored->second.state.flag_sets;
        const auto found = std::ranges::find(sets, canonical);
        const auto number = static_cast<std::uint32_t>(found - sets.begin());
        if (found == sets.end()) sets.push_back(std::move(canonical));
        co_return number;
    }

    task<result<void>> record(folder_id folder, std::vector<ledger_row> rows,
                              std::vector<failed_item> failures) override {
        if (auto refused = ask("record")) co_return std::unexpected(*refused);
        const auto found = folders_.find(folder);
        if (found == folders_.end()) co_return no_such_folder(folder);
        for (const ledger_row& row : rows) put(found->second, row);
        for (failed_item& item : failures) {
            const auto row = found->second.rows.find(item.source_uid);
            if (row == found->second.rows.end() || row->second.state != item_state::failed)
                put(found->second,
                    {.source_uid = item.source_uid, .octets = item.octets, .state = item_state::failed, .digest = {}});
            const std::uint32_t uid = item.source_uid;
            found->second.failures.insert_or_assign(uid, std::move(item));
        }
        co_return result<void>{};
    }

    task<result<void>> update_flags(folder_id folder,
                                    std::vector<std::pair<std::uint32_t, std::uint32_t>> uid_and_flag_set) override {
        if (auto refused = ask("update_flags")) co_return std::unexpected(*refused);
        const auto found = folders_.find(folder);
        if (found == folders_.end()) co_return result<void>{};
        auto& stored = found->second.rows;
        for (const auto& [uid, flags] : uid_and_flag_set)
            if (const auto row = stored.find(uid); row != stored.end()) row->second.flags = flags;
        co_return result<void>{};
    }

    task<result<void>> forget(folder_id folder, std::vector<std::uint32_t> source_uids) override {
        if (auto refused = ask("forget")) co_return std::unexpected(*refused);
        const auto found = folders_.find(folder);
        if (found == folders_.end()) co_return no_such_folder(folder);
        for (const std::uint32_t uid : source_uids) take(found->second, uid);
        co_return result<void>{};
    }

    task<result<void>> set_state(folder_id folder, std::vector<std::uint32_t> source_uids, item_state state) override {
        if (auto refused = ask("set_state")) co_return std::unexpected(*refused);
        const auto found = folders_.find(folder);
        if (found == folders_.end()) co_return no_such_folder(folder);
        for (const std::uint32_t uid : source_uids) {
            const auto row = found->second.rows.find(uid);
            if (row == found->second.rows.end()) continue;
            ledger_row changed = row->second;
            changed.state = state;
            put(found->second, changed);
        }
        co_return result<void>{};
    }

    task<result<void>> finish_folder(ledger_folder state) override {
        if (auto refused = ask("finish_folder")) co_return std::unexpected(*refused);
        const auto found = folders_.find(state.id);
        if (found == folders_.end()) co_return no_such_folder(state.id);
        ledger_folder& stored = found->second.state;
        stored.source_uid_next = state.source_uid_next;
        stored.source_messages = state.source_messages;
        stored.source_modseq = state.source_modseq;
        stored.target_mark = state.target_mark;
        stored.complete = state.complete;
        stored.subscribed = state.subscribed;
        co_return result<void>{};
    }

  private:
    struct stored_folder {
        mailbox_id mailbox = 0;
        ledger_folder state;
        std::map<std::uint32_t, ledger_row> rows;
        std::map<std::uint32_t, failed_item> failures;
    };

    [[nodiscard]] std::optional<error> ask(std::string_view call) const { return before ? before(call) : std::nullopt; }
    static std::unexpected<error> no_such_folder(folder_id folder) {
        return fail(retry_class::local, phase::ledger, fmt::format("the ledger has no folder {}", folder));
    }

    const stored_folder& content(folder_id folder) const {
        static const stored_folder none;
        const auto found = folders_.find(folder);
        return found == folders_.end() ? none : found->second;
    }

    stored_folder& named(mailbox_id mailbox, const std::string& source_name) {
        for (auto& [id, folder] : folders_)
            if (folder.mailbox == mailbox && folder.state.source_name == source_name) return folder;
        stored_folder& made = folders_[static_cast<folder_id>(folders_.size() + 1)];
        made.mailbox = mailbox;
        made.state.id = static_cast<folder_id>(folders_.size());
        made.state.source_name = source_name;
        return made;
    }

    static void take(stored_folder& folder, std::uint32_t uid) {
        const auto old = folder.rows.find(uid);
        if (old == folder.rows.end()) return;
        if (counts(old->second.state)) {
            const auto [messages, octets] = totals_of(folder, old->second.state);
            *messages -= 1;
            *octets -= old->second.octets;
        }
        folder.rows.erase(old);
        folder.failures.erase(uid);
    }

    static void put(stored_folder& folder, const ledger_row& row) {
        const auto why = folder.failures.find(row.source_uid);
        std::optional<failed_item> kept;
        if (row.state == item_state::failed && why != folder.failures.end()) kept = why->second;
        take(folder, row.source_uid);
        folder.rows.emplace(row.source_uid, row);
        if (counts(row.state)) {
            const auto [messages, octets] = totals_of(folder, row.state);
            *messages += 1;
            *octets += row.octets;
        }
        if (kept) folder.failures.emplace(row.source_uid, *kept);
    }

    static bool counts(item_state state) { return state != item_state::gone && state != item_state::condemned; }
    static std::pair<std::uint64_t*, std::uint64_t*> totals_of(stored_folder& folder, item_state state) {
        auto& sum = folder.state.rows;
        switch (state) {
        case item_state::copied: return {&sum.copied, &sum.copied_octets};
        case item_state::present: return {&sum.present, &sum.present_octets};
        case item_state::failed:
        case item_state::gone:
        case item_state::condemned: break;
        }
        return {&sum.failed, &sum.failed_octets};
    }

    std::map<std::pair<std::string, std::string>, mailbox_id> mailboxes_;
    std::set<mailbox_id> open_;
    std::map<folder_id, stored_folder> folders_;
};

} // namespace postferry::support
