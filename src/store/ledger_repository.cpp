// Mailboxes and folders; their messages are in ledger_messages.cpp.
#include "store/ledger_repository.hpp"

#include "store/detail/statements.hpp"

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::run;

namespace {

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

} // namespace

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
