#include "store/migration_repository.hpp"

#include "store/detail/many_rows.hpp"
#include "store/detail/migration_row.hpp"

#include <array>
#include <set>
#include <unordered_map>

namespace postferry::store {

using detail::one;
using detail::pass_on;
using detail::read_migration;
using detail::run;
using detail::select_migrations;
using detail::text;

namespace {

constexpr int highest_priority = 100;

/// What makes a mailbox one of its batch. A line end stands in none of the parts.
std::string place_of(record_id batch, std::string_view source_url, std::string_view source_user,
                     std::string_view target_url, std::string_view target_user) {
    return fmt::format("{}\n{}\n{}\n{}\n{}", batch, source_url, source_user, target_url, target_user);
}

std::string place_of(const migration& m) {
    return place_of(m.batch, m.source_url, m.source_user, m.target_url, m.target_user);
}

int bounded_priority(int priority) noexcept { return std::clamp(priority, -highest_priority, highest_priority); }

/// due and start moments are compared with NULL for "none": 0 must not become one.
std::optional<unix_ms> moment(std::optional<unix_ms> at) noexcept {
    if (at && *at <= 0) return 1;
    return at;
}

void fill(const migration& m, std::vector<sql::value>& values) {
    const message_counts& c = m.counts;
    detail::put(values, m.batch, m.account, m.source_url, m.target_url, m.source_user, m.target_user, m.source_server,
                m.target_server, m.ledger_mailbox, name_of(m.state), m.reason, m.reason_class, moment(m.until),
                m.throttled_by, bounded_priority(m.priority), m.next_pass, moment(m.due), c.messages_source,
                c.messages_copied, c.messages_present, c.messages_skipped, c.messages_failed, c.octets_source,
                c.octets_copied, m.grade, m.passes, m.since, m.queued_ms, m.running_ms, m.throttled_ms, m.stalled_ms,
                m.position, m.created, m.notify);
}

} // namespace

/// A filter, with what its conditions are views of.
struct migration_repository::search {
    /// Mailboxes that are found by their users, at either end, before others are asked for by walking.
    static constexpr std::size_t few = 2'000;

    migration_filter filter;
    std::string pattern = {};                         ///< of the user
    std::optional<std::vector<record_id>> among = {}; ///< those of the user, when they are few

