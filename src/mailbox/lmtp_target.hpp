#pragma once
#include "client/lmtp_session.hpp"
#include "mailbox/mailbox.hpp"

#include <memory>
#include <set>
#include <string>

namespace postferry::mailbox {

/// A mailbox that can be reached by delivery only: everything goes to the recipient's INBOX (or where the server's own
/// filters put it), as new mail: folders, flags, keywords, dates and UIDs are lost. Nothing can be looked at, so a copy
/// stands on its ledger alone: a message is sent again when the line died between its last octet and the answer, or
/// when the program was killed before the answer was recorded (docs/adr/0016-lmtp.md).
///
/// As a source it lists nothing, and refuses to be read with class config.
class lmtp_target final : public target {
  public:
    explicit lmtp_target(std::unique_ptr<client::lmtp_session> session);

    task<result<listing>> list(bool with_octets) override;
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override;
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override;
    void close() noexcept override { session_->close(); }
    task<> leave() override { return session_->quit(); }
    [[nodiscard]] bool leaves_by_itself() const noexcept override { return true; }

    [[nodiscard]] std::uint64_t append_limit() const noexcept override;
    [[nodiscard]] std::string handle_of(std::string_view name) const override { return std::string(name); }
    task<result<std::vector<prepared_folder>>> prepare(std::span<const folder_wish> wishes) override;
    task<result<void>> subscribe(std::span<const std::string> handles) override;
    /// One transaction a message; where the server pipelines (RFC 2920), its beginning goes out with the end of the one
    /// before. At most one message is delivered and not on record at any moment.
    task<result<void>> append(append_feed& feed) override;
    task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) override;
    [[nodiscard]] std::vector<std::string> take_remarks() override;

    [[nodiscard]] client::lmtp_session& session() noexcept { return *session_; }

  private:
    friend class lmtp_append;
    std::unique_ptr<client::lmtp_session> session_;
    std::uint64_t mended_ = 0;     ///< messages with a CR or LF alone, which are CRLF now
    std::uint64_t ended_ = 0;      ///< messages whose last line was given its end
    std::uint64_t unanswered_ = 0; ///< messages that were delivered or not: the line died
};

} // namespace postferry::mailbox
