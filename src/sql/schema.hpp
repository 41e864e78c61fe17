#pragma once
// Schema versions: a database is brought up step by step, each step in a transaction of its own with its mark.
#include "sql/connection.hpp"

#include <span>
#include <string_view>

namespace postferry::sql {

/// A kind of database. Version n is what the first n steps make; steps that were released never change.
struct schema {
    std::uint32_t application = 0; ///< never 0; stands in the file
    std::span<const std::string_view> steps;

    [[nodiscard]] int version() const noexcept { return static_cast<int>(steps.size()); }
};

enum class schema_fit : std::uint8_t {
    empty, ///< nothing in it yet
    current,
    older,   ///< migrate() brings it up
    newer,   ///< made by a later program
    foreign, ///< somebody else's database
};

[[nodiscard]] result<schema_fit> inspect(connection& db, const schema& wanted);
/// Brings an empty or older database up to date; a current one is left alone. Killed at any moment, it goes on from the
/// last finished step. Not for newer or foreign ones.
[[nodiscard]] result<void> migrate(connection& db, const schema& wanted);

} // namespace postferry::sql
