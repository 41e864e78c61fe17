// The messages of a folder: rows, failures, and the totals over them.
#include "store/detail/statements.hpp"
#include "store/ledger_repository.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::run;
using transfer::item_state;

namespace {

constexpr std::string_view insert_message =
    "INSERT INTO message (folder, source_uid, target_uid, octets, flags, state, digest) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";

std::optional<std::array<std::uint8_t, 32>> digest_octets(const ledger_row& row) {
    if (!row.digest) return std::nullopt;
    return row.digest->octets;
}

} // namespace

/// What a call changes in its folder's totals.
class ledger_repository::tally {
  public:
    void add(item_state state, std::uint64_t octets) noexcept { change(state, 1, static_cast<std::int64_t>(octets)); }
    void take(item_state state, std::uint64_t octets) noexcept {
        change(state, -1, -static_cast<std::int64_t>(octets));
    }
    [[nodiscard]] std::int64_t messages(item_state state) const noexcept { return changes_[index(state)].messages; }
    [[nodiscard]] std::int64_t octets(item_state state) const noexcept { return changes_[index(state)].octets; }

  private:
    struct amount {
        std::int64_t messages = 0, octets = 0;
    };
    // What is gone or condemned counts in no total.
    static std::size_t index(item_state state) noexcept {
        return std::min<std::size_t>(static_cast<std::size_t>(state), static_cast<std::size_t>(item_state::condemned));
    }
    void change(item_state state, std::int64_t messages, std::int64_t octets) noexcept {
        changes_[index(state)].messages += messages;
        changes_[index(state)].octets += octets;
    }
    std::array<amount, 6> changes_;
};

result<std::vector<ledger_brief>> ledger_repository::rows(folder_id folder) {
    std::vector<ledger_brief> all;
    // The totals know the size: a vector that grew by doubling would for a moment hold three times as much.
    auto done = each_row(
        db_, "SELECT copied + present + failed FROM folder WHERE id = $1",
        [&](const sql::query& q) { all.reserve(std::min<std::size_t>(q.get<std::size_t>(0), 1U << 26U)); }, folder);
    if (!done) return pass_on(done);
    done = each_row(
        db_, "SELECT source_uid, target_uid, flags, state FROM message WHERE folder = $1 ORDER BY source_uid",
        [&](const sql::query& q) {
            all.push_back({.source_uid = q.get<std::uint32_t>(0),
                           .target_uid = q.get<std::uint32_t>(1),
                           .flags = q.get<std::uint32_t>(2),
                           .state = q.get<item_state>(3)});
        },
        folder);
    if (!done) return pass_on(done);
    return all;
}

result<std::vector<ledger_row>> ledger_repository::full_rows(folder_id folder, std::uint32_t first_uid,
                                                             std::uint32_t last_uid) {
    std::vector<ledger_row> all;
    auto done = each_row(
        db_,
        "SELECT source_uid, target_uid, octets, flags, state, digest, repairs FROM message "
        "LEFT JOIN repaired USING (folder, source_uid) "
        "WHERE folder = $1 AND source_uid BETWEEN $2 AND $3 ORDER BY source_uid",
        [&](const sql::query& q) {
            ledger_row row{.source_uid = q.get<std::uint32_t>(0),
                           .target_uid = q.get<std::uint32_t>(1),
                           .octets = q.get<std::uint64_t>(2),
                           .flags = q.get<std::uint32_t>(3),
                           .state = q.get<item_state>(4),
                           .digest = {}};
            const sql::octets digest = q.blob(5);
            if (digest.size() == 32) std::ranges::copy(digest, row.digest.emplace().octets.begin());
            row.repairs = q.get<std::uint8_t>(6); // NULL reads as 0
            all.push_back(row);
        },
        folder, first_uid, last_uid);
    if (!done) return pass_on(done);
    return all;
}

