#pragma once
// What waits for a worker, in the order in which it is taken. On a database thread, in the transaction that takes.
#include "sql/connection.hpp"
#include "store/records.hpp"

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postferry::store {

/// What has no room for now.
struct passed_over {
    std::set<std::string> sources = {}, targets = {}; ///< server keys
    std::set<record_id> batches = {};
};

/// A hundred thousand that wait for a full server cost nothing: where servers are full, the others' mailboxes are
/// looked for by pairs of servers, of which there are few.
class due_queue {
  public:
    /// With more pairs of servers than this, those that wait are walked over instead.
    static constexpr std::size_t most_pairs = 200;

    due_queue(sql::connection& db, unix_ms now) noexcept : db_(db), now_(now) {}

    /// The highest priority below `below` that anything waits with.
    [[nodiscard]] result<std::optional<int>> priority(int below);
    /// The first of this priority that are due and that nobody holds, by moment and id, at least `limit` of them as far
    /// as there are; locked.
    [[nodiscard]] result<std::vector<migration>> first(int priority, const passed_over& full, std::size_t limit);

  private:
    using pair = std::pair<std::string, std::string>;
    [[nodiscard]] result<std::vector<migration>> walk(int priority, const passed_over& full, const pair* servers,
                                                      std::size_t limit);
    [[nodiscard]] result<bool> find_pairs();
    [[nodiscard]] result<std::optional<std::string>> next_source(const std::string& after);
    [[nodiscard]] result<std::optional<std::string>> next_target(const std::string& source, const std::string& after);

    sql::connection& db_;
    unix_ms now_;
    bool looked_ = false;
    std::optional<std::vector<pair>> pairs_; ///< none: too many
};

} // namespace postferry::store
