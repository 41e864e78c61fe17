#pragma once
// Which column of a CSV means what, and what shape a file has.
#include "accounts/csv.hpp"
#include "base/error.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::accounts {

/// Shapes of file that are recognised (docs/cli.md).
enum class csv_preset : std::uint8_t { postferry, microsoft, icewarp, imapsync, opensrs };
[[nodiscard]] std::string_view name_of(csv_preset p) noexcept;

enum class column : std::uint8_t {
    source_user,
    source_password,
    source_url,
    source_host,
    source_port,
    source_protocol,
    source_tls,
    target_user,
    target_password,
    target_url,
    target_host,
    target_port,
    target_protocol,
    target_tls,
    source_refresh_token,
    target_refresh_token,
    domain, ///< of the account; completes a target_user without one
    quota,
    person, ///< "name" in the file
    language,
    time_zone,
    aliases,
    batch,
    notify,
    user_root, ///< microsoft's UserRoot
    options,   ///< what follows imapsync's six fields
};
constexpr std::size_t column_count = 26;

/// The columns of one file.
struct column_map {
    csv_preset preset = csv_preset::postferry;
    bool has_header = false;
    std::array<std::optional<std::size_t>, column_count> position{};
    std::vector<std::string> names{}; ///< of the file's columns, for faults

    /// The field without the blanks around it (passwords: as it is); empty when the row or the file does not have it.
    [[nodiscard]] std::string_view field(const csv_record& record, column c) const noexcept;
    [[nodiscard]] bool has(column c) const noexcept { return position[static_cast<std::size_t>(c)].has_value(); }
    /// As the file calls it, else the postferry preset's name.
    [[nodiscard]] std::string name(column c) const;
    /// What is wrong with the number of the record's fields, or nothing.
    [[nodiscard]] std::string shape_trouble(const csv_record& record) const;
    /// Known columns that only the making of accounts reads, as far as the file has them.
    [[nodiscard]] std::vector<std::string> of_provisioning() const;
};

/// Decides by the first record. Errors (class config) name the unknown column, or the shape that is none; they never
/// repeat the record itself, which may be a row with passwords.
[[nodiscard]] result<column_map> recognise(const csv_record& first, const csv_dialect& dialect);

/// Without the blanks around it.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

} // namespace postferry::accounts
