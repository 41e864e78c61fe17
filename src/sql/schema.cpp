#include "sql/schema.hpp"

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

result<void> take_step(connection& db, const schema& wanted, int to_version) {
    auto done = db.begin(durability::ordered);
    if (done) done = db.script(wanted.steps[static_cast<std::size_t>(to_version - 1)]);
    if (done) done = db.write_schema_mark(wanted.application, to_version);
    if (done) done = db.commit();
    if (!done) db.rollback();
    return done;
}

} // namespace

result<void> migrate(connection& db, const schema& wanted) {
    auto mark = db.read_schema_mark();
    if (!mark) return std::unexpected(std::move(mark.error()));
    for (int version = mark->version + 1; version <= wanted.version(); ++version) {
        auto done = take_step(db, wanted, version);
        if (!done) return done;
    }
    return {};
}

} // namespace postferry::sql
