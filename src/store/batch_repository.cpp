#include "store/batch_repository.hpp"

#include "store/detail/counts.hpp"
#include "store/detail/rows.hpp"

#include <array>
#include <functional>

namespace postferry::store {

using detail::one;
using detail::pass_on;
using detail::run;
using detail::text;
using detail::word;

namespace {

constexpr std::string_view columns = "id, project, name, state, mode, settings, start_at, created, created_by, version";

batch read_batch(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .project = q.get<record_id>(1),
            .name = text(q, 2),
            .state = word<batch_state>(q, 3),
            .mode = word<batch_mode>(q, 4),
            .settings = text(q, 5),
            .start_at = detail::optional_number<unix_ms>(q, 6),
            .created = q.get<unix_ms>(7),
            .created_by = text(q, 8),
            .version = q.get<row_version>(9)};
}

std::string select(std::string_view rest) { return fmt::format("SELECT {} FROM batch {}", columns, rest); }

std::int64_t difference(std::uint64_t a, std::uint64_t b) noexcept {
    return static_cast<std::int64_t>(a) - static_cast<std::int64_t>(b);
}

} // namespace

result<batch> batch_repository::add(const batch& b) {
    return detail::or_refuse(
        one(db_,
            fmt::format("INSERT INTO batch (project, name, state, mode, settings, start_at, created, created_by) "
                        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING {}",
                        columns),
            read_batch, b.project, b.name, name_of(b.state), name_of(b.mode), b.settings, b.start_at, b.created,
            b.created_by),
        refusal::duplicate, fmt::format("there is a batch \"{}\" already", b.name));
}

result<std::optional<batch>> batch_repository::find(record_id id) {
    return one(db_, select("WHERE id = $1"), read_batch, id);
}

result<std::optional<batch>> batch_repository::find(record_id project, const std::string& name) {
    return one(db_, select("WHERE project = $1 AND name = $2"), read_batch, project, name);
}

result<std::optional<batch>> batch_repository::hold(record_id id) {
    const bool rows = db_.dialect() == sql::dialect::postgresql; // with SQLite nobody else writes
    return one(db_, select(rows ? "WHERE id = $1 FOR SHARE" : "WHERE id = $1"), read_batch, id);
}

result<slice<batch>> batch_repository::list(const batch_filter& filter, const paging& page) {
    detail::selection wanted(select(""));
    if (filter.project) wanted.where("project =", *filter.project);
    wanted.one_of("state", filter.states);
    if (filter.states.empty() && !filter.archived_too) wanted.where("state <>", name_of(batch_state::archived));
    const std::string pattern = detail::containing(filter.name_contains);
    if (!filter.name_contains.empty())
        wanted.where_with("lower(name) LIKE lower({0}) ESCAPE '\\'", std::string_view(pattern));
    return wanted.page(db_, page, "id", read_batch);
}

result<batch> batch_repository::update(const batch& b) {
    // The name may be another's: asked first, because a constraint that fails would end PostgreSQL's transaction.
    auto namesake = find(b.project, b.name);
    if (!namesake) return pass_on(namesake);
    if (*namesake && (*namesake)->id != b.id)
        return refusal::refuse(refusal::duplicate, fmt::format("there is a batch \"{}\" already", b.name));
    auto stored = one(db_,
                      fmt::format("UPDATE batch SET name = $1, mode = $2, settings = $3, start_at = $4, version = "
                                  "version + 1 WHERE id = $5 AND version = $6 RETURNING {}",
                                  columns),
                      read_batch, b.name, name_of(b.mode), b.settings, b.start_at, b.id, b.version);
    if (!stored) return pass_on(stored);
    if (!*stored) return detail::missing_or_changed(db_, "batch", "SELECT count(*) FROM batch WHERE id = $1", b.id);
    return std::move(**stored);
}

result<std::vector<batch_tally>> batch_repository::tally(record_id batch) {
    auto all = tallies({batch});
    if (!all) return pass_on(all);
    return std::move((*all)[batch]);
}

result<std::map<record_id, std::vector<batch_tally>>> batch_repository::tallies(const std::vector<record_id>& batches) {
    std::map<record_id, std::vector<batch_tally>> out;
    // Casts: PostgreSQL's sums of BIGINT are NUMERIC.
    detail::selection wanted(
        "SELECT batch, state, CAST(sum(mailboxes) AS BIGINT), CAST(sum(messages_source) AS BIGINT), "
        "CAST(sum(messages_copied) AS BIGINT), CAST(sum(messages_present) AS BIGINT), "
        "CAST(sum(messages_skipped) AS BIGINT), CAST(sum(messages_failed) AS BIGINT), "
        "CAST(sum(octets_source) AS BIGINT), CAST(sum(octets_copied) AS BIGINT) FROM batch_tally");
    wanted.any_of("batch", batches);
    auto done = wanted.rows(
        db_,
        [&](const sql::query& q) {
            out[q.get<record_id>(0)].push_back({.state = word<mailbox_state>(q, 1),
                                                .mailboxes = q.get<std::uint64_t>(2),
                                                .counts = detail::read_counts(q, 3)});
        },
        " GROUP BY batch, state HAVING sum(mailboxes) <> 0");
    if (!done) return pass_on(done);
    for (auto& [_, lines] : out) std::ranges::sort(lines, {}, &batch_tally::state);
    return out;
}

