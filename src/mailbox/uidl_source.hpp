#pragma once
#include "client/pop3_session.hpp"
#include "mailbox/mailbox.hpp"
#include "mailbox/pop3_mailbox.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace postferry::mailbox {

/// An IMAP source whose INBOX is also served by POP3: message_head::uidl is set from POP3's UIDLs, so that a target
/// that can keep them spares POP3 clients from downloading everything again. POP3 lists once, in ask(); which UIDL is
/// whose is found out when the first message of INBOX is fetched whole, with another look at POP3 where sizes leave a
/// doubt.
class uidl_source final : public source {
  public:
    using opener = std::function<task<result<std::unique_ptr<client::pop3_session>>>()>;

    uidl_source(std::unique_ptr<source> inner, opener open_pop3)
        : inner_(std::move(inner)), open_pop3_(std::move(open_pop3)) {}

    /// Reads the UIDLs, before anything else. An error: the POP3 server cannot be asked.
    task<result<void>> ask();

    task<result<listing>> list(bool with_octets) override { return inner_->list(with_octets); }
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override {
        return inner_->scan(folders, sink);
    }
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override {
        return inner_->search(requests, what);
    }
    task<result<void>> identities(std::span<const fetch_request> requests, const identity_teller& tell) override {
        return inner_->identities(requests, tell);
    }
    void close() noexcept override;
    task<> leave() override { return inner_->leave(); }
    [[nodiscard]] bool leaves_by_itself() const noexcept override { return inner_->leaves_by_itself(); }
    [[nodiscard]] std::vector<std::string> take_notes() override;

  private:
    using work = std::function<task<result<void>>(client::pop3_session&)>;
    task<result<void>> with_pop3(work what);
    task<result<void>> join(const fetch_request& inbox);

    std::unique_ptr<source> inner_;
    opener open_pop3_;
    std::unique_ptr<client::pop3_session> pop3_; ///< while it is asked
    maildrop drop_;
    bool joined_ = false;
    std::map<std::uint32_t, std::string> uidls_; ///< by IMAP UID
    std::vector<std::string> notes_;
};

} // namespace postferry::mailbox
