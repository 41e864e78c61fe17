#include "store/people_repository.hpp"

#include "store/detail/rows.hpp"
#include "store/tables.hpp"

namespace postferry::store {

using detail::one;
using detail::optional_number;
using detail::pass_on;
using detail::run;
using detail::selection;
using detail::text;
using detail::word;

namespace {

constexpr std::string_view person_columns = "id, name, display, role, password, created, disabled, version";

person read_person_from(const sql::query& q, int first) {
    return {.id = q.get<record_id>(first),
            .name = text(q, first + 1),
            .display = text(q, first + 2),
            .role = word<person_role>(q, first + 3),
            .password = text(q, first + 4),
            .created = q.get<unix_ms>(first + 5),
            .disabled = q.get<bool>(first + 6),
            .version = q.get<row_version>(first + 7)};
}

person read_person(const sql::query& q) { return read_person_from(q, 0); }

std::string select_people(std::string_view rest) {
    return fmt::format("SELECT {} FROM person {}", person_columns, rest);
}

constexpr std::string_view session_columns = "hash, person, csrf, created, seen, expires, address, agent";

session read_session(const sql::query& q) {
    return {.hash = text(q, 0),
            .person = q.get<record_id>(1),
            .csrf = text(q, 2),
            .created = q.get<unix_ms>(3),
            .seen = q.get<unix_ms>(4),
            .expires = q.get<unix_ms>(5),
            .address = text(q, 6),
            .agent = text(q, 7)};
}

constexpr std::string_view token_columns = "id, person, name, hash, scopes, created, expires, used";

api_token read_token(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .person = q.get<record_id>(1),
            .name = text(q, 2),
            .hash = text(q, 3),
            .scopes = text(q, 4),
            .created = q.get<unix_ms>(5),
            .expires = optional_number<unix_ms>(q, 6),
            .used = optional_number<unix_ms>(q, 7)};
}

/// "a, b" as "x.a, x.b".
std::string of_table(char table, std::string_view columns) {
    std::string out;
    for (const char c : columns) {
        if (out.empty() || out.back() == ' ') out += {table, '.'};
        out += c;
    }
    return out;
}

/// A row of a table of eight columns with its person and the moment.
template <class Read>
auto with_person(sql::connection& db, std::string_view table, std::string_view columns, const std::string& hash,
                 Read read) {
    const auto sql =
        fmt::format("SELECT {}, {}, {} FROM {} h JOIN person p ON p.id = h.person WHERE h.hash = $1",
                    of_table('h', columns), of_table('p', person_columns), tables::moment.in(db.dialect()), table);
    return one(
        db, sql,
        [&](const sql::query& q) {
            return held_by<std::invoke_result_t<Read&, const sql::query&>>{
                .row = read(q), .person = read_person_from(q, 8), .told = q.get<unix_ms>(16)};
        },
        hash);
}

/// The outcome of a statement that matters only when it fails.
result<void> done(const result<std::int64_t>& outcome) {
    if (!outcome) return std::unexpected(outcome.error());
    return {};
}

} // namespace

result<person> people_repository::add(const person& p) {
    return detail::or_refuse(
        one(db_,
            fmt::format("INSERT INTO person (name, display, role, password, created, disabled) VALUES ($1, $2, $3, $4, "
                        "$5, $6) ON CONFLICT DO NOTHING RETURNING {}",
                        person_columns),
            read_person, p.name, p.display, name_of(p.role), p.password, p.created, p.disabled),
        refusal::duplicate, fmt::format("there is a user \"{}\" already", p.name));
}

result<std::optional<person>> people_repository::find(record_id id) {
    return one(db_, select_people("WHERE id = $1"), read_person, id);
}

result<std::optional<person>> people_repository::find(const std::string& name) {
    return one(db_, select_people("WHERE name = $1"), read_person, name);
}

result<slice<person>> people_repository::list(const paging& page) {
    return selection(select_people("")).page(db_, page, "id", read_person);
}

result<std::int64_t> people_repository::owners() {
    return detail::number(db_, "SELECT count(*) FROM person WHERE role = 'owner' AND disabled = 0");
}

/// Two owners who disable each other at once would lock everybody out: the rows are held until the transaction ends.
result<void> people_repository::keep_an_owner(record_id without) {
    std::int64_t left = 0;
    const std::string_view held = db_.dialect() == sql::dialect::postgresql ? " FOR UPDATE" : "";
    auto all = detail::each_row(
        db_, fmt::format("SELECT id FROM person WHERE role = 'owner' AND disabled = 0 ORDER BY id{}", held),
        [&](const sql::query& q) { left += q.get<record_id>(0) == without ? 0 : 1; });
    if (!all) return all;
    if (left == 0)
        return refusal::refuse(refusal::conflict, "this is the last owner", "Make somebody else an owner first");
    return {};
}

