#include "accounts/accounts.hpp"

#include "accounts/csv.hpp"
#include "accounts/rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <unordered_map>

namespace postferry::accounts {

namespace {

/// Puts rows together, and remembers what is wrong with them.
class list_builder {
  public:
    explicit list_builder(account_list& out) : out_(out) {}

    void take(csv_row row) {
        ++out_.rows;
        if (row.mailbox) add(std::move(*row.mailbox), row);
        if (!row.faults.empty()) ++out_.faulty_rows;
        out_.fault_count += row.faults.size();
        for (csv_fault& f : row.faults)
            if (out_.faults.size() < account_list::max_faults) out_.faults.push_back(std::move(f));
    }

    // Two people's mail in one mailbox is seldom what was meant, and cannot be taken apart again. It may be.
    void note_shared_targets() {
        std::size_t told = 0;
        for (const auto& [first, others] : sharing_) {
            if (++told > most_shared_told) break;
            out_.notes.push_back(fmt::format(
                "rows {} and {}{} go to the same mailbox, {}: what they hold becomes one", out_.accounts[first].row(),
                others.second, others.rows > 1 ? fmt::format(" and {} more", grouped(others.rows - 1)) : "",
                out_.accounts[first].target().display()));
        }
        if (told > most_shared_told)
            out_.notes.push_back(
                fmt::format("and so do the rows of {} more mailboxes", grouped(sharing_.size() - most_shared_told)));
    }

  private:
    static constexpr std::size_t most_shared_told = 10;
    struct sharing {
        std::uint64_t second = 0, rows = 0; ///< row of the second one; how many after the first
    };

    void add(account row, csv_row& from) {
        const auto [begin, end] = seen_.equal_range(row.hash());
        for (auto it = begin; it != end; ++it)
            if (out_.accounts[it->second].same_mailboxes(row))
                return from.faults.push_back(
                    {from.row,
                     from.line,
                     {},
                     fmt::format("is the same source and target as row {}", out_.accounts[it->second].row())});
        seen_.emplace(row.hash(), out_.accounts.size());
        const auto [first, last] = targets_.equal_range(row.target_hash());
        const auto same =
            std::find_if(first, last, [&](const auto& known) { return out_.accounts[known.second].same_target(row); });
        if (same == last) {
            targets_.emplace(row.target_hash(), out_.accounts.size());
        } else if (sharing& s = sharing_[same->second]; ++s.rows == 1) {
            s.second = row.row();
        }
        out_.accounts.push_back(std::move(row));
    }

    account_list& out_;
    std::unordered_multimap<std::size_t, std::size_t> seen_, targets_; ///< hash -> index of the account
    std::map<std::size_t, sharing> sharing_;                           ///< by the first account of a target
};

} // namespace

result<account_list> read_accounts(csv_reader& reader, std::string_view name, const account_defaults& defaults) {
    auto rows = row_stream::open(reader, name, defaults, {});
    if (!rows) return std::unexpected(rows.error());
    const column_map& columns = (*rows)->columns();
    account_list list;
    list.preset = columns.preset;
    list_builder builder(list);
    csv_row row;
    auto more = (*rows)->next(row);
    for (; more && *more; more = (*rows)->next(row)) builder.take(std::move(row));
    // The rows before it stand, but the file as a whole cannot be trusted, --skip-invalid or not.
    if (!more) return std::unexpected(more.error());
    if (list.rows == 0)
        return fail(retry_class::config, phase::usage, fmt::format("{} has a header and no rows", name));
    list.summary = summary_of(name, columns.preset, reader.dialect(), list.rows, list.fault_count);
    if (reader.dialect().latin_1)
        list.notes.push_back(fmt::format("{} is not UTF-8; it is read as Latin-1 (Windows-1252)", name));
    if (const auto unused = columns.of_provisioning(); !unused.empty())
        list.notes.push_back(fmt::format("columns for provisioning, which only the service does, are not used: {}",
                                         fmt::join(unused, ", ")));
    builder.note_shared_targets();
    return list;
}

result<account_list> read_accounts(const std::filesystem::path& file, const account_defaults& defaults) {
    auto reader = csv_reader::open(file);
    if (!reader) return std::unexpected(reader.error());
    return read_accounts(*reader, file.filename().string(), defaults);
}

} // namespace postferry::accounts
