#pragma once
// A transaction that is repeated when the database went away in the middle of it.
#include "sql/connection.hpp"

#include <chrono>
#include <functional>

namespace postferry::sql {

/// How long, and how, to wait for a database that is gone or in conflict.
struct patience {
    /// From the first failure on; after that it is the caller's. 0 = no second attempt.
    std::chrono::milliseconds total{std::chrono::minutes(5)};
    std::chrono::milliseconds first_pause{100}; ///< doubles up to `longest_pause`
    std::chrono::milliseconds longest_pause{5000};
    /// Waits; false = stop waiting now. Null: sleeps.
    std::function<bool(std::chrono::milliseconds)> pause = {};
};

/// May this failure go away by itself, so that the whole transaction is worth repeating?
[[nodiscard]] constexpr bool repeatable(trouble kind) noexcept {
    return kind == trouble::gone || kind == trouble::busy;
}

/// begin, `work`, commit; rollback when one of them fails. What failed with a repeatable trouble is done again from the
/// start, so `work` may be called several times and must not act on anything outside the transaction; its values of the
/// last call count. A commit whose answer was lost is looked up, never done twice. Blocks the thread for as long as
/// `wait` allows, in steps that each have a deadline.
[[nodiscard]] result<void> transact(connection& db, durability how, const std::function<result<void>()>& work,
                                    const patience& wait = {});

/// The same for `work` that asks one statement, which reads (connection::begin_single): no transaction is put around
/// it.
[[nodiscard]] result<void> read_single(connection& db, const std::function<result<void>()>& work,
                                       const patience& wait = {});

} // namespace postferry::sql
