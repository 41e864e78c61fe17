#pragma once
// Every repository of the store over one connection.
#include "store/batch_repository.hpp"
#include "store/credential_repository.hpp"
#include "store/directory_repository.hpp"
#include "store/history_repository.hpp"
#include "store/lease_repository.hpp"
#include "store/ledger_repository.hpp"
#include "store/migration_repository.hpp"
#include "store/people_repository.hpp"
#include "store/settings_repository.hpp"

#include <functional>

namespace postferry::store {

/// On one database thread at a time, inside a transaction or a snapshot of it.
struct tables {
    /// `clock`: what time it is, for tests; empty: the database's own clock. `shard`: batch_repository.
    explicit tables(sql::connection& connected, std::function<unix_ms()> clock = {}, int shard = 0)
        : db(connected), ledger(connected), settings(connected), directory(connected), batches(connected, shard),
          migrations(connected, batches), leases(connected), passes(connected), waivers(connected), events(connected),
          logs(connected), credentials(connected), people(connected), requests(connected), clock_(std::move(clock)) {}
    tables(const tables&) = delete;
    tables& operator=(const tables&) = delete;

    /// One clock for all processes on one database: PostgreSQL's own. With SQLite there is one process, and it is its.
    [[nodiscard]] result<unix_ms> now();
    /// An expression that asks for it along with something else; then now_or() of what it said.
    static constexpr sql::spelling moment{
        .sqlite = "0", .postgresql = "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)"};
    [[nodiscard]] unix_ms now_or(unix_ms told) const;

    sql::connection& db;
    ledger_repository ledger;
    settings_repository settings;
    directory_repository directory;
    batch_repository batches;
    migration_repository migrations;
    lease_repository leases;
    pass_repository passes;
    waiver_repository waivers;
    event_repository events;
    log_repository logs;
    credential_repository credentials;
    people_repository people;
    request_repository requests;

  private:
    std::function<unix_ms()> clock_;
};

} // namespace postferry::store