    [[nodiscard]] bool in_parts() const noexcept { return filter.states.size() > 1 || filter.server; }
    [[nodiscard]] detail::selection select(std::string_view head) const {
        detail::selection wanted(head);
        if (filter.batch) wanted.where("m.batch =", *filter.batch);
        wanted.one_of("m.state", filter.states);
        if (filter.account) wanted.where("m.account =", *filter.account);
        if (filter.server)
            wanted.where_with("(m.source_server = {0} OR m.target_server = {0})", std::string_view(*filter.server));
        if (filter.grade) wanted.where("m.grade =", std::string_view(*filter.grade));
        if (among)
            wanted.any_of("m.id", *among);
        else if (!pattern.empty())
            wanted.where_with("(lower(m.source_user) LIKE lower({0}) ESCAPE '\\' OR lower(m.target_user) LIKE "
                              "lower({0}) ESCAPE '\\')",
                              std::string_view(pattern));
        return wanted;
    }
};

result<migration_repository::search> migration_repository::look_for(const migration_filter& filter) {
    search wanted{.filter = filter};
    if (!filter.user_contains.empty()) wanted.pattern = detail::containing(filter.user_contains);
    if (filter.user_begins.empty()) return wanted;
    wanted.pattern = detail::containing(filter.user_begins).substr(1);
    const std::string end = filter.user_begins + '\xff'; // behind all that begins so
    std::set<record_id> found;
    for (const std::string_view column : {"source_user", "target_user"}) {
        std::size_t rows = 0;
        auto done = detail::each_row(
            db_,
            fmt::format("SELECT id FROM migration WHERE lower({0}) >= lower($1) AND lower({0}) < lower($2) LIMIT {1}",
                        column, search::few + 1),
            [&](const sql::query& q) {
                ++rows;
                found.insert(q.get<record_id>(0));
            },
            filter.user_begins, end);
        if (!done) return pass_on(done);
        if (rows > search::few) return wanted;
    }
    wanted.among.emplace(found.begin(), found.end());
    return wanted;
}

result<std::vector<record_id>> migration_repository::add(const std::vector<migration>& mailboxes) {
    std::unordered_map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < mailboxes.size(); ++i) index.try_emplace(place_of(mailboxes[i]), i);
    std::vector<record_id> ids(mailboxes.size());
    auto done = detail::insert_rows(
        db_,
        fmt::format("INSERT INTO migration (batch, account, source_url, target_url, source_user, target_user, "
                    "source_server, target_server, ledger_mailbox, state, reason, reason_class, until, throttled_by, "
                    "priority, next_pass, due, {}, grade, passes, since, queued_ms, running_ms, throttled_ms, "
                    "stalled_ms, position, created, notify) VALUES",
                    detail::count_columns),
        " ON CONFLICT DO NOTHING RETURNING id, batch, source_url, source_user, target_url, target_user", mailboxes,
        fill, [&](const sql::query& q) {
            const auto at = index.find(place_of(q.get<record_id>(1), q.text(2), q.text(3), q.text(4), q.text(5)));
            if (at != index.end()) ids[at->second] = q.get<record_id>(0);
        });
    if (!done) return pass_on(done);
    std::vector<tally_change> tallies;
    for (std::size_t i = 0; i < mailboxes.size(); ++i) {
        const migration& m = mailboxes[i];
        if (ids[i] == 0) continue;
        tallies.push_back({.batch = m.batch, .state = m.state, .mailboxes = 1, .add = m.counts, .take = {}});
    }
    if (auto counted = batches_.count(tallies); !counted) return pass_on(counted);
    return ids;
}

result<std::optional<migration>> migration_repository::find(record_id id) {
    return one(db_, select_migrations("WHERE m.id = $1"), read_migration, id);
}

result<std::optional<migration>> migration_repository::lock(record_id id) {
    if (db_.dialect() == sql::dialect::sqlite) return find(id); // BEGIN IMMEDIATE has locked it all
    return one(db_, select_migrations("WHERE m.id = $1 FOR UPDATE"), read_migration, id);
}

result<std::vector<migration>> migration_repository::lock(std::vector<record_id> ids) {
    // In one order, whoever asks: two who want some of the same do not wait for each other crosswise.
    std::ranges::sort(ids);
    const auto repeated = std::ranges::unique(ids);
    ids.erase(repeated.begin(), repeated.end());
    std::vector<migration> found;
    auto done = detail::each_among(
        db_, select_migrations(""), "m.id", ids, [&](const sql::query& q) { found.push_back(read_migration(q)); },
        db_.dialect() == sql::dialect::postgresql ? " ORDER BY m.id FOR UPDATE" : " ORDER BY m.id");
    if (!done) return pass_on(done);
    return found;
}

result<std::optional<migration>> migration_repository::find_same(const migration& m) {
    return one(db_,
               select_migrations("WHERE m.batch = $1 AND m.source_url = $2 AND m.source_user = $3 AND "
                                 "m.target_url = $4 AND m.target_user = $5"),
               read_migration, m.batch, m.source_url, m.source_user, m.target_url, m.target_user);
}

