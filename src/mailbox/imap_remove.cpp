// --delete-extra: messages leave for good, and no others with them.
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>

namespace postferry::mailbox {

namespace {

constexpr std::size_t ranges_a_command = 500;

} // namespace

task<result<void>> imap_mailbox::remove(std::string_view handle, std::uint32_t uid_validity, uid_set uids) {
    const client::capability_set& can = session_->capabilities();
    // A plain EXPUNGE takes with it whatever the owner has marked \Deleted; UID EXPUNGE only what it names (RFC 4315).
    if (!can.has("UIDPLUS") && !can.has("IMAP4REV2"))
        co_return fail(retry_class::config, phase::store_flags,
                       fmt::format("The target {} offers no UIDPLUS: it cannot remove single messages safely",
                                   session_->settings().where.host),
                       "Leave --delete-extra away, or delete them by hand");
    if (uids.empty()) co_return result<void>{};
    folder_state state;
    std::optional<error> failure;
    submit_examine(std::string(handle), state, failure, false, nullptr);
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (failure) co_return std::unexpected(*failure);
    if (state.uid_validity != uid_validity)
        co_return fail(retry_class::transient, phase::store_flags,
                       fmt::format("UIDVALIDITY of {} changed; nothing was deleted", quote_server_text(handle)));
    std::optional<error> first;
    const auto judge = [&first, handle](imap::conversation::completed& c) {
        if (c.status.kind != imap::status_kind::ok && !first)
            first = client::to_error(c.status, phase::store_flags,
                                     fmt::format("Messages of {} could not be deleted", quote_server_text(handle)));
    };
    while (!uids.empty() && !first) {
        const std::string set = uids.take_front(UINT64_MAX, ranges_a_command).to_string();
        session_->submit({fmt::format("UID STORE {} +FLAGS.SILENT (\\Deleted)", set)}, {}, judge);
        if (auto ok = co_await session_->settle(); !ok) co_return ok;
        if (first) break; // what could not be marked must not be expunged on somebody else's mark
        session_->submit({fmt::format("UID EXPUNGE {}", set)}, {}, judge);
        if (auto ok = co_await session_->settle(); !ok) co_return ok;
    }
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

} // namespace postferry::mailbox
