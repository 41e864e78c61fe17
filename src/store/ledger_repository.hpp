#pragma once
// The ledger's queries, written once over sql/. On the ledger's own thread; transactions are the caller's
// (ledger_thread), so that several calls can share one.
#include "sql/connection.hpp"
#include "store/name_repository.hpp"
#include "store/report_repository.hpp"
#include "store/traffic_repository.hpp"
#include "transfer/ledger.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postferry::store {

using transfer::failed_item;
using transfer::folder_id;
using transfer::ledger_brief;
using transfer::ledger_folder;
using transfer::ledger_row;
using transfer::mailbox_id;

/// The meaning of each call is that of transfer::ledger.
class ledger_repository {
  public:
    explicit ledger_repository(sql::connection& db) noexcept : db_(db), names_(db), reports_(db), traffic_(db) {}

    /// Looks at the ends of every table: finds a file that is no working ledger, at the price of a dozen pages.
    [[nodiscard]] result<void> probe();

    [[nodiscard]] result<std::optional<mailbox_id>> find_mailbox(const std::string& source_key,
                                                                 const std::string& target_key);
    [[nodiscard]] result<mailbox_id> add_mailbox(const std::string& source_key, const std::string& target_key);
    [[nodiscard]] result<std::vector<ledger_folder>> folders(mailbox_id mailbox);
    [[nodiscard]] result<std::vector<ledger_brief>> rows(folder_id folder);
    [[nodiscard]] result<std::vector<ledger_row>> full_rows(folder_id folder, std::uint32_t first_uid,
                                                            std::uint32_t last_uid);
    [[nodiscard]] result<std::vector<failed_item>> failures(folder_id folder);
    [[nodiscard]] result<std::vector<std::pair<std::uint32_t, std::uint8_t>>> repaired(folder_id folder);

    struct opened_folder {
        std::string source_name, target_name;
        std::uint32_t source_uid_validity = 0, target_uid_validity = 0, target_mark = 0;
    };
    [[nodiscard]] result<ledger_folder> begin_folder(mailbox_id mailbox, const opened_folder& folder);
    [[nodiscard]] result<std::uint32_t> flag_set(folder_id folder, const std::string& canonical);
    [[nodiscard]] result<void> record(folder_id folder, const std::vector<ledger_row>& rows,
                                      const std::vector<failed_item>& failures);
    [[nodiscard]] result<void>
    update_flags(folder_id folder, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& uid_and_flag_set);
    [[nodiscard]] result<void> forget(folder_id folder, const std::vector<std::uint32_t>& source_uids);
    [[nodiscard]] result<void> set_state(folder_id folder, const std::vector<std::uint32_t>& source_uids,
                                         transfer::item_state state);
    [[nodiscard]] result<void> keep_report(const transfer::kept_report& report);
    [[nodiscard]] result<void> finish_folder(const ledger_folder& state);

    [[nodiscard]] name_repository& names() noexcept { return names_; }
    [[nodiscard]] report_repository& reports() noexcept { return reports_; }
    [[nodiscard]] traffic_repository& traffic() noexcept { return traffic_; }

  private:
    class tally; ///< of ledger_messages.cpp, as all that is about messages
    [[nodiscard]] static std::unexpected<error> no_such_folder(folder_id folder);
    [[nodiscard]] result<folder_id> open_generation(mailbox_id mailbox, const opened_folder& folder);
    [[nodiscard]] result<void> void_generation(folder_id id, const opened_folder& folder);
    [[nodiscard]] result<void> replace(folder_id folder, const ledger_row& row, tally& totals);
    [[nodiscard]] result<void> put_failure(folder_id folder, const failed_item& item, tally& totals);
    [[nodiscard]] result<void> add_to_totals(folder_id folder, const tally& totals);
    [[nodiscard]] result<void> load_flag_sets(mailbox_id mailbox, std::vector<ledger_folder>& folders);

    sql::connection& db_;
    name_repository names_;
    report_repository reports_;
    traffic_repository traffic_;
};

} // namespace postferry::store
