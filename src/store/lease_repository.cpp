#include "store/lease_repository.hpp"

#include "store/detail/migration_row.hpp"
#include "store/due_queue.hpp"

#include <limits>
#include <map>

namespace postferry::store {

using detail::each_row;
using detail::one;
using detail::optional_number;
using detail::pass_on;
using detail::run;
using detail::text;
using detail::word;
using sql::spelling;

namespace {

constexpr std::string_view server_columns =
    "key, connections_max, messages_per_second, octets_per_second, paused_until, paused_why, version";

server read_server(const sql::query& q) {
    return {.key = text(q, 0),
            .connections_max = optional_number<int>(q, 1),
            .messages_per_second = optional_number<std::uint64_t>(q, 2),
            .octets_per_second = optional_number<std::uint64_t>(q, 3),
            .paused_until = optional_number<unix_ms>(q, 4),
            .paused_why = text(q, 5),
            .version = q.get<row_version>(6)};
}

constexpr std::string_view lease_columns = "l.migration, l.worker, l.token, l.expires, l.source_server, "
                                           "l.target_server, l.source_connections, l.target_connections";

lease read_lease(const sql::query& q) {
    return {.migration = q.get<record_id>(0),
            .worker = text(q, 1),
            .token = q.get<std::int64_t>(2),
            .expires = q.get<unix_ms>(3),
            .source_server = text(q, 4),
            .target_server = text(q, 5),
            .source_connections = q.get<int>(6),
            .target_connections = q.get<int>(7)};
}

worker read_worker(const sql::query& q) {
    return {.id = text(q, 0),
            .name = text(q, 1),
            .host = text(q, 2),
            .pid = q.get<std::int64_t>(3),
            .version = text(q, 4),
            .jobs = q.get<int>(5),
            .started = q.get<unix_ms>(6),
            .seen = q.get<unix_ms>(7),
            .state = word<worker_state>(q, 8)};
}

constexpr std::string_view worker_columns = "id, name, host, pid, program, jobs, started, seen, state";

std::unexpected<error> unknown_worker() {
    return refusal::refuse(refusal::missing, "the store does not know this worker any more",
                           "Its leases are void; it registers anew");
}

/// Connections that the leases take, by server; one call per server and side.
constexpr std::string_view use_by_server =
    "SELECT server, CAST(sum(connections) AS BIGINT), count(*) FROM ("
    "SELECT source_server AS server, source_connections AS connections FROM lease UNION ALL "
    "SELECT target_server, target_connections FROM lease) AS sides GROUP BY server";

} // namespace

/// What the servers have free, while leases are being granted.
class lease_repository::room {
  public:
    result<void> load(sql::connection& db, const take_request& wanted) {
        auto done = each_row(db, fmt::format("SELECT {} FROM server", server_columns), [&](const sql::query& q) {
            const server s = read_server(q);
            if (s.connections_max) free_[s.key] = *s.connections_max;
            if (s.paused_until && *s.paused_until > wanted.now) free_[s.key] = 0;
        });
        usual_ = wanted.connections_per_server;
        if (done)
            done = each_row(db, use_by_server, [&](const sql::query& q) {
                if (int* left = known(text(q, 0))) *left -= q.get<int>(1);
            });
        if (!done) return done;
        source_need_ = wanted.source_connections;
        target_need_ = wanted.target_connections;
        for (const auto& [key, _] : free_) look(key);
        batches_ = wanted.batch_room;
        for (const auto& [id, n] : batches_)
            if (n <= 0) full_.batches.insert(id);
        return {};
    }

    /// Takes what the mailbox needs; false when a server has too little left, and is passed over from now on.
    bool take(const migration& m) {
        const auto batch = batches_.find(m.batch);
        if (batch != batches_.end() && batch->second <= 0) return false;
        const bool same = m.source_server == m.target_server;
        if (same && left(m.source_server) < source_need_ + target_need_) {
            full_.sources.insert(m.source_server);
            return false;
        }
        look(m.source_server);
        look(m.target_server);
        if (full_.sources.contains(m.source_server) || full_.targets.contains(m.target_server)) return false;
        spend(m.source_server, source_need_);
        spend(m.target_server, target_need_);
        if (batch != batches_.end() && --batch->second <= 0) full_.batches.insert(m.batch);
        return true;
    }

