#include "jobs/mailbox_place.hpp"

#include "mailbox/endpoint.hpp"

#include <fmt/format.h>

namespace postferry::jobs {

namespace {

std::unexpected<error> refuse(std::string what) { return fail(retry_class::config, phase::usage, std::move(what)); }

} // namespace

result<mailbox_place> place_of(std::string_view url, std::string_view user, bool target) {
    auto end = mailbox::parse_endpoint(url, user);
    if (!end) return std::unexpected(std::move(end.error()));
    const bool pop3 = end->kind == mailbox::scheme::pop3 || end->kind == mailbox::scheme::pop3s;
    if (target && pop3) return refuse("POP3 takes no mail; a target is imap, imaps, lmtp, maildir or mbox");
    if (!target && end->kind == mailbox::scheme::lmtp) return refuse("LMTP gives no mail; it can be a target only");
    if (!mailbox::has_placeholder(url) && !end->user.empty())
        return refuse("The user does not stand in the URL; name it in the field for it");
    // As the command line counts them (app/guests.cpp).
    const bool local = mailbox::is_local(end->kind);
    return mailbox_place{.url = std::string(url),
                         .server = local ? "local" : fmt::format("{}:{}", end->where.host, end->where.port),
                         .wants_password = !local && end->kind != mailbox::scheme::lmtp && end->oauth.empty() &&
                                           end->auth != sasl::choice::external};
}

} // namespace postferry::jobs
