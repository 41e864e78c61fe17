#pragma once
// One walk over an import's file: every row is read and checked, and on a commit written. For the desk's own files.
#include "accounts/rows.hpp"
#include "directory/address.hpp"
#include "jobs/import.hpp"
#include "jobs/row_index.hpp"
#include "mailbox/file_pool.hpp"

#include <unordered_map>

namespace postferry::jobs {

/// A row that is being checked.
struct import_row {
    accounts::csv_row from;
    std::optional<directory::address> address = {};
    std::vector<directory::address> aliases = {};
    store::migration mailbox = {}; ///< places and users; batch and account come with the transaction

    void fault(std::string column, std::string what) {
        from.faults.push_back({from.row, from.line, std::move(column), std::move(what)});
    }
    [[nodiscard]] bool good() const noexcept { return from.faults.empty(); }
};

/// What a transaction has found and done; nothing of it counts when it has to be repeated.
struct bite_outcome {
    std::vector<accounts::csv_fault> faults;
    std::uint64_t faulty_rows = 0;
    import_view::counts added = {};
    std::vector<std::string> new_domains;
    std::vector<store::record_id> batches;
};

class import_pass {
  public:
    using rows_ptr = std::shared_ptr<std::vector<import_row>>;

    import_pass(store::database& db, store::vault& vault, const import_options& options, import_form form,
                std::shared_ptr<mailbox::file_pool> pool)
        : db_(db), vault_(vault), options_(options), form_(std::move(form)), pool_(std::move(pool)) {}

    /// Opens the file. Errors: it makes no sense as a whole.
    task<result<void>> open(std::string path);
    /// The next rows, checked by themselves and against those before them; none at the end.
    task<result<rows_ptr>> next();
    /// Asks each server that has not been asked yet, once.
    task<> probe(std::vector<import_row>& rows);
    /// Against the store. With `actor`: in one transaction with what is written.
    task<result<bite_outcome>> bite(rows_ptr rows, std::optional<std::string> actor);

    [[nodiscard]] const accounts::row_stream& rows() const noexcept { return *stream_; }
    [[nodiscard]] const accounts::csv_dialect& dialect() const noexcept { return reader_->dialect(); }
    [[nodiscard]] std::vector<std::string> notes() const;

  private:
    result<std::vector<accounts::csv_row>> read_some();
    void check(import_row& r);
    void check_account(import_row& r);
    void check_notify(import_row& r);
    void check_mailbox(import_row& r, const accounts::account& m);
    void check_repeated(import_row& r);
    [[nodiscard]] std::string column_of(accounts::column c) const { return stream_->columns().name(c); }
    [[nodiscard]] const std::string& batch_of(const import_row& r) const noexcept {
        return r.from.batch.empty() ? form_.batch : r.from.batch;
    }
    store::database& db_;
    store::vault& vault_;
    const import_options& options_;
    import_form form_;
    std::shared_ptr<mailbox::file_pool> pool_;
    std::optional<accounts::csv_reader> reader_;
    std::unique_ptr<accounts::row_stream> stream_;
    row_index said_;                                       ///< pairs of places, accounts, aliases
    std::unordered_map<std::string, std::string> servers_; ///< asked: what is wrong, or nothing
    std::uint64_t rows_read_ = 0, without_password_ = 0, shared_targets_ = 0, servers_not_asked_ = 0;
    std::optional<error> broken_;
};

} // namespace postferry::jobs