    [[nodiscard]] const passed_over& full() const noexcept { return full_; }

  private:
    /// What a server has left; null: it has no limit.
    int* known(const std::string& key) {
        if (const auto at = free_.find(key); at != free_.end()) return &at->second;
        if (!usual_ || key == local_server) return nullptr;
        return &free_.emplace(key, *usual_).first->second;
    }
    [[nodiscard]] int left(const std::string& key) {
        const int* n = known(key);
        return n == nullptr ? std::numeric_limits<int>::max() : *n;
    }
    void spend(const std::string& key, int connections) {
        int* n = known(key);
        if (n == nullptr) return;
        *n -= connections;
        look(key);
    }
    void look(const std::string& key) {
        if (left(key) < source_need_) full_.sources.insert(key);
        if (left(key) < target_need_) full_.targets.insert(key);
    }

    std::map<std::string, int, std::less<>> free_; ///< of servers with a limit
    std::optional<int> usual_;                     ///< of the others
    std::map<record_id, int> batches_;             ///< of batches with a limit
    passed_over full_;
    int source_need_ = 1, target_need_ = 1;
};

namespace {

/// One process at a time grants leases: what the servers have free is counted over all of them. Held until the
/// transaction ends. The number is ours: "PfLs".
result<void> one_at_a_time(sql::connection& db) {
    if (db.dialect() == sql::dialect::sqlite) return {};
    return each_row(db, "SELECT pg_advisory_xact_lock(1348881523)", [](const sql::query&) {});
}

} // namespace

result<std::int64_t> lease_repository::grant(const migration& m, const take_request& wanted) {
    auto token = detail::number(
        db_, "UPDATE migration SET lease_token = lease_token + 1 WHERE id = $1 RETURNING lease_token", m.id);
    if (!token) return token;
    auto put = run(db_,
                   "INSERT INTO lease (migration, worker, token, expires, source_server, target_server, "
                   "source_connections, target_connections) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                   m.id, wanted.worker, *token, wanted.now + wanted.term.count(), m.source_server, m.target_server,
                   wanted.source_connections, wanted.target_connections);
    if (!put) return pass_on(put);
    return token;
}

result<std::vector<taken>> lease_repository::take(const take_request& wanted) {
    std::vector<taken> out;
    room servers;
    auto ready = one_at_a_time(db_);
    if (ready) ready = servers.load(db_, wanted);
    if (!ready) return pass_on(ready);
    auto known = detail::number(db_, "SELECT count(*) FROM worker WHERE id = $1 AND state = 'running'", wanted.worker);
    if (!known) return pass_on(known);
    if (*known == 0) return unknown_worker();

    const auto want = static_cast<std::size_t>(std::max(wanted.want, 1));
    due_queue waiting(db_, wanted.now);
    auto priority = waiting.priority(std::numeric_limits<int>::max());
    while (priority && *priority && out.size() < want) {
        auto due = waiting.first(**priority, servers.full(), want - out.size());
        if (!due) return pass_on(due);
        bool all = true; // no server has become full on the way
        for (migration& m : *due) {
            if (out.size() == want) break;
            if (!servers.take(m)) {
                all = false;
                continue;
            }
            auto token = grant(m, wanted);
            if (!token) return pass_on(token);
            const record_id id = m.id;
            lease hold{.migration = id,
                       .worker = wanted.worker,
                       .token = *token,
                       .expires = wanted.now + wanted.term.count(),
                       .source_server = m.source_server,
                       .target_server = m.target_server,
                       .source_connections = wanted.source_connections,
                       .target_connections = wanted.target_connections};
            out.push_back({.mailbox = std::move(m), .hold = std::move(hold)});
        }
        if (all) priority = waiting.priority(**priority);
    }
    if (!priority) return pass_on(priority);
    return out;
}

result<std::vector<held>> lease_repository::renew(const std::string& worker, unix_ms now,
                                                  std::chrono::milliseconds term) {
    auto seen = run(db_, "UPDATE worker SET seen = $1 WHERE id = $2 AND state <> 'gone'", now, worker);
    if (!seen) return pass_on(seen);
    if (*seen == 0) return unknown_worker();
    auto renewed = run(db_, "UPDATE lease SET expires = $1 WHERE worker = $2", now + term.count(), worker);
    if (!renewed) return pass_on(renewed);
    std::vector<held> out;
    auto done = each_row(
        db_,
        fmt::format("SELECT {}, m.state, m.version, m.priority, b.state, b.version, s.paused_until, t.paused_until "
                    "FROM lease l JOIN migration m ON m.id = l.migration JOIN batch b ON b.id = m.batch "
                    "LEFT JOIN server s ON s.key = l.source_server LEFT JOIN server t ON t.key = l.target_server "
                    "WHERE l.worker = $1 ORDER BY l.migration",
                    lease_columns),
        [&](const sql::query& q) {
            out.push_back({.hold = read_lease(q),
                           .state = word<mailbox_state>(q, 8),
                           .version = q.get<row_version>(9),
                           .priority = q.get<int>(10),
                           .batch = word<batch_state>(q, 11),
                           .batch_version = q.get<row_version>(12),
                           .source_paused_until = optional_number<unix_ms>(q, 13),
                           .target_paused_until = optional_number<unix_ms>(q, 14)});
        },
        worker);
    if (!done) return pass_on(done);
    return out;
}

result<bool> lease_repository::release(record_id migration, std::int64_t token) {
    auto gone = run(db_, "DELETE FROM lease WHERE migration = $1 AND token = $2", migration, token);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

result<bool> lease_repository::holds(record_id migration, std::int64_t token) {
    static constexpr spelling text{.sqlite = "SELECT 1 FROM lease WHERE migration = $1 AND token = $2",
                                   .postgresql = "SELECT 1 FROM lease WHERE migration = $1 AND token = $2 FOR SHARE"};
    auto found = detail::number(db_, text.in(db_.dialect()), migration, token);
    if (!found) return pass_on(found);
    return *found == 1;
}

result<std::optional<lease>> lease_repository::find(record_id migration) {
    return one(db_, fmt::format("SELECT {} FROM lease l WHERE l.migration = $1", lease_columns), read_lease, migration);
}

result<std::vector<lease>> lease_repository::of_worker(const std::string& worker) {
    std::vector<lease> out;
    auto done = each_row(
        db_, fmt::format("SELECT {} FROM lease l WHERE l.worker = $1 ORDER BY l.migration", lease_columns),
        [&](const sql::query& q) { out.push_back(read_lease(q)); }, worker);
    if (!done) return pass_on(done);
    return out;
}

result<std::map<record_id, int>> lease_repository::at_work() {
    std::map<record_id, int> out;
    auto done =
        each_row(db_, "SELECT m.batch, count(*) FROM lease l JOIN migration m ON m.id = l.migration GROUP BY m.batch",
                 [&](const sql::query& q) { out.emplace(q.get<record_id>(0), q.get<int>(1)); });
    if (!done) return pass_on(done);
    return out;
}

result<std::vector<lease>> lease_repository::lapsed(unix_ms now, int limit) {
    std::vector<lease> out;
    auto done = each_row(
        db_,
        fmt::format("SELECT {} FROM lease l WHERE l.expires < $1 OR NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = "
                    "l.worker AND w.state <> 'gone') ORDER BY l.migration LIMIT $2{}",
                    lease_columns, db_.dialect() == sql::dialect::postgresql ? " FOR UPDATE OF l SKIP LOCKED" : ""),
        [&](const sql::query& q) { out.push_back(read_lease(q)); }, now, limit);
    if (!done) return pass_on(done);
    return out;
}

result<std::vector<record_id>> lease_repository::orphans(int limit) {
    std::vector<record_id> out;
    detail::selection wanted("SELECT m.id FROM migration m");
    wanted.one_of("m.state", running_states);
    wanted.where("NOT EXISTS (SELECT 1 FROM lease l WHERE l.migration = m.id)");
    auto done = wanted.rows(
        db_, [&](const sql::query& q) { out.push_back(q.get<record_id>(0)); },
        fmt::format(" ORDER BY m.id LIMIT {}", std::clamp(limit, 1, 1000)));
    if (!done) return pass_on(done);
    return out;
}

result<void> lease_repository::put(const worker& w) {
    auto done = run(db_,
                    "INSERT INTO worker (id, name, host, pid, program, jobs, started, seen, state) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
                    "host = excluded.host, pid = excluded.pid, program = excluded.program, jobs = excluded.jobs, "
                    "seen = excluded.seen, state = excluded.state",
                    w.id, w.name, w.host, w.pid, w.version, w.jobs, w.started, w.seen, name_of(w.state));
    if (!done) return pass_on(done);
    return {};
}

result<void> lease_repository::set_gone(const std::string& worker) {
    auto done = run(db_, "UPDATE worker SET state = 'gone' WHERE id = $1", worker);
    if (!done) return pass_on(done);
    return {};
}

result<void> lease_repository::set_others_gone(const std::string& worker) {
    auto done = run(db_, "UPDATE worker SET state = 'gone' WHERE id <> $1 AND state <> 'gone'", worker);
    if (!done) return pass_on(done);
    return {};
}

result<std::vector<worker>> lease_repository::workers() {
    std::vector<worker> out;
    auto done = each_row(db_,
                         fmt::format("SELECT {} FROM worker ORDER BY CASE state WHEN 'gone' THEN 1 ELSE 0 END, seen "
                                     "DESC, id LIMIT 1000",
                                     worker_columns),
                         [&](const sql::query& q) { out.push_back(read_worker(q)); });
    if (!done) return pass_on(done);
    return out;
}

result<std::optional<server>> lease_repository::find_server(const std::string& key) {
    return one(db_, fmt::format("SELECT {} FROM server WHERE key = $1", server_columns), read_server, key);
}

result<std::vector<server_use>> lease_repository::servers() {
    std::map<std::string, server_use> all;
    auto done = each_row(db_, fmt::format("SELECT {} FROM server", server_columns), [&](const sql::query& q) {
        server s = read_server(q);
        all[s.key].limits = s;
    });
    if (done)
        done = each_row(db_, use_by_server, [&](const sql::query& q) {
            server_use& u = all[text(q, 0)];
            u.connections = q.get<int>(1);
        });
    if (done)
        done = each_row(db_,
                        "SELECT server, count(DISTINCT migration), count(DISTINCT worker) FROM ("
                        "SELECT source_server AS server, migration, worker FROM lease UNION ALL "
                        "SELECT target_server, migration, worker FROM lease) AS sides GROUP BY server",
                        [&](const sql::query& q) {
                            server_use& u = all[text(q, 0)];
                            u.mailboxes = q.get<int>(1);
                            u.workers = q.get<int>(2);
                        });
    if (!done) return pass_on(done);
    std::vector<server_use> out;
    for (auto& [key, use] : all) {
        use.limits.key = key;
        out.push_back(std::move(use));
    }
    return out;
}

result<server> lease_repository::put(const server& s) {
    result<std::optional<server>> stored;
    if (s.version == 0)
        stored = one(db_,
                     fmt::format("INSERT INTO server (key, connections_max, messages_per_second, octets_per_second, "
                                 "paused_why) VALUES ($1, $2, $3, $4, '') ON CONFLICT DO NOTHING RETURNING {}",
                                 server_columns),
                     read_server, s.key, s.connections_max, s.messages_per_second, s.octets_per_second);
    else
        stored = one(db_,
                     fmt::format("UPDATE server SET connections_max = $1, messages_per_second = $2, octets_per_second "
                                 "= $3, version = version + 1 WHERE key = $4 AND version = $5 RETURNING {}",
                                 server_columns),
                     read_server, s.connections_max, s.messages_per_second, s.octets_per_second, s.key, s.version);
    return detail::or_refuse(std::move(stored), refusal::conflict, "the server's limits were changed by somebody else");
}

result<void> lease_repository::pause_server(const std::string& key, std::optional<unix_ms> until,
                                            const std::string& why) {
    auto done =
        run(db_,
            "INSERT INTO server (key, paused_until, paused_why) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE "
            "SET paused_until = CASE WHEN excluded.paused_until < server.paused_until THEN server.paused_until "
            "ELSE excluded.paused_until END, paused_why = excluded.paused_why",
            key, until, why);
    if (!done) return pass_on(done);
    return {};
}

} // namespace postferry::store