result<std::vector<failed_item>> ledger_repository::failures(folder_id folder) {
    std::vector<failed_item> all;
    auto done = each_row(
        db_, "SELECT source_uid, octets, message_id, class, reason FROM failure WHERE folder = $1 ORDER BY source_uid",
        [&](const sql::query& q) {
            all.push_back({.source_uid = q.get<std::uint32_t>(0),
                           .octets = q.get<std::uint64_t>(1),
                           .message_id = std::string(q.text(2)),
                           .cls = q.get<retry_class>(3),
                           .reason = std::string(q.text(4))});
        },
        folder);
    if (!done) return pass_on(done);
    return all;
}

result<std::vector<std::pair<std::uint32_t, std::uint8_t>>> ledger_repository::repaired(folder_id folder) {
    std::vector<std::pair<std::uint32_t, std::uint8_t>> all;
    auto done = each_row(
        db_, "SELECT source_uid, repairs FROM repaired WHERE folder = $1 ORDER BY source_uid",
        [&](const sql::query& q) { all.emplace_back(q.get<std::uint32_t>(0), q.get<std::uint8_t>(1)); }, folder);
    if (!done) return pass_on(done);
    return all;
}

result<void> ledger_repository::record(folder_id folder, const std::vector<ledger_row>& rows,
                                       const std::vector<failed_item>& failures) {
    tally totals;
    auto insert = db_.prepare(insert_message);
    if (!insert) return pass_on(insert);
    for (const ledger_row& row : rows) {
        auto inserted = insert->run(folder, row.source_uid, row.target_uid, row.octets, row.flags,
                                    static_cast<int>(row.state), digest_octets(row));
        if (!inserted) return pass_on(inserted);
        totals.add(row.state, row.octets);
        if (*inserted != 1)
            if (auto replaced = replace(folder, row, totals); !replaced) return replaced;
        if (row.repairs == 0) continue;
        auto noted = run(db_, "INSERT INTO repaired (folder, source_uid, repairs) VALUES ($1, $2, $3)", folder,
                         row.source_uid, row.repairs);
        if (!noted) return pass_on(noted);
    }
    for (const failed_item& item : failures) {
        auto put = put_failure(folder, item, totals);
        if (!put) return put;
    }
    return add_to_totals(folder, totals);
}

/// Of a row that exists; its old share leaves the totals.
result<void> ledger_repository::replace(folder_id folder, const ledger_row& row, tally& totals) {
    bool had_failed = false;
    auto old = each_row(
        db_, "SELECT state, octets FROM message WHERE folder = $1 AND source_uid = $2",
        [&](const sql::query& q) {
            had_failed = q.get<item_state>(0) == item_state::failed;
            totals.take(q.get<item_state>(0), q.get<std::uint64_t>(1));
        },
        folder, row.source_uid);
    if (!old) return old;
    auto forgotten = run(db_, "DELETE FROM repaired WHERE folder = $1 AND source_uid = $2", folder, row.source_uid);
    if (!forgotten) return pass_on(forgotten);
    auto updated = run(db_,
                       "UPDATE message SET target_uid = $1, octets = $2, flags = $3, state = $4, digest = $5 "
                       "WHERE folder = $6 AND source_uid = $7",
                       row.target_uid, row.octets, row.flags, static_cast<int>(row.state), digest_octets(row), folder,
                       row.source_uid);
    if (updated && had_failed && row.state != item_state::failed)
        updated = run(db_, "DELETE FROM failure WHERE folder = $1 AND source_uid = $2", folder, row.source_uid);
    if (!updated) return pass_on(updated);
    return {};
}

