#pragma once
// What has happened: passes, events, log lines. On a database thread; transactions are the caller's.
#include "sql/connection.hpp"
#include "store/paging.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

struct event_filter {
    std::optional<record_id> project = {}, batch = {}, migration = {};
    std::string kind_prefix = {}; ///< "audit."; empty: any
    std::string actor = {};       ///< empty: any
    std::optional<unix_ms> from = {}, to = {};
};

struct log_filter {
    std::optional<record_id> batch = {}, migration = {};
    std::optional<std::string> folder = {};
    log_level at_least = log_level::debug;
};

class pass_repository {
  public:
    explicit pass_repository(sql::connection& db) noexcept : db_(db) {}
    [[nodiscard]] result<record_id> begin(const pass_record& p);
    /// Ended, outcome, counts and report of p.id.
    [[nodiscard]] result<void> end(const pass_record& p);
    /// With its report.
    [[nodiscard]] result<std::optional<pass_record>> find(record_id id);
    /// The last that ended with a report.
    [[nodiscard]] result<std::optional<pass_record>> last_report(record_id migration);
    /// Without reports.
    [[nodiscard]] result<slice<pass_record>> list(record_id migration, const paging& page);

  private:
    sql::connection& db_;
};

class event_repository {
  public:
    explicit event_repository(sql::connection& db) noexcept : db_(db) {}
    [[nodiscard]] result<record_id> add(const event& e);
    [[nodiscard]] result<slice<event>> list(const event_filter& filter, const paging& page);
    /// For those who follow along: what comes behind `after`, ascending, and nothing that could be overtaken: with
    /// several processes an event may become visible behind a younger one; the tail stops before such a gap for at most
    /// ten seconds.
    [[nodiscard]] result<std::vector<event>> tail(record_id after, unix_ms now, int limit = 500);
    /// The id of the youngest; 0: there is none.
    [[nodiscard]] result<record_id> last();

  private:
    sql::connection& db_;
};

class log_repository {
  public:
    explicit log_repository(sql::connection& db) noexcept : db_(db) {}
    /// Hundreds at once.
    [[nodiscard]] result<void> add(const std::vector<log_line>& lines);
    [[nodiscard]] result<slice<log_line>> list(const log_filter& filter, const paging& page);
    /// How many were there.
    [[nodiscard]] result<std::int64_t> remove(const log_filter& filter);

  private:
    sql::connection& db_;
};

} // namespace postferry::store
