#pragma once
// Who may do what: people, their sessions and tokens; links that work once; answers that are remembered. On a database
// thread; transactions are the caller's.
#include "sql/connection.hpp"
#include "store/paging.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

/// A token or a session that was shown, whose it is, and what time it is: all of one moment, by one statement.
template <class Row> struct held_by {
    Row row = {};
    store::person person = {};
    unix_ms told = 0; ///< for tables::now_or()
};

class people_repository {
  public:
    explicit people_repository(sql::connection& db) noexcept : db_(db) {}

    /// `duplicate` when there is one of that name.
    [[nodiscard]] result<person> add(const person& p);
    [[nodiscard]] result<std::optional<person>> find(record_id id);
    [[nodiscard]] result<std::optional<person>> find(const std::string& name);
    [[nodiscard]] result<slice<person>> list(const paging& page);
    /// Everything but the name, if p.version is still the stored one; else `conflict`. An owner is always left:
    /// `conflict` when the last one that is not disabled would go.
    [[nodiscard]] result<person> update(const person& p);
    /// With sessions and tokens.
    [[nodiscard]] result<void> remove(record_id id, row_version from);
    [[nodiscard]] result<std::int64_t> owners(); ///< that are not disabled

    [[nodiscard]] result<void> add(const session& s);
    [[nodiscard]] result<std::optional<held_by<session>>> find_session(const std::string& hash);
    [[nodiscard]] result<std::vector<session>> sessions_of(record_id person);
    [[nodiscard]] result<void> touch_session(const std::string& hash, unix_ms seen, unix_ms expires);
    [[nodiscard]] result<bool> remove_session(const std::string& hash);
    [[nodiscard]] result<void> remove_sessions_of(record_id person);
    [[nodiscard]] result<std::int64_t> remove_expired_sessions(unix_ms now);

    [[nodiscard]] result<api_token> add(const api_token& t);
    [[nodiscard]] result<std::optional<held_by<api_token>>> find_token(const std::string& hash);
    [[nodiscard]] result<slice<api_token>> tokens(std::optional<record_id> person, const paging& page);
    [[nodiscard]] result<void> touch_token(record_id id, unix_ms used);
    [[nodiscard]] result<bool> remove_token(record_id id);

  private:
    [[nodiscard]] result<void> keep_an_owner(record_id without);
    sql::connection& db_;
};

class request_repository {
  public:
    explicit request_repository(sql::connection& db) noexcept : db_(db) {}

    /// What was remembered under the key, or nothing: then it is remembered now, as being at work (status 0). An answer
    /// is remembered for a day; what is at work for a quarter of an hour has died.
    [[nodiscard]] result<std::optional<remembered_answer>> begin(const remembered_answer& a);
    [[nodiscard]] result<void> end(const remembered_answer& a);
    /// It came to nothing, the key is free again.
    [[nodiscard]] result<void> forget(const std::string& actor, const std::string& key);
    [[nodiscard]] result<std::int64_t> forget_before(unix_ms created);

    [[nodiscard]] result<one_time_link> add(const one_time_link& l);
    [[nodiscard]] result<std::optional<one_time_link>> find_link(const std::string& nonce_hash);
    /// Once: false when it has been used before, has expired, or is not there.
    [[nodiscard]] result<bool> use_link(const std::string& nonce_hash, unix_ms now);
    /// Links to a subject that are not used yet end here.
    [[nodiscard]] result<std::int64_t> remove_links(link_kind kind, const std::string& subject);
    [[nodiscard]] result<std::int64_t> remove_expired_links(unix_ms now);

  private:
    sql::connection& db_;
};

} // namespace postferry::store
