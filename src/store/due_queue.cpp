#include "store/due_queue.hpp"

#include "store/detail/migration_row.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace postferry::store {

using detail::pass_on;
using sql::spelling;

result<std::optional<int>> due_queue::priority(int below) {
    // Never 0 rows: the maximum of nothing is NULL, which cannot be told from 0 here.
    auto found = detail::number(
        db_, "SELECT COALESCE(max(priority), -1000) FROM migration WHERE due IS NOT NULL AND priority < $1", below);
    if (!found) return pass_on(found);
    if (*found == -1000) return std::nullopt;
    return static_cast<int>(*found);
}

result<std::vector<migration>> due_queue::first(int priority, const passed_over& full, std::size_t limit) {
    if (full.sources.empty() && full.targets.empty()) return walk(priority, full, nullptr, limit);
    auto few = find_pairs();
    if (!few) return pass_on(few);
    if (!*few) return walk(priority, full, nullptr, limit);
    std::vector<migration> all;
    for (const pair& p : *pairs_) {
        if (full.sources.contains(p.first) || full.targets.contains(p.second)) continue;
        auto some = walk(priority, full, &p, limit);
        if (!some) return some;
        std::ranges::move(*some, std::back_inserter(all));
    }
    std::ranges::sort(all, {}, [](const migration& m) { return std::tuple(m.due, m.id); });
    return all;
}

result<std::vector<migration>> due_queue::walk(int priority, const passed_over& full, const pair* servers,
                                               std::size_t limit) {
    const bool sqlite = db_.dialect() == sql::dialect::sqlite;
    detail::selection wanted(
        detail::select_migrations(servers != nullptr && sqlite ? "INDEXED BY migration_pair" : ""));
    wanted.where("m.due IS NOT NULL");
    if (servers != nullptr) {
        wanted.where("m.source_server =", std::string_view(servers->first));
        wanted.where("m.target_server =", std::string_view(servers->second));
    }
    wanted.where("m.priority =", std::int64_t{priority});
    wanted.where("m.due <=", now_);
    if (servers == nullptr) {
        wanted.none_of("m.source_server", full.sources);
        wanted.none_of("m.target_server", full.targets);
    }
    wanted.none_of("m.batch", full.batches);
    wanted.where("NOT EXISTS (SELECT 1 FROM lease l WHERE l.migration = m.id)");
    std::vector<migration> found;
    auto done = wanted.rows(
        db_, [&](const sql::query& q) { found.push_back(detail::read_migration(q)); },
        fmt::format(" ORDER BY m.due, m.id LIMIT {}{}", std::bit_ceil(limit),
                    sqlite ? "" : " FOR UPDATE OF m SKIP LOCKED"));
    if (!done) return pass_on(done);
    return found;
}

result<std::optional<std::string>> due_queue::next_source(const std::string& after) {
    static constexpr spelling text{
        .sqlite = "SELECT source_server FROM migration INDEXED BY migration_pair WHERE due IS NOT NULL AND "
                  "source_server > $1 ORDER BY source_server LIMIT 1",
        .postgresql = "SELECT source_server FROM migration WHERE due IS NOT NULL AND source_server > $1 "
                      "ORDER BY source_server LIMIT 1"};
    return detail::one(db_, text.in(db_.dialect()), [](const sql::query& q) { return detail::text(q, 0); }, after);
}

result<std::optional<std::string>> due_queue::next_target(const std::string& source, const std::string& after) {
    static constexpr spelling text{
        .sqlite = "SELECT target_server FROM migration INDEXED BY migration_pair WHERE due IS NOT NULL AND "
                  "source_server = $1 AND target_server > $2 ORDER BY target_server LIMIT 1",
        .postgresql = "SELECT target_server FROM migration WHERE due IS NOT NULL AND source_server = $1 AND "
                      "target_server > $2 ORDER BY target_server LIMIT 1"};
    return detail::one(
        db_, text.in(db_.dialect()), [](const sql::query& q) { return detail::text(q, 0); }, source, after);
}

/// Once. Each step is one look into the index, however many wait there.
result<bool> due_queue::find_pairs() {
    if (std::exchange(looked_, true)) return pairs_.has_value();
    std::vector<pair> found;
    for (auto source = next_source("");; source = next_source(**source)) {
        if (!source) return pass_on(source);
        if (!*source) break;
        for (auto target = next_target(**source, "");; target = next_target(**source, **target)) {
            if (!target) return pass_on(target);
            if (!*target) break;
            if (found.size() == most_pairs) return false;
            found.emplace_back(**source, **target);
        }
    }
    pairs_ = std::move(found);
    return true;
}

} // namespace postferry::store