result<std::vector<migration>> migration_repository::claim(record_id batch, unix_ms now, unix_ms until, int most) {
    detail::selection wanted(select_migrations(""));
    wanted.where("m.batch =", batch);
    wanted.where("m.state =", name_of(mailbox_state::queued));
    wanted.where("m.due <=", now);
    wanted.where("NOT EXISTS (SELECT 1 FROM lease l WHERE l.migration = m.id)");
    std::vector<migration> found;
    auto done = wanted.rows(
        db_, [&](const sql::query& q) { found.push_back(read_migration(q)); },
        fmt::format(" ORDER BY m.id LIMIT {}{}", most,
                    db_.dialect() == sql::dialect::postgresql ? " FOR UPDATE OF m SKIP LOCKED" : ""));
    if (!done) return pass_on(done);
    for (migration& m : found) m.due = until;
    static constexpr std::array columns{detail::typed_column{"id", "BIGINT"}, detail::typed_column{"due", "BIGINT"}};
    done = detail::update_rows(
        db_, "migration", columns, "", found,
        [](const migration& m, std::vector<sql::value>& values) { detail::put(values, m.id, m.due); });
    if (!done) return pass_on(done);
    return found;
}

bool migration_repository::asks_once(const migration_filter& filter) noexcept {
    return filter.states.size() <= 1 && !filter.server && filter.user_begins.empty();
}

result<slice<migration>> migration_repository::list(const migration_filter& filter, const paging& page) {
    auto looked = look_for(filter);
    if (!looked) return pass_on(looked);
    if (looked->in_parts()) {
        auto ids = merged_ids(*looked, page);
        if (!ids) return pass_on(ids);
        detail::selection wanted(select_migrations(""));
        wanted.any_of("m.id", ids->rows);
        slice<migration> out{.rows = {}, .more = ids->more};
        auto done = wanted.rows(db_, [&](const sql::query& q) { out.rows.push_back(read_migration(q)); });
        if (!done) return pass_on(done);
        std::ranges::sort(out.rows, {}, &migration::id);
        if (page.newest_first) std::ranges::reverse(out.rows);
        return out;
    }
    return looked->select(select_migrations("")).page(db_, page, "m.id", read_migration);
}

result<migration_repository::page_end> migration_repository::each(const migration_filter& filter, const paging& page,
                                                                  const std::function<void(const migration&)>& each) {
    if (!asks_once(filter)) {
        auto found = list(filter, page);
        if (!found) return pass_on(found);
        for (const migration& m : found->rows) each(m);
        return page_end{.last = found->rows.empty() ? 0 : found->rows.back().id, .more = found->more};
    }
    auto looked = look_for(filter);
    if (!looked) return pass_on(looked);
    migration m;
    auto more = looked->select(select_migrations("")).each_of_page(db_, page, "m.id", [&](const sql::query& q) {
        detail::read_migration_into(m, q);
        each(m);
    });
    if (!more) return pass_on(more);
    return page_end{.last = m.id, .more = *more};
}

result<slice<record_id>> migration_repository::merged_ids(const search& looked, const paging& page) {
    const migration_filter& filter = looked.filter;
    std::set<record_id> all;
    const auto add = [&](mailbox_states states, std::string_view server_column) -> result<void> {
        search one = looked;
        one.filter.states = states;
        one.filter.server.reset();
        auto wanted = one.select("SELECT m.id FROM migration AS m");
        if (!server_column.empty()) wanted.where(server_column, std::string_view(*filter.server));
        paging some = page;
        some.limit = std::clamp(page.limit, 1, paging::max_limit - 1) + 1;
        auto found = wanted.page(db_, some, "m.id", [](const sql::query& q) { return q.get<record_id>(0); });
        if (!found) return pass_on(found);
        all.insert(found->rows.begin(), found->rows.end());
        return {};
    };
    result<void> done;
    const auto of_states = [&](mailbox_states states) {
        if (!filter.server) done = add(states, "");
        if (filter.server) done = add(states, "m.source_server =");
        if (done && filter.server) done = add(states, "m.target_server =");
    };
    if (filter.server)
        of_states(filter.states);
    else
        filter.states.each([&](mailbox_state s) {
            if (done) of_states({s});
        });
    if (!done) return pass_on(done);
    slice<record_id> out{.rows = {all.begin(), all.end()}};
    if (page.newest_first) std::ranges::reverse(out.rows);
    const auto limit = static_cast<std::size_t>(std::clamp(page.limit, 1, paging::max_limit - 1));
    out.more = out.rows.size() > limit;
    if (out.more) out.rows.resize(limit);
    return out;
}

