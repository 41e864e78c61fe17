#include "store/credential_repository.hpp"

#include "store/detail/many_rows.hpp"

namespace postferry::store {

using detail::one;
using detail::pass_on;
using detail::run;
using detail::text;
using detail::word;

namespace {

constexpr std::string_view columns = "id, owner_kind, owner, purpose, key_id, sealed, updated";

credential read_credential(const sql::query& q) {
    const sql::octets sealed = q.blob(5);
    return {.id = q.get<record_id>(0),
            .key = {.kind = word<owner_kind>(q, 1), .owner = text(q, 2), .purpose = text(q, 3)},
            .key_id = text(q, 4),
            .sealed = {sealed.begin(), sealed.end()},
            .updated = q.get<unix_ms>(6)};
}

std::string select(std::string_view rest) { return fmt::format("SELECT {} FROM credential {}", columns, rest); }

} // namespace

result<void> credential_repository::put(const std::vector<credential>& all) {
    return detail::insert_rows(
        db_, "INSERT INTO credential (owner_kind, owner, purpose, key_id, sealed, updated) VALUES",
        " ON CONFLICT (owner_kind, owner, purpose) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, "
        "updated = excluded.updated",
        all,
        [](const credential& c, std::vector<sql::value>& values) {
            detail::put(values, name_of(c.key.kind), c.key.owner, c.key.purpose, c.key_id, c.sealed, c.updated);
        },
        [](const sql::query&) {});
}

result<std::optional<credential>> credential_repository::find(const credential_key& key) {
    return one(db_, select("WHERE owner_kind = $1 AND owner = $2 AND purpose = $3"), read_credential, name_of(key.kind),
               key.owner, key.purpose);
}

result<std::vector<credential>> credential_repository::of(owner_kind kind, const std::string& owner) {
    std::vector<credential> out;
    auto done = detail::each_row(
        db_, select("WHERE owner_kind = $1 AND owner = $2 ORDER BY purpose"),
        [&](const sql::query& q) { out.push_back(read_credential(q)); }, name_of(kind), owner);
    if (!done) return pass_on(done);
    return out;
}

result<std::vector<credential>> credential_repository::of(owner_kind kind, const std::vector<std::string>& owners) {
    std::vector<credential> out;
    auto done = detail::each_among(
        db_, select(""), "owner", owners, [&](const sql::query& q) { out.push_back(read_credential(q)); },
        fmt::format(" AND owner_kind = '{}'", name_of(kind)));
    if (!done) return pass_on(done);
    return out;
}

result<slice<credential>> credential_repository::not_sealed_with(const std::string& key_id, const paging& page) {
    detail::selection wanted(select(""));
    wanted.where("key_id <>", std::string_view(key_id));
    return wanted.page(db_, page, "id", read_credential);
}

result<bool> credential_repository::reseal(const credential& from, const credential& to) {
    auto done = run(db_, "UPDATE credential SET key_id = $1, sealed = $2 WHERE id = $3 AND sealed = $4", to.key_id,
                    to.sealed, from.id, from.sealed);
    if (!done) return pass_on(done);
    return *done > 0;
}

result<bool> credential_repository::remove(const credential_key& key) {
    auto gone = run(db_, "DELETE FROM credential WHERE owner_kind = $1 AND owner = $2 AND purpose = $3",
                    name_of(key.kind), key.owner, key.purpose);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

result<std::int64_t> credential_repository::remove_of(owner_kind kind, const std::string& owner) {
    return run(db_, "DELETE FROM credential WHERE owner_kind = $1 AND owner = $2", name_of(kind), owner);
}

result<std::int64_t> credential_repository::remove_of_batch(record_id batch) {
    return run(db_,
               "DELETE FROM credential WHERE owner_kind = 'migration' AND owner IN "
               "(SELECT CAST(id AS TEXT) FROM migration WHERE batch = $1)",
               batch);
}

result<std::vector<credential_repository::use>> credential_repository::keys_in_use() {
    std::vector<use> out;
    auto done = detail::each_row(
        db_, "SELECT key_id, count(*) FROM credential GROUP BY key_id ORDER BY key_id",
        [&](const sql::query& q) { out.push_back({.key_id = text(q, 0), .credentials = q.get<std::int64_t>(1)}); });
    if (!done) return pass_on(done);
    return out;
}

result<slice<record_id>> credential_repository::migrations_of_key(const std::string& key_id, const paging& page) {
    detail::selection wanted("SELECT m.id FROM migration m");
    wanted.where_with("EXISTS (SELECT 1 FROM credential c WHERE c.owner_kind = 'migration' AND c.owner = CAST(m.id AS "
                      "TEXT) AND c.key_id = {0})",
                      std::string_view(key_id));
    return wanted.page(db_, page, "m.id", [](const sql::query& q) { return q.get<record_id>(0); });
}

result<std::vector<seal_key>> credential_repository::keys() {
    std::vector<seal_key> out;
    auto done = detail::each_row(
        db_, "SELECT id, created, is_current FROM seal_key ORDER BY created, id", [&](const sql::query& q) {
            out.push_back({.id = text(q, 0), .created = q.get<unix_ms>(1), .current = q.get<bool>(2)});
        });
    if (!done) return pass_on(done);
    return out;
}

result<void> credential_repository::set_current(const std::string& key_id, unix_ms now) {
    auto others = run(db_, "UPDATE seal_key SET is_current = 0 WHERE id <> $1", key_id);
    if (!others) return pass_on(others);
    auto put = run(db_,
                   "INSERT INTO seal_key (id, created, is_current) VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET "
                   "is_current = 1",
                   key_id, now);
    if (!put) return pass_on(put);
    return {};
}

result<void> credential_repository::forget_key(const std::string& key_id) {
    auto gone = run(db_, "DELETE FROM seal_key WHERE id = $1", key_id);
    if (!gone) return pass_on(gone);
    return {};
}

} // namespace postferry::store