result<std::map<record_id, std::string>> batch_repository::worst_grades(const std::vector<record_id>& batches) {
    std::map<record_id, std::string> out;
    // Four looks into an index for each, however many mailboxes there are: ordered as it is, because a planner that
    // knows only how common a grade is would rather read the table until it meets one.
    std::string looks;
    for (const std::string_view grade : {"poor", "investigate", "good", "perfect"})
        looks += fmt::format("(SELECT m.grade FROM migration m WHERE m.batch = b.id AND m.grade >= '{0}' AND m.grade < "
                             "'{0}~' ORDER BY m.grade, m.id LIMIT 1), ",
                             grade);
    detail::selection wanted(fmt::format("SELECT b.id, COALESCE({}'') FROM batch b", looks));
    wanted.any_of("b.id", batches);
    auto done = wanted.rows(db_, [&](const sql::query& q) { out[q.get<record_id>(0)] = text(q, 1); });
    if (!done) return pass_on(done);
    return out;
}

result<void> batch_repository::remove(record_id id, row_version from) {
    // The row first: whoever adds a mailbox at this moment keeps it (keep()), and is waited for.
    auto gone = run(db_, "DELETE FROM batch WHERE id = $1 AND version = $2", id, from);
    if (!gone) return pass_on(gone);
    if (*gone == 0) return detail::missing_or_changed(db_, "batch", "SELECT count(*) FROM batch WHERE id = $1", id);
    auto inside = detail::number(db_, "SELECT count(*) FROM migration WHERE batch = $1", id);
    if (!inside) return pass_on(inside);
    if (*inside > 0) return refusal::refuse(refusal::not_allowed, "the batch has mailboxes");
    for (const std::string_view sql : {"DELETE FROM batch_tally WHERE batch = $1", "DELETE FROM log WHERE batch = $1"})
        if (auto done = run(db_, sql, id); !done) return pass_on(done);
    return {};
}

result<void> batch_repository::count(const std::vector<tally_change>& changes) {
    using line = std::pair<std::pair<record_id, std::string_view>, std::array<std::int64_t, 8>>;
    std::map<line::first_type, line::second_type> sums;
    for (const tally_change& c : changes) {
        const message_counts &a = c.add, &t = c.take;
        const line::second_type one{c.mailboxes,
                                    difference(a.messages_source, t.messages_source),
                                    difference(a.messages_copied, t.messages_copied),
                                    difference(a.messages_present, t.messages_present),
                                    difference(a.messages_skipped, t.messages_skipped),
                                    difference(a.messages_failed, t.messages_failed),
                                    difference(a.octets_source, t.octets_source),
                                    difference(a.octets_copied, t.octets_copied)};
        line::second_type& sum = sums[{c.batch, name_of(c.state)}];
        std::ranges::transform(sum, one, sum.begin(), std::plus{});
    }
    return detail::insert_rows(
        db_, fmt::format("INSERT INTO batch_tally (batch, state, shard, mailboxes, {}) VALUES", detail::count_columns),
        " ON CONFLICT (batch, state, shard) DO UPDATE SET "
        "mailboxes = batch_tally.mailboxes + excluded.mailboxes, "
        "messages_source = batch_tally.messages_source + excluded.messages_source, "
        "messages_copied = batch_tally.messages_copied + excluded.messages_copied, "
        "messages_present = batch_tally.messages_present + excluded.messages_present, "
        "messages_skipped = batch_tally.messages_skipped + excluded.messages_skipped, "
        "messages_failed = batch_tally.messages_failed + excluded.messages_failed, "
        "octets_source = batch_tally.octets_source + excluded.octets_source, "
        "octets_copied = batch_tally.octets_copied + excluded.octets_copied",
        std::vector<line>(sums.begin(), sums.end()),
        [this](const line& l, std::vector<sql::value>& values) {
            detail::put(values, l.first.first, l.first.second, shard_);
            for (const std::int64_t n : l.second) values.emplace_back(n);
        },
        [](const sql::query&) {});
}

result<void> batch_repository::set_state(record_id id, batch_state state) {
    auto done = run(db_, "UPDATE batch SET state = $1, version = version + 1 WHERE id = $2", name_of(state), id);
    if (!done) return pass_on(done);
    return {};
}

result<std::optional<batch>> batch_repository::keep(record_id id) {
    if (db_.dialect() == sql::dialect::sqlite) return find(id); // BEGIN IMMEDIATE has locked it all
    return one(db_, select("WHERE id = $1 FOR SHARE"), read_batch, id);
}

result<std::optional<batch>> batch_repository::lock(record_id id) {
    if (db_.dialect() == sql::dialect::sqlite) return find(id); // BEGIN IMMEDIATE has locked it all
    return one(db_, select("WHERE id = $1 FOR UPDATE"), read_batch, id);
}

} // namespace postferry::store
