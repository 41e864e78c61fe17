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
    std::optional<record_id> up_to = {}; ///< this line and what comes before it
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
    /// The last reports of a batch's mailboxes, by ascending id of the mailbox; those without one are left out of
    /// `rows` but counted for `after`.
    struct report_page {
        std::vector<json_text> rows;
        record_id after = 0; ///< where the next page begins
        bool more = false;
    };
    [[nodiscard]] result<report_page> last_reports(record_id batch, record_id after, int limit);
    /// Without reports.
    [[nodiscard]] result<slice<pass_record>> list(record_id migration, const paging& page);

  private:
    sql::connection& db_;
};

class waiver_repository {
  public:
    explicit waiver_repository(sql::connection& db) noexcept : db_(db) {}
    /// One that is there already stays as it is.
    [[nodiscard]] result<void> add(const std::vector<waiver>& all);
    [[nodiscard]] result<bool> remove(record_id migration, const std::string& folder, std::uint32_t source_uid);
    /// By folder and UID.
    [[nodiscard]] result<std::vector<waiver>> of(record_id migration);

  private:
    sql::connection& db_;
};

/// How far somebody who follows along has come.
struct event_cursor {
    record_id after = 0; ///< the last event seen
    /// A number is missing before this event: a transaction that is still open may bring it. 0: none is missing.
    record_id gap_before = 0;
    std::int64_t gap_ends = 0; ///< transactions below this number may still fill the gap
    unix_ms gap_seen = 0;
};

struct event_tail {
    std::vector<event> events;
    event_cursor next;
};

class event_repository {
  public:
    explicit event_repository(sql::connection& db) noexcept : db_(db) {}
    [[nodiscard]] result<record_id> add(const event& e);
    /// Thousands at once, numbered in this order.
    [[nodiscard]] result<void> add(const std::vector<event>& all);
    [[nodiscard]] result<slice<event>> list(const event_filter& filter, const paging& page);
    /// For those who follow along: what comes behind the cursor, ascending, and nothing that could be overtaken. On
    /// PostgreSQL an event may become visible behind a younger one; the tail stops before a number that is missing
    /// until every transaction that may bring it has ended (two minutes at most: none lasts longer).
    [[nodiscard]] result<event_tail> tail(const event_cursor& from, unix_ms now, int limit = 500);
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
