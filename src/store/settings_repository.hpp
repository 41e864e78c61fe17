#pragma once
// Projects, and settings of the company, of domains and of projects. On a database thread; transactions are the
// caller's (store/database.hpp), as in every repository here.
#include "sql/connection.hpp"
#include "store/paging.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::store {

class settings_repository {
  public:
    explicit settings_repository(sql::connection& db) noexcept : db_(db) {}

    /// `duplicate` when there is one of that name.
    [[nodiscard]] result<project> add_project(const std::string& name, unix_ms now);
    [[nodiscard]] result<std::optional<project>> find_project(record_id id);
    [[nodiscard]] result<slice<project>> projects(const paging& page);
    /// Its name, if p.version is still the stored one; else `conflict`. `duplicate`: another one has it.
    [[nodiscard]] result<project> rename_project(const project& p);
    /// `not_allowed` while it has batches or domains, and for the default one.
    [[nodiscard]] result<void> remove_project(record_id id, row_version from);

    [[nodiscard]] result<std::optional<setting>> find(const std::string& scope, const std::string& name);
    /// By name.
    [[nodiscard]] result<std::vector<setting>> all(const std::string& scope);
    /// `from` = the version it was read at, 0 = it was not there; else `conflict`. Without: whatever is there.
    [[nodiscard]] result<setting> put(const std::string& scope, const std::string& name, const json_text& value,
                                      std::optional<row_version> from = {});
    [[nodiscard]] result<bool> remove(const std::string& scope, const std::string& name);
    [[nodiscard]] result<void> remove_all(const std::string& scope);

  private:
    sql::connection& db_;
};

} // namespace postferry::store
