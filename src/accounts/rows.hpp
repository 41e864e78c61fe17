#pragma once
// One row of a CSV of accounts: the ends of a copy, and the account on the new server. Each fault bears its column.
#include "accounts/account.hpp"
#include "accounts/columns.hpp"
#include "base/words.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace postferry::accounts {

/// What a row is read for; what nobody wants of it is not looked at.
struct row_wants {
    bool mailbox = true;   ///< both ends of a copy
    bool account = false;  ///< the account on the new server
    bool password = false; ///< and a password for it: none is a fault
};

/// An account as the row wants it. Its address is not looked at here but for its completeness.
struct wanted_account {
    std::string address; ///< with its domain; or a bare login, when neither it nor the row says one
    secret password = {};
    std::string name = {}, language = {}, time_zone = {};
    std::optional<std::uint64_t> quota = {}; ///< octets; 0: no limit
    std::vector<std::string> aliases = {};   ///< each with its domain; at most max_aliases
};

struct csv_row {
    std::uint64_t row = 0, line = 0;
    std::optional<accounts::account> mailbox = {}; ///< none: not wanted, or faulty
    std::optional<wanted_account> account = {};    ///< the same
    std::string batch = {};
    std::string notify = {}; ///< as written
    std::vector<csv_fault> faults = {};
};

class row_reader {
  public:
    static constexpr std::size_t max_aliases = 100;

    /// Both must outlive it.
    row_reader(const column_map& columns, const account_defaults& defaults, row_wants wants)
        : columns_(columns), defaults_(defaults), wants_(wants) {}

    [[nodiscard]] csv_row read(const csv_record& record);

  private:
    struct side_columns;
    struct completed;
    static const side_columns source_columns, target_columns;

    void fault(std::string column_name, std::string what);
    [[nodiscard]] bool faulty() const noexcept { return !out_.faults.empty(); }
    [[nodiscard]] std::string_view field(column c) const noexcept { return columns_.field(*record_, c); }
    void check_shape();
    [[nodiscard]] std::string target_login();
    void read_mailbox(const std::string& target_user);
    void read_account(const std::string& target_user);
    void read_aliases(wanted_account& a);
    std::optional<completed> complete(const side_columns& c, const side_defaults& given, std::string_view row_user,
                                      std::string_view side);
    std::optional<std::shared_ptr<const mailbox::endpoint>> base_of(const side_columns& c, const side_defaults& given,
                                                                    std::string_view row_user, std::string_view side);
    bool override_with_columns(mailbox::endpoint& e, const side_columns& c);
    void override_place(mailbox::endpoint& e, const side_columns& c);
    std::optional<std::shared_ptr<const mailbox::endpoint>> parsed(column c, std::string_view url,
                                                                   std::string_view row_user);
    std::shared_ptr<const row_token> token_of(const mailbox::endpoint& e, const side_columns& c,
                                              const side_defaults& given);
    std::shared_ptr<const row_token> read_token(std::string_view text, const std::string& column_name);
    secret password_of(const mailbox::endpoint& e, const side_columns& c, const side_defaults& given,
                       std::string_view side);

    const column_map& columns_;
    const account_defaults& defaults_;
    row_wants wants_;
    const csv_record* record_ = nullptr;
    csv_row out_;
    std::unordered_map<std::string, std::shared_ptr<const mailbox::endpoint>> bases_; ///< ends by what columns say
};

/// The rows of a file, one after the other.
class row_stream {
  public:
    /// Reads the first record, and from it what shape the file has. Errors (class config): it is empty, its shape is
    /// not known. `reader` and `defaults` must outlive the stream.
    [[nodiscard]] static result<std::unique_ptr<row_stream>> open(csv_reader& reader, std::string_view name,
                                                                  const account_defaults& defaults, row_wants wants);
    row_stream(const row_stream&) = delete;
    row_stream& operator=(const row_stream&) = delete;

    /// False at the end. An error as of csv_reader: the file as a whole cannot be trusted.
    [[nodiscard]] result<bool> next(csv_row& out);
    [[nodiscard]] const column_map& columns() const noexcept { return columns_; }

  private:
    row_stream(csv_reader& reader, std::string_view name, column_map columns, const account_defaults& defaults,
               row_wants wants)
        : reader_(reader), name_(name), columns_(std::move(columns)), rows_(columns_, defaults, wants) {}

    csv_reader& reader_;
    std::string name_;
    column_map columns_;
    row_reader rows_;
    csv_record record_;
    bool pending_ = false; ///< the first record is a row
};

/// "accounts.csv: preset postferry, separator \",\", UTF-8, 120 rows, 2 faults"
[[nodiscard]] std::string summary_of(std::string_view name, csv_preset preset, const csv_dialect& dialect,
                                     std::uint64_t rows, std::uint64_t faults);

} // namespace postferry::accounts