result<slice<record_id>> migration_repository::ids(const migration_filter& filter, const paging& page) {
    auto looked = look_for(filter);
    if (!looked) return pass_on(looked);
    if (looked->in_parts()) return merged_ids(*looked, page);
    return looked->select("SELECT m.id FROM migration AS m").page(db_, page, "m.id", [](const sql::query& q) {
        return q.get<record_id>(0);
    });
}

result<migration> migration_repository::update(const migration& m) {
    auto same = detail::number(db_,
                               "SELECT id FROM migration WHERE batch = $1 AND source_url = $2 AND source_user = $3 AND "
                               "target_url = $4 AND target_user = $5",
                               m.batch, m.source_url, m.source_user, m.target_url, m.target_user);
    if (!same) return pass_on(same);
    if (*same != 0 && *same != m.id)
        return refusal::refuse(refusal::duplicate, "the batch has a mailbox of these two places already");
    auto done =
        run(db_,
            "UPDATE migration SET account = $1, source_url = $2, target_url = $3, source_user = $4, "
            "target_user = $5, source_server = $6, target_server = $7, priority = $8, next_pass = $9, version = "
            "version + 1 WHERE id = $10 AND version = $11",
            m.account, m.source_url, m.target_url, m.source_user, m.target_user, m.source_server, m.target_server,
            bounded_priority(m.priority), m.next_pass, m.id, m.version);
    if (!done) return pass_on(done);
    if (*done == 0)
        return detail::missing_or_changed(db_, "mailbox", "SELECT count(*) FROM migration WHERE id = $1", m.id);
    return detail::or_refuse(find(m.id), refusal::missing, "there is no such mailbox");
}

namespace {

result<void> must_change(result<std::int64_t> changed) {
    if (!changed) return pass_on(changed);
    if (*changed == 0) return refusal::refuse(refusal::missing, "there is no such mailbox");
    return {};
}

} // namespace

result<void> migration_repository::set_priority(record_id id, int priority) {
    return must_change(run(db_, "UPDATE migration SET priority = $1, version = version + 1 WHERE id = $2",
                           bounded_priority(priority), id));
}

result<void> migration_repository::set_due(record_id id, std::optional<unix_ms> due, const std::string& next_pass) {
    return must_change(run(db_, "UPDATE migration SET due = $1, next_pass = $2, version = version + 1 WHERE id = $3",
                           moment(due), next_pass, id));
}

result<void> migration_repository::set_due(const std::vector<next_turn>& all) {
    static constexpr std::array columns{detail::typed_column{"id", "BIGINT"}, detail::typed_column{"due", "BIGINT"},
                                        detail::typed_column{"next_pass", "TEXT"}};
    return detail::update_rows(db_, "migration", columns, "version = version + 1, ", all,
                               [](const next_turn& one, std::vector<sql::value>& values) {
                                   detail::put(values, one.mailbox, moment(one.due), one.next_pass);
                               });
}

result<std::string> migration_repository::aliases_sought(record_id id) {
    auto word = one(
        db_, "SELECT aliases_sought FROM migration WHERE id = $1", [](const sql::query& q) { return text(q, 0); }, id);
    if (!word) return pass_on(word);
    return word->value_or("");
}

result<void> migration_repository::set_aliases_sought(record_id id, const std::string& depth) {
    return must_change(run(db_, "UPDATE migration SET aliases_sought = $1 WHERE id = $2", depth, id));
}

