#include "sql/schema.hpp"

#include <fmt/format.h>

namespace postferry::sql {

result<schema_fit> inspect(connection& db, const schema& wanted) {
    auto mark = db.read_schema_mark();
    if (!mark) return std::unexpected(std::move(mark.error()));
    if (mark->empty && (mark->application == 0 || mark->application == wanted.application) && mark->version == 0)
        return schema_fit::empty;
    if (mark->application != wanted.application) return schema_fit::foreign;
    if (mark->version == wanted.version()) return schema_fit::current;
    return mark->version < wanted.version() ? schema_fit::older : schema_fit::newer;
}

namespace {

result<void> add_column(connection& db, const schema_step::column& wanted) {
    // SQLite has no ADD COLUMN IF NOT EXISTS.
    auto q = db.prepare(spelling{.sqlite = "SELECT count(*) FROM pragma_table_info($1) WHERE name = $2",
                                 .postgresql = "SELECT count(*) FROM information_schema.columns WHERE table_schema = "
                                               "current_schema() AND table_name = $1 AND column_name = $2"}
                            .in(db.dialect()));
    if (!q) return std::unexpected(std::move(q.error()));
    auto row = q->first(wanted.table, wanted.name);
    if (!row) return std::unexpected(std::move(row.error()));
    if (q->get<int>(0) > 0) return {};
    while (row && *row) row = q->next(); // a statement that is not at its end locks the table
    if (!row) return std::unexpected(std::move(row.error()));
    return db.script(
        fmt::format("ALTER TABLE {} ADD COLUMN {} {}", wanted.table, wanted.name, wanted.type.in(db.dialect())));
}

result<void> make(connection& db, const schema_step& step) {
    for (const schema_step::column& wanted : step.columns)
        if (auto added = add_column(db, wanted); !added) return added;
    return db.script(step.in(db.dialect()));
}

/// One step up from what is there, which another process may have moved since anybody looked. The version reached.
result<int> next_version(connection& db, const schema& wanted) {
    if (auto locked = db.lock_schema(); !locked) return std::unexpected(std::move(locked.error()));
    auto mark = db.read_schema_mark();
    if (!mark) return std::unexpected(std::move(mark.error()));
    if (mark->version >= wanted.version()) return mark->version;
    auto done = make(db, wanted.steps[static_cast<std::size_t>(mark->version)]);
    if (done) done = db.write_schema_mark(wanted.application, mark->version + 1);
    if (!done) return std::unexpected(std::move(done.error()));
    return mark->version + 1;
}

result<int> take_step(connection& db, const schema& wanted) {
    auto begun = db.begin(durability::ordered);
    if (!begun) return std::unexpected(std::move(begun.error()));
    auto version = next_version(db, wanted);
    if (version) {
        auto committed = db.commit();
        if (!committed) version = std::unexpected(std::move(committed.error()));
    }
    if (!version) db.rollback();
    return version;
}

} // namespace

result<void> migrate(connection& db, const schema& wanted) {
    auto mark = db.read_schema_mark();
    if (!mark) return std::unexpected(std::move(mark.error()));
    for (int version = mark->version; version < wanted.version();) {
        auto reached = take_step(db, wanted);
        if (!reached) return std::unexpected(std::move(reached.error()));
        version = *reached;
    }
    return {};
}

} // namespace postferry::sql
