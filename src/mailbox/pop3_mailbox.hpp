#pragma once
#include "client/pop3_session.hpp"
#include "mailbox/mailbox.hpp"
#include "mailbox/name_book.hpp"
#include "mailbox/pop3_names.hpp"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postferry::mailbox {

struct pop3_options {
    std::string place;                    ///< endpoint::display(): the key in the name book
    std::size_t in_memory = 512U << 10U;  ///< octets of a message that wait for its end without a temporary file
    std::size_t commands_in_flight = 100; ///< where the server takes pipelined commands
};

/// What a maildrop holds, as STAT, LIST and UIDL tell it.
struct maildrop {
    std::vector<pop3_message> messages; ///< by ascending number
    bool uidl_refused = false;          ///< the server has no UIDL
    std::string refusal;                ///< its words, quoted
};
/// Reads it; in one round trip where the server pipelines. docs/quirks.md, "POP3".
[[nodiscard]] task<result<maildrop>> read_maildrop(client::pop3_session& session);

/// What tells a header from others, short enough for the name book.
[[nodiscard]] std::string header_print(std::string_view fields);

/// Digests of the headers of these messages (by TOP, or RETR where TOP is refused), into pop3_message::print.
[[nodiscard]] task<result<void>> read_prints(client::pop3_session& session, std::vector<pop3_message>& messages,
                                             const std::vector<std::size_t>& which, std::size_t commands_in_flight);

/// A maildrop as a source (RFC 1939): one folder INBOX without flags and dates. Never sends DELE. A maildrop does not
/// change within a session, so one look at it serves all calls.
class pop3_mailbox final : public source {
  public:
    /// @param names outlives it
    pop3_mailbox(std::unique_ptr<client::pop3_session> session, std::shared_ptr<client::block_pool> blocks,
                 name_book& names, pop3_options options);

    task<result<listing>> list(bool with_octets) override;
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override;
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override;
    void close() noexcept override { session_->close(); }
    task<> leave() override;
    [[nodiscard]] bool leaves_by_itself() const noexcept override { return true; }

    [[nodiscard]] const client::pop3_session& session() const noexcept { return *session_; }
    /// Messages that their UIDL names, of those that list() found.
    [[nodiscard]] std::size_t named_by_uidl() const noexcept { return named_by_uidl_; }

  private:
    task<result<void>> look();
    task<result<void>> name_messages(name_book::page page, name_match match);
    template <class Reader>
    task<result<void>> read_all(Reader& reader, std::span<const fetch_request> requests, bool header_only,
                                message_sink* sink);
    void say_what_is_odd(const maildrop& drop, const name_match& match);
    [[nodiscard]] folder_state state() const;
    [[nodiscard]] uid_set present() const;
    /// Why a request cannot be served, if so.
    [[nodiscard]] std::optional<error> objection(const std::string& handle, std::uint32_t uid_validity) const;

    std::unique_ptr<client::pop3_session> session_;
    std::shared_ptr<client::block_pool> blocks_;
    name_book& names_;
    pop3_options options_;
    bool looked_ = false;
    std::size_t named_by_uidl_ = 0;
    std::uint32_t uid_validity_ = 0, uid_next_ = 1;
    std::vector<pop3_message> messages_;          ///< by ascending number
    std::map<std::uint32_t, std::size_t> by_uid_; ///< index into messages_
    std::vector<std::string> notes_;
};

} // namespace postferry::mailbox
