#pragma once
// ACCOUNTS.csv as a whole, in memory: for copy and migrate.
#include "accounts/account.hpp"
#include "accounts/columns.hpp"

namespace postferry::accounts {

struct account_list {
    static constexpr std::size_t max_faults = 1000; ///< kept; `fault_count` goes on

    csv_preset preset = csv_preset::postferry;
    std::string summary;           ///< "accounts.csv: preset postferry, separator \",\", UTF-8, 120 rows, 2 faults"
    std::vector<account> accounts; ///< the rows without fault, in the file's order
    std::vector<csv_fault> faults; ///< by row
    std::uint64_t fault_count = 0;
    std::uint64_t faulty_rows = 0;  ///< a row may have several faults
    std::uint64_t rows = 0;         ///< data rows, faulty ones included
    std::vector<std::string> notes; ///< worth saying, not wrong: columns not used, Latin-1, one target twice
};

/// Reads the whole file. Every row is checked, a faulty row gives one fault for each thing wrong with it and no
/// account; whether to go on in spite of faults is the caller's (--skip-invalid). Errors (class config): the file
/// cannot be read, or its shape is not known.
[[nodiscard]] result<account_list> read_accounts(const std::filesystem::path& file, const account_defaults& defaults);
/// The same over an open reader; `name` is for the texts.
[[nodiscard]] result<account_list> read_accounts(csv_reader& reader, std::string_view name,
                                                 const account_defaults& defaults);

} // namespace postferry::accounts
