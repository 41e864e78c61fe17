#pragma once
#include "client/imap_session.hpp"
#include "mailbox/mailbox.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace postferry::mailbox {

/// How hard a mailbox leans on its server and on memory.
struct imap_tuning {
    std::size_t batch_messages = 2000; ///< of one MULTIAPPEND
    std::uint64_t batch_octets = 4U << 20U;
    std::size_t batches_in_flight = 12; ///< sent and not yet answered
    std::size_t fetch_messages = 5000;  ///< of one UID FETCH
    std::size_t fetches_in_flight = 6;
    std::size_t commands_in_flight = 200; ///< of scans and other small commands
};

struct imap_options {
    std::string prefix; ///< endpoint::prefix
    imap_tuning tuning;
};

/// A mailbox on an IMAP server, over one connection.
class imap_mailbox final : public target {
  public:
    imap_mailbox(std::unique_ptr<client::imap_session> session, imap_options options);

    task<result<listing>> list(bool with_octets) override;
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override;
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override;
    void close() noexcept override { session_->close(); }
    task<> leave() override { return session_->logout(); }

    [[nodiscard]] std::uint64_t append_limit() const noexcept override;
    [[nodiscard]] std::string handle_of(std::string_view name) const override;
    task<result<std::vector<prepared_folder>>> prepare(std::span<const std::string> handles,
                                                       std::span<const bool> create) override;
    task<result<void>> subscribe(std::span<const std::string> handles) override;
    task<result<void>> append(append_feed& feed) override;
    task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) override;

    [[nodiscard]] const std::string& personal_prefix() const noexcept { return personal_prefix_; } ///< after list()
    [[nodiscard]] client::imap_session& session() noexcept { return *session_; }
    /// NAMESPACE and QUOTA as the server tells them, for `check`.
    task<result<std::vector<imap::quota_data>>> quota();

  private:
    task<result<void>> learn_namespace();
    /// Waits until another small command may be submitted: both sides writing without reading would end in a deadlock.
    task<result<void>> make_room();
    void submit_examine(const std::string& handle, folder_state& state, std::optional<error>& failure, bool read_only,
                        std::optional<std::vector<std::string>>* permanent_flags);

    std::unique_ptr<client::imap_session> session_;
    imap_options options_;
    std::optional<char> delimiter_;
    std::string personal_prefix_;                      ///< wire form, with its delimiter
    std::vector<imap::namespace_data::entry> foreign_; ///< other users' and shared namespaces
    bool namespace_known_ = false;
    std::vector<std::string> proven_flags_; ///< accepted in a synchronising APPEND on this connection (adr/0006)
    bool flagless_proven_ = false;
    bool plus_habit_known_ = false; ///< a non-synchronising literal was answered: it is known whether "+" comes as well
    friend class imap_append;
};

} // namespace postferry::mailbox