result<person> people_repository::update(const person& p) {
    auto before = find(p.id);
    if (!before) return pass_on(before);
    if (!*before) return refusal::refuse(refusal::missing, "there is no such user");
    const bool was_owner = (*before)->role == person_role::owner && !(*before)->disabled;
    if (was_owner && (p.role != person_role::owner || p.disabled))
        if (auto kept = keep_an_owner(p.id); !kept) return pass_on(kept);
    auto stored = one(db_,
                      fmt::format("UPDATE person SET display = $1, role = $2, password = $3, disabled = $4, version = "
                                  "version + 1 WHERE id = $5 AND version = $6 RETURNING {}",
                                  person_columns),
                      read_person, p.display, name_of(p.role), p.password, p.disabled, p.id, p.version);
    if (!stored) return pass_on(stored);
    if (!*stored) return detail::missing_or_changed(db_, "user", "SELECT count(*) FROM person WHERE id = $1", p.id);
    return std::move(**stored);
}

result<void> people_repository::remove(record_id id, row_version from) {
    auto before = find(id);
    if (!before) return pass_on(before);
    if (!*before) return refusal::refuse(refusal::missing, "there is no such user");
    if ((*before)->role == person_role::owner && !(*before)->disabled)
        if (auto kept = keep_an_owner(id); !kept) return kept;
    auto gone = run(db_, "DELETE FROM person WHERE id = $1 AND version = $2", id, from);
    if (!gone) return pass_on(gone);
    if (*gone == 0) return detail::missing_or_changed(db_, "user", "SELECT count(*) FROM person WHERE id = $1", id);
    auto sessions = remove_sessions_of(id);
    if (!sessions) return sessions;
    return done(run(db_, "DELETE FROM token WHERE person = $1", id));
}

result<void> people_repository::add(const session& s) {
    return done(run(db_,
                    "INSERT INTO session (hash, person, csrf, created, seen, expires, address, agent) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    s.hash, s.person, s.csrf, s.created, s.seen, s.expires, s.address, s.agent));
}

result<std::optional<held_by<session>>> people_repository::find_session(const std::string& hash) {
    return with_person(db_, "session", session_columns, hash, read_session);
}

result<std::vector<session>> people_repository::sessions_of(record_id person) {
    std::vector<session> out;
    auto read = detail::each_row(
        db_, fmt::format("SELECT {} FROM session WHERE person = $1 ORDER BY created, hash", session_columns),
        [&](const sql::query& q) { out.push_back(read_session(q)); }, person);
    if (!read) return pass_on(read);
    return out;
}

result<void> people_repository::touch_session(const std::string& hash, unix_ms seen, unix_ms expires) {
    return done(run(db_, "UPDATE session SET seen = $1, expires = $2 WHERE hash = $3", seen, expires, hash));
}

result<bool> people_repository::remove_session(const std::string& hash) {
    auto gone = run(db_, "DELETE FROM session WHERE hash = $1", hash);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

result<void> people_repository::remove_sessions_of(record_id person) {
    return done(run(db_, "DELETE FROM session WHERE person = $1", person));
}

result<std::int64_t> people_repository::remove_expired_sessions(unix_ms now) {
    return run(db_, "DELETE FROM session WHERE expires <= $1", now);
}

result<api_token> people_repository::add(const api_token& t) {
    return detail::or_refuse(one(db_,
                                 fmt::format("INSERT INTO token (person, name, hash, scopes, created, expires) VALUES "
                                             "($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING {}",
                                             token_columns),
                                 read_token, t.person, t.name, t.hash, t.scopes, t.created, t.expires),
                             refusal::duplicate, "there is such a token already");
}

result<std::optional<held_by<api_token>>> people_repository::find_token(const std::string& hash) {
    return with_person(db_, "token", token_columns, hash, read_token);
}

result<slice<api_token>> people_repository::tokens(std::optional<record_id> person, const paging& page) {
    selection wanted(fmt::format("SELECT {} FROM token", token_columns));
    if (person) wanted.where("person =", *person);
    return wanted.page(db_, page, "id", read_token);
}

result<void> people_repository::touch_token(record_id id, unix_ms used) {
    return done(run(db_, "UPDATE token SET used = $1 WHERE id = $2", used, id));
}

result<bool> people_repository::remove_token(record_id id) {
    auto gone = run(db_, "DELETE FROM token WHERE id = $1", id);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

} // namespace postferry::store
