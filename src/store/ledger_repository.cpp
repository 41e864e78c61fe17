#include "store/ledger_repository.hpp"

#include "store/detail/statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::run;
using transfer::item_state;

namespace {

std::unexpected<error> no_such_folder(folder_id folder) {
    return fail(retry_class::local, phase::ledger, fmt::format("the ledger has no folder {}", folder));
}

ledger_folder read_folder(const sql::query& q) {
    return {.id = q.get<folder_id>(0),
            .source_name = std::string(q.text(1)),
            .target_name = std::string(q.text(2)),
            .source_uid_validity = q.get<std::uint32_t>(3),
            .target_uid_validity = q.get<std::uint32_t>(4),
            .source_uid_next = q.get<std::uint32_t>(5),
            .source_messages = q.get<std::uint32_t>(6),
            .source_modseq = q.get<std::uint64_t>(7),
            .target_mark = q.get<std::uint32_t>(8),
            .complete = q.get<bool>(9),
            .subscribed = q.get<bool>(10),
            .flag_sets = {},
            .rows = {.copied = q.get<std::uint64_t>(11),
                     .present = q.get<std::uint64_t>(12),
                     .failed = q.get<std::uint64_t>(13),
                     .copied_octets = q.get<std::uint64_t>(14),
                     .present_octets = q.get<std::uint64_t>(15),
                     .failed_octets = q.get<std::uint64_t>(16)}};
}

constexpr std::string_view select_folders = "SELECT id, source_name, target_name, source_uid_validity, "
                                            "target_uid_validity, source_uid_next, source_messages, source_modseq, "
                                            "target_mark, complete, subscribed, copied, present, failed, "
                                            "copied_octets, present_octets, failed_octets FROM folder "
                                            "WHERE mailbox = $1 ORDER BY id";
constexpr std::string_view select_folder = "SELECT id, source_name, target_name, source_uid_validity, "
                                           "target_uid_validity, source_uid_next, source_messages, source_modseq, "
                                           "target_mark, complete, subscribed, copied, present, failed, copied_octets, "
                                           "present_octets, failed_octets FROM folder WHERE id = $1";
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

result<void> ledger_repository::probe() {
    return each_row(
        db_,
        "SELECT (SELECT max(id) FROM mailbox), (SELECT max(id) FROM folder), (SELECT max(folder) FROM flag_set), "
        "(SELECT max(folder) FROM message), (SELECT max(folder) FROM failure), (SELECT max(id) FROM named_folder), "
        "(SELECT max(named_folder) FROM name), (SELECT max(mailbox) FROM report), "
        "(SELECT max(hour) FROM traffic), (SELECT max(folder) FROM repaired)",
        [](const sql::query&) {});
}

result<std::optional<mailbox_id>> ledger_repository::find_mailbox(const std::string& source_key,
                                                                  const std::string& target_key) {
    std::optional<mailbox_id> found;
    auto done = each_row(
        db_, "SELECT id FROM mailbox WHERE source_key = $1 AND target_key = $2",
        [&](const sql::query& q) { found = q.get<mailbox_id>(0); }, source_key, target_key);
    if (!done) return pass_on(done);
    return found;
}

result<mailbox_id> ledger_repository::add_mailbox(const std::string& source_key, const std::string& target_key) {
    mailbox_id id = 0;
    auto done = each_row(
        db_, "INSERT INTO mailbox (source_key, target_key) VALUES ($1, $2) RETURNING id",
        [&](const sql::query& q) { id = q.get<mailbox_id>(0); }, source_key, target_key);
    if (!done) return pass_on(done);
    return id;
}

result<std::vector<ledger_folder>> ledger_repository::folders(mailbox_id mailbox) {
    std::vector<ledger_folder> all;
    auto done = each_row(db_, select_folders, [&](const sql::query& q) { all.push_back(read_folder(q)); }, mailbox);
    if (done) done = load_flag_sets(mailbox, all);
    if (!done) return pass_on(done);
    return all;
}

result<void> ledger_repository::load_flag_sets(mailbox_id mailbox, std::vector<ledger_folder>& folders) {
    auto at = folders.begin(); // both come by ascending folder
    return each_row(
        db_,
        "SELECT folder, flags FROM flag_set WHERE folder IN (SELECT id FROM folder WHERE mailbox = $1) ORDER BY "
        "folder, number",
        [&](const sql::query& q) {
            while (at != folders.end() && at->id < q.get<folder_id>(0)) ++at;
            if (at != folders.end()) at->flag_sets.emplace_back(q.text(1));
        },
        mailbox);
}

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

result<ledger_folder> ledger_repository::begin_folder(mailbox_id mailbox, const opened_folder& folder) {
    auto id = open_generation(mailbox, folder);
    if (!id) return pass_on(id);
    ledger_folder stored;
    auto done = each_row(db_, select_folder, [&](const sql::query& q) { stored = read_folder(q); }, *id);
    if (!done) return pass_on(done);
    done = each_row(
        db_, "SELECT flags FROM flag_set WHERE folder = $1 ORDER BY number",
        [&](const sql::query& q) { stored.flag_sets.emplace_back(q.text(0)); }, *id);
    if (!done) return pass_on(done);
    return stored;
}

result<folder_id> ledger_repository::open_generation(mailbox_id mailbox, const opened_folder& folder) {
    std::optional<folder_id> id;
    bool same = false;
    auto done = each_row(
        db_,
        "SELECT id, target_name, source_uid_validity, target_uid_validity FROM folder WHERE mailbox = $1 AND "
        "source_name = $2",
        [&](const sql::query& q) {
            id = q.get<folder_id>(0);
            same = q.text(1) == folder.target_name && q.get<std::uint32_t>(2) == folder.source_uid_validity &&
                   q.get<std::uint32_t>(3) == folder.target_uid_validity;
        },
        mailbox, folder.source_name);
    if (done && !id)
        done = each_row(
            db_,
            "INSERT INTO folder (mailbox, source_name, target_name, source_uid_validity, target_uid_validity, "
            "target_mark) "
            "VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            [&](const sql::query& q) { id = q.get<folder_id>(0); }, mailbox, folder.source_name, folder.target_name,
            folder.source_uid_validity, folder.target_uid_validity, folder.target_mark);
    else if (done && same) {
        auto updated =
            run(db_, "UPDATE folder SET target_mark = $1, complete = 0 WHERE id = $2", folder.target_mark, *id);
        if (!updated) return pass_on(updated);
    } else if (done)
        done = void_generation(*id, folder);
    if (!done) return pass_on(done);
    return *id;
}

result<void> ledger_repository::void_generation(folder_id id, const opened_folder& folder) {
    for (const std::string_view text :
         {"DELETE FROM message WHERE folder = $1", "DELETE FROM failure WHERE folder = $1",
          "DELETE FROM flag_set WHERE folder = $1", "DELETE FROM repaired WHERE folder = $1"}) {
        auto done = run(db_, text, id);
        if (!done) return pass_on(done);
    }
    auto done =
        run(db_,
            "UPDATE folder SET target_name = $1, source_uid_validity = $2, target_uid_validity = $3, target_mark = $4, "
            "source_uid_next = 0, source_messages = 0, source_modseq = 0, complete = 0, subscribed = 0, copied = 0, "
            "present = 0, "
            "failed = 0, copied_octets = 0, present_octets = 0, failed_octets = 0 WHERE id = $5",
            folder.target_name, folder.source_uid_validity, folder.target_uid_validity, folder.target_mark, id);
    if (!done) return pass_on(done);
    return {};
}

result<std::uint32_t> ledger_repository::flag_set(folder_id folder, const std::string& canonical) {
    std::optional<std::uint32_t> number;
    const auto read = [&](const sql::query& q) { number = q.get<std::uint32_t>(0); };
    auto done = each_row(db_, "SELECT number FROM flag_set WHERE folder = $1 AND flags = $2", read, folder, canonical);
    if (done && !number)
        done = each_row(db_,
                        "INSERT INTO flag_set (folder, number, flags) "
                        "SELECT id, (SELECT count(*) FROM flag_set WHERE folder = $1), $2 FROM folder WHERE id = $1 "
                        "RETURNING number",
                        read, folder, canonical);
    if (!done) return pass_on(done);
    if (!number) return no_such_folder(folder);
    return *number;
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

result<void> ledger_repository::keep_report(const transfer::kept_report& report) {
    // A verify may be the first that this ledger hears of the mailbox.
    auto known = find_mailbox(report.source_key, report.target_key);
    if (known && !*known) {
        auto added = add_mailbox(report.source_key, report.target_key);
        if (!added) return pass_on(added);
        *known = *added;
    }
    if (!known) return pass_on(known);
    return reports_.keep(**known, report);
}

result<void> ledger_repository::finish_folder(const ledger_folder& state) {
    auto done = run(db_,
                    "UPDATE folder SET source_uid_next = $1, source_messages = $2, source_modseq = $3, target_mark = "
                    "$4, complete = $5, "
                    "subscribed = $6 WHERE id = $7",
                    state.source_uid_next, state.source_messages, state.source_modseq, state.target_mark,
                    state.complete, state.subscribed, state.id);
    if (!done) return pass_on(done);
    if (*done == 0) return no_such_folder(state.id);
    return {};
}

} // namespace postferry::store