result<void> ledger_repository::put_failure(folder_id folder, const failed_item& item, tally& totals) {
    bool row_is_there = false;
    auto done = each_row(
        db_, "SELECT state FROM message WHERE folder = $1 AND source_uid = $2",
        [&](const sql::query& q) { row_is_there = q.get<item_state>(0) == item_state::failed; }, folder,
        item.source_uid);
    if (!done) return done;
    if (!row_is_there) {
        const ledger_row row{.source_uid = item.source_uid,
                             .target_uid = 0,
                             .octets = item.octets,
                             .flags = 0,
                             .state = item_state::failed,
                             .digest = {}};
        auto inserted = run(db_, insert_message, folder, row.source_uid, 0, row.octets, 0, static_cast<int>(row.state),
                            digest_octets(row));
        if (!inserted) return pass_on(inserted);
        totals.add(row.state, row.octets);
        if (*inserted == 0) done = replace(folder, row, totals);
        if (!done) return done;
    }
    auto put = run(
        db_,
        "INSERT INTO failure (folder, source_uid, octets, message_id, class, reason) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (folder, source_uid) DO UPDATE SET octets = excluded.octets, message_id = excluded.message_id, "
        "class = excluded.class, reason = excluded.reason",
        folder, item.source_uid, item.octets, item.message_id, static_cast<int>(item.cls), item.reason);
    if (!put) return pass_on(put);
    return {};
}

result<void> ledger_repository::add_to_totals(folder_id folder, const tally& totals) {
    using enum item_state;
    auto done = run(
        db_,
        "UPDATE folder SET copied = copied + $1, present = present + $2, failed = failed + $3, "
        "copied_octets = copied_octets + $4, present_octets = present_octets + $5, failed_octets = failed_octets + $6 "
        "WHERE id = $7",
        totals.messages(copied), totals.messages(present), totals.messages(failed), totals.octets(copied),
        totals.octets(present), totals.octets(failed), folder);
    if (!done) return pass_on(done);
    if (*done == 0) return no_such_folder(folder);
    return {};
}

result<void>
ledger_repository::update_flags(folder_id folder,
                                const std::vector<std::pair<std::uint32_t, std::uint32_t>>& uid_and_flag_set) {
    for (const auto& [uid, flags] : uid_and_flag_set) {
        auto done = run(db_, "UPDATE message SET flags = $1 WHERE folder = $2 AND source_uid = $3", flags, folder, uid);
        if (!done) return pass_on(done);
    }
    return {};
}

result<void> ledger_repository::forget(folder_id folder, const std::vector<std::uint32_t>& source_uids) {
    tally totals;
    for (const std::uint32_t uid : source_uids) {
        bool had_failed = false;
        auto done = each_row(
            db_, "DELETE FROM message WHERE folder = $1 AND source_uid = $2 RETURNING state, octets",
            [&](const sql::query& q) {
                had_failed = q.get<item_state>(0) == item_state::failed;
                totals.take(q.get<item_state>(0), q.get<std::uint64_t>(1));
            },
            folder, uid);
        if (!done) return done;
        auto unrepaired = run(db_, "DELETE FROM repaired WHERE folder = $1 AND source_uid = $2", folder, uid);
        if (!unrepaired) return pass_on(unrepaired);
        if (!had_failed) continue;
        auto dropped = run(db_, "DELETE FROM failure WHERE folder = $1 AND source_uid = $2", folder, uid);
        if (!dropped) return pass_on(dropped);
    }
    return add_to_totals(folder, totals);
}

result<void> ledger_repository::set_state(folder_id folder, const std::vector<std::uint32_t>& source_uids,
                                          item_state state) {
    tally totals;
    for (const std::uint32_t uid : source_uids) {
        bool found = false;
        auto done = each_row(
            db_, "SELECT state, octets FROM message WHERE folder = $1 AND source_uid = $2",
            [&](const sql::query& q) {
                found = true;
                totals.take(q.get<item_state>(0), q.get<std::uint64_t>(1));
                totals.add(state, q.get<std::uint64_t>(1));
            },
            folder, uid);
        if (!done) return done;
        if (!found) continue;
        auto changed = run(db_, "UPDATE message SET state = $1 WHERE folder = $2 AND source_uid = $3",
                           static_cast<int>(state), folder, uid);
        if (!changed) return pass_on(changed);
    }
    return add_to_totals(folder, totals);
}

std::unexpected<error> ledger_repository::no_such_folder(folder_id folder) {
    return fail(retry_class::local, phase::ledger, fmt::format("the ledger has no folder {}", folder));
}

} // namespace postferry::store
