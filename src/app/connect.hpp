#pragma once
// From an endpoint of the command line to an open mailbox.
#include "app/guests.hpp"
#include "client/token_source.hpp"
#include "mailbox/endpoint.hpp"
#include "mailbox/imap_mailbox.hpp"
#include "mailbox/lmtp_target.hpp"
#include "mailbox/maildir_mailbox.hpp"
#include "mailbox/mbox_mailbox.hpp"
#include "mailbox/name_book.hpp"
#include "mailbox/pop3_mailbox.hpp"
#include "mailbox/uidl_source.hpp"
#include "net/awaitable.hpp"
#include "transfer/pipeline.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace postferry::app {

/// Memory and connections shared out among the mailboxes that run at once.
struct shares {
    std::size_t source_block = 256U << 10U, target_block = 32U << 10U; ///< octets read at once
    transfer::pipeline_limits pipeline;
    std::chrono::milliseconds patience{180'000}; ///< client::imap_settings::answer_patience
};
/// @param patience of each connection with a server that says nothing
[[nodiscard]] shares shares_for(std::uint32_t jobs, std::chrono::milliseconds patience) noexcept;

enum class side : std::uint8_t { source, target };

[[nodiscard]] client::server_settings settings_of(const mailbox::endpoint& where, std::chrono::milliseconds patience);

/// What the places of a mailbox are given. Outlives them.
struct services {
    shares share;
    mailbox::name_book* names = nullptr; ///< for places without UIDs; this mailbox's own (store::ledger_books::names)
    visit* stay = nullptr;               ///< what its servers may be burdened with; none: anything
    std::array<client::token_source*, 2> tokens{};    ///< of source and target, where OAuth 2 logs in
    const std::function<bool()>* may_write = nullptr; ///< asked right before anything is written to the target
};
/// Connects and logs in. Errors name the phase; see client::imap_session::open and visit::connect.
[[nodiscard]] task<result<std::unique_ptr<mailbox::imap_mailbox>>> open_imap(mailbox::endpoint where, side which,
                                                                             services with);
[[nodiscard]] task<result<std::unique_ptr<mailbox::maildir_mailbox>>> open_maildir(mailbox::endpoint where, side which,
                                                                                   services with);
[[nodiscard]] task<result<std::unique_ptr<mailbox::mbox_mailbox>>> open_mbox(mailbox::endpoint where, side which,
                                                                             services with);
[[nodiscard]] task<result<std::unique_ptr<mailbox::lmtp_target>>> open_lmtp(mailbox::endpoint where, services with);
/// The POP3 server beside an IMAP one (endpoint::uidl), with the same login.
[[nodiscard]] task<result<std::unique_ptr<client::pop3_session>>> open_uidl_session(mailbox::endpoint imap,
                                                                                    services with);
[[nodiscard]] task<result<std::unique_ptr<mailbox::pop3_mailbox>>> open_pop3(mailbox::endpoint where, services with);
/// Why the scheme cannot stand on this side: POP3 takes no mail, LMTP gives none.
[[nodiscard]] result<void> check_side(const mailbox::endpoint& where, side which);
[[nodiscard]] task<result<std::unique_ptr<mailbox::source>>> open_source(mailbox::endpoint where, services with);
[[nodiscard]] task<result<std::unique_ptr<mailbox::target>>> open_target(mailbox::endpoint where, services with);

} // namespace postferry::app