result<bool> migration_repository::has_target_user(const std::string& user) {
    auto id = detail::number(db_, "SELECT id FROM migration WHERE lower(target_user) = lower($1) LIMIT 1", user);
    if (!id) return pass_on(id);
    return *id != 0;
}

result<void> migration_repository::set_ledger_mailbox(record_id id, std::int64_t ledger_mailbox) {
    return must_change(run(db_, "UPDATE migration SET ledger_mailbox = $1 WHERE id = $2", ledger_mailbox, id));
}

result<void> migration_repository::set_counts(record_id id, const message_counts& counts) {
    auto before = lock(id);
    if (!before) return pass_on(before);
    if (!*before) return refusal::refuse(refusal::missing, "there is no such mailbox");
    if ((*before)->counts == counts) return {};
    auto done = run(db_,
                    "UPDATE migration SET messages_source = $1, messages_copied = $2, messages_present = $3, "
                    "messages_skipped = $4, messages_failed = $5, octets_source = $6, octets_copied = $7 WHERE id = $8",
                    counts.messages_source, counts.messages_copied, counts.messages_present, counts.messages_skipped,
                    counts.messages_failed, counts.octets_source, counts.octets_copied, id);
    if (!done) return pass_on(done);
    return batches_.count({{.batch = (*before)->batch,
                            .state = (*before)->state,
                            .mailboxes = 0,
                            .add = counts,
                            .take = (*before)->counts}});
}

result<void> migration_repository::add_pass(record_id id, const std::string& grade) {
    return must_change(run(
        db_, "UPDATE migration SET passes = passes + 1, grade = $1, version = version + 1 WHERE id = $2", grade, id));
}

result<void> migration_repository::refresh_statistics() {
    if (db_.dialect() == sql::dialect::sqlite) return {}; // goes by its indexes
    return db_.script("ANALYZE migration");
}

result<void> migration_repository::remove(record_id id) {
    auto m = lock(id);
    if (!m) return pass_on(m);
    if (!*m) return refusal::refuse(refusal::missing, "there is no such mailbox");
    auto leases = detail::number(db_, "SELECT count(*) FROM lease WHERE migration = $1", id);
    if (!leases) return pass_on(leases);
    if (*leases > 0) return refusal::refuse(refusal::conflict, "a worker is at work on the mailbox", "Cancel it first");
    for (const std::string_view sql :
         {"DELETE FROM pass WHERE migration = $1", "DELETE FROM log WHERE migration = $1",
          "DELETE FROM waiver WHERE migration = $1", "DELETE FROM migration WHERE id = $1"})
        if (auto gone = run(db_, sql, id); !gone) return pass_on(gone);
    auto gone = run(db_, "DELETE FROM credential WHERE owner_kind = 'migration' AND owner = $1", std::to_string(id));
    if (!gone) return pass_on(gone);
    return batches_.count(
        {{.batch = (*m)->batch, .state = (*m)->state, .mailboxes = -1, .add = {}, .take = (*m)->counts}});
}

result<slice<migration_repository::stray>> migration_repository::strays(const paging& page) {
    detail::selection wanted(
        "SELECT b.id, b.source_key, b.target_key, "
        "COALESCE((SELECT r.pass FROM report r WHERE r.mailbox = b.id ORDER BY r.ended DESC, r.pass LIMIT 1), ''), "
        "COALESCE((SELECT max(r.ended) FROM report r WHERE r.mailbox = b.id), '') FROM mailbox b");
    wanted.where("NOT EXISTS (SELECT 1 FROM migration m WHERE m.ledger_mailbox = b.id)");
    return wanted.page(db_, page, "b.id", [](const sql::query& q) {
        return stray{.ledger_mailbox = q.get<std::int64_t>(0),
                     .source_key = text(q, 1),
                     .target_key = text(q, 2),
                     .last_pass = text(q, 3),
                     .last_ended = text(q, 4)};
    });
}

} // namespace postferry::store
