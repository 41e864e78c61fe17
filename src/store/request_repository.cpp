// Answers that are remembered and links that work once.
#include "store/detail/rows.hpp"
#include "store/people_repository.hpp"

namespace postferry::store {

using detail::one;
using detail::optional_number;
using detail::pass_on;
using detail::run;
using detail::text;
using detail::word;

namespace {

remembered_answer read_answer(const sql::query& q) {
    return {.key = text(q, 0),
            .actor = text(q, 1),
            .route = text(q, 2),
            .request_hash = text(q, 3),
            .status = q.get<int>(4),
            .body = text(q, 5),
            .created = q.get<unix_ms>(6)};
}

one_time_link read_link(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .kind = word<link_kind>(q, 1),
            .subject = text(q, 2),
            .nonce_hash = text(q, 3),
            .created = q.get<unix_ms>(4),
            .expires = q.get<unix_ms>(5),
            .used = optional_number<unix_ms>(q, 6)};
}

constexpr unix_ms remembered_for_ms = 24 * 3'600'000;
constexpr unix_ms at_work_for_ms = 15 * 60'000; ///< no request lasts so long

constexpr std::string_view link_columns = "id, kind, subject, nonce_hash, created, expires, used";

} // namespace

result<std::optional<remembered_answer>> request_repository::begin(const remembered_answer& a) {
    // A process that died at it, or a key of yesterday, must not be in the way.
    auto lapsed =
        run(db_,
            "DELETE FROM remembered WHERE actor = $1 AND key = $2 AND (created < $3 OR (status = 0 AND created < "
            "$4))",
            a.actor, a.key, a.created - remembered_for_ms, a.created - at_work_for_ms);
    if (!lapsed) return pass_on(lapsed);
    auto put = run(db_,
                   "INSERT INTO remembered (actor, key, route, request_hash, status, body, created) "
                   "VALUES ($1, $2, $3, $4, 0, '', $5) ON CONFLICT DO NOTHING",
                   a.actor, a.key, a.route, a.request_hash, a.created);
    if (!put) return pass_on(put);
    if (*put > 0) return std::nullopt;
    return one(db_,
               "SELECT key, actor, route, request_hash, status, body, created FROM remembered WHERE actor = $1 AND key "
               "= $2",
               read_answer, a.actor, a.key);
}

result<void> request_repository::end(const remembered_answer& a) {
    auto done = run(db_, "UPDATE remembered SET status = $1, body = $2 WHERE actor = $3 AND key = $4", a.status, a.body,
                    a.actor, a.key);
    if (!done) return pass_on(done);
    return {};
}

result<void> request_repository::forget(const std::string& actor, const std::string& key) {
    auto done = run(db_, "DELETE FROM remembered WHERE actor = $1 AND key = $2", actor, key);
    if (!done) return pass_on(done);
    return {};
}

result<std::int64_t> request_repository::forget_before(unix_ms created) {
    return run(db_, "DELETE FROM remembered WHERE created < $1", created);
}

result<one_time_link> request_repository::add(const one_time_link& l) {
    return detail::or_refuse(one(db_,
                                 fmt::format("INSERT INTO link (kind, subject, nonce_hash, created, expires) VALUES "
                                             "($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING {}",
                                             link_columns),
                                 read_link, name_of(l.kind), l.subject, l.nonce_hash, l.created, l.expires),
                             refusal::duplicate, "there is such a link already");
}

result<std::optional<one_time_link>> request_repository::find_link(const std::string& nonce_hash) {
    return one(db_, fmt::format("SELECT {} FROM link WHERE nonce_hash = $1", link_columns), read_link, nonce_hash);
}

result<bool> request_repository::use_link(const std::string& nonce_hash, unix_ms now) {
    auto used = run(db_, "UPDATE link SET used = $1 WHERE nonce_hash = $2 AND used IS NULL AND expires > $3", now,
                    nonce_hash, now);
    if (!used) return pass_on(used);
    return *used > 0;
}

result<std::int64_t> request_repository::remove_links(link_kind kind, const std::string& subject) {
    return run(db_, "DELETE FROM link WHERE kind = $1 AND subject = $2 AND used IS NULL", name_of(kind), subject);
}

result<std::int64_t> request_repository::remove_expired_links(unix_ms now) {
    return run(db_, "DELETE FROM link WHERE expires <= $1", now);
}

} // namespace postferry::store
