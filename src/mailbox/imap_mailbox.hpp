#pragma once
#include "client/imap_session.hpp"
#include "client/quirks.hpp"
#include "mailbox/detail/imap_names.hpp"
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
    std::size_t few_left_out = 200;       ///< of what a FETCH left out without a word so many are worth one each
};

struct imap_options {
    std::string prefix; ///< endpoint::prefix
    imap_tuning tuning;
    client::quirk_wishes quirks; ///< endpoint::quirks
};

namespace detail {
/// How many ranges of UIDs fit into a command line of so many octets: "4294967295:4294967295," each, and the rest.
[[nodiscard]] constexpr std::size_t ranges_per_command(std::size_t octets) noexcept {
    constexpr std::size_t command = 240, range = 22;
    return octets > command + range ? (octets - command) / range : 1;
}
} // namespace detail

/// A mailbox on an IMAP server, over one connection.
class imap_mailbox final : public target {
  public:
    imap_mailbox(std::unique_ptr<client::imap_session> session, imap_options options);

    task<result<listing>> list(bool with_octets) override;
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override;
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override;
    task<result<void>> identities(std::span<const fetch_request> requests, const identity_teller& tell) override;
    void close() noexcept override { session_->close(); }
    task<> leave() override { return session_->logout(); }
    [[nodiscard]] bool leaves_by_itself() const noexcept override { return true; }
    [[nodiscard]] bool shares_well() const noexcept override { return true; }

    [[nodiscard]] std::uint64_t append_limit() const noexcept override;
    [[nodiscard]] bool keeps_flagged() const noexcept override { return habits_.keeps_flagged; } // quirk exchange
    [[nodiscard]] bool takes_literal8() const noexcept override { return session_->capabilities().has("BINARY"); }
    [[nodiscard]] std::string handle_of(std::string_view name) const override;
    task<result<std::vector<prepared_folder>>> prepare(std::span<const folder_wish> wishes) override;
    task<result<void>> subscribe(std::span<const std::string> handles) override;
    task<result<void>> append(append_feed& feed) override;
    task<result<copied_uids>> copy_within(copy_wish wish) override;
    task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) override;
    task<result<std::vector<folder_extras>>> extras(std::span<const std::string> handles) override;
    task<result<std::vector<std::string>>> grant(std::span<const rights_wish> wishes) override;
    task<result<void>> remove(std::string_view handle, std::uint32_t uid_validity, uid_set uids) override;

    [[nodiscard]] const std::string& personal_prefix() const noexcept { return names_.prefix; } ///< after list()
    /// What is known to be different about this server; after list() its answer to ID counts as well.
    [[nodiscard]] const std::vector<client::applied_quirk>& quirks() const noexcept { return quirks_; }
    [[nodiscard]] client::imap_session& session() noexcept { return *session_; }
    /// NAMESPACE and QUOTA as the server tells them, for `check`.
    task<result<std::vector<imap::quota_data>>> quota();

  private:
    struct list_answers;
    /// Before anything else: ID, and what a server asks for before it serves anybody. Costs no round trip, except where
    /// UTF8=ONLY is offered.
    task<result<void>> greet();
    /// Submits what a listing must know: ENABLE, NAMESPACE. The answers come with those to the next command.
    void ask_about_names();
    /// Chooses the quirks by what is known by now.
    void recognise();
    [[nodiscard]] bool uses_condstore() const noexcept;
    [[nodiscard]] bool lists_extended() const noexcept;
    [[nodiscard]] std::string status_items(bool with_octets) const;
    task<result<void>> list_extended(list_answers& out, std::string_view items, bool with_status);
    task<result<void>> list_plainly(list_answers& out);
    task<result<void>> ask_states(list_answers& out, const listing& folders, bool with_octets);
    void take_folder(imap::list_data& l, list_answers& answers, listing& out);
    void note_gmail(listing& out);
    void ask_for_labels(std::size_t request, const folder_state& state, std::optional<error>& failure, scan_sink& sink);
    task<result<std::vector<uid_set>>> search_by_fetch(std::span<const fetch_request> requests, search_criterion what);
    /// Waits until another small command may be submitted: both sides writing without reading would end in a deadlock.
    task<result<void>> make_room();
    void submit_examine(const std::string& handle, folder_state& state, std::optional<error>& failure, bool read_only,
                        std::optional<std::vector<std::string>>* permanent_flags);

    std::unique_ptr<client::imap_session> session_;
    imap_options options_;
    std::vector<client::applied_quirk> quirks_;
    client::server_habits habits_;
    detail::name_form names_;
    std::vector<imap::namespace_data::entry> foreign_; ///< other users' and shared namespaces
    bool greeted_ = false, asked_ = false, namespace_told_ = false;
    bool condstore_refused_ = false;
    std::map<std::string, std::string, std::less<>> label_handles_; ///< Gmail: label -> handle of its folder
    std::string all_mail_;                                          ///< Gmail: its handle, once listed
    std::vector<std::string> proven_flags_; ///< accepted in a synchronising APPEND on this connection (adr/0006)
    bool flagless_proven_ = false;
    bool plus_habit_known_ = false; ///< a non-synchronising literal was answered: it is known whether "+" comes as well
    friend class imap_append;
    friend class imap_scan;
};

} // namespace postferry::mailbox
