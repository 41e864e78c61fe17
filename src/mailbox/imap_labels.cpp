// One message in several folders: known by Gmail's name for it on the source, copied by COPY on the target
// (docs/adr/0020-gmail-labels.md).
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace postferry::mailbox {

namespace {

struct opened {
    folder_state state;
    std::optional<error> failure;
};

struct copy_answer {
    std::optional<error> refused;
    std::optional<imap::response_code::copy_uid> uids;
};

error unsaid(std::string_view to) {
    return {.cls = retry_class::transient,
            .where = phase::append,
            .what = fmt::format("The target copied to {} and did not say what", quote_server_text(to)),
            .server_said = {},
            .advice = "It is looked for",
            .response_code = {}};
}

// By COPYUID, which names both sides in the same order (RFC 4315, 3).
result<copied_uids> told_pairs(const copy_answer& answer, const copy_wish& wish) {
    if (!answer.uids || answer.uids->uid_validity != wish.to_uid_validity) return std::unexpected(unsaid(wish.to));
    const auto& from = answer.uids->source_in_order;
    const auto& to = answer.uids->target_in_order;
    const bool each_once = answer.uids->source.count() == from.size() && answer.uids->target.count() == to.size();
    // Some servers copy and name none or some of it (docs/quirks.md#empty-copyuid): what is not named may be there.
    const bool all = from.size() == wish.uids.count() && from.size() == to.size();
    if (!all || !each_once) return std::unexpected(unsaid(wish.to));
    copied_uids out;
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (!wish.uids.contains(from[i])) return std::unexpected(unsaid(wish.to));
        out.emplace_back(from[i], to[i]);
    }
    return out;
}

} // namespace

// quirk gmail: X-GM-MSGID is one for all labels of a message.
task<result<void>> imap_mailbox::identities(std::span<const fetch_request> requests, const identity_teller& tell) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    if (!habits_.gmail) co_return result<void>{};
    const std::size_t ranges = detail::ranges_per_command(habits_.command_octets);
    std::deque<opened> folders(requests.size()); // a deque: handlers keep references
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].uids.empty()) continue;
        if (auto ok = co_await make_room(); !ok) co_return ok;
        submit_examine(requests[i].handle, folders[i].state, folders[i].failure, true, nullptr);
        for (uid_set rest = requests[i].uids; !rest.empty();) {
            if (auto ok = co_await make_room(); !ok) co_return ok;
            const auto take = [&folder = folders[i], &tell, i, expected = requests[i].uid_validity](imap::response& r) {
                const auto* f = std::get_if<imap::fetch_data>(&r);
                if (f == nullptr || folder.failure || folder.state.uid_validity != expected) return;
                if (f->uid && f->gmail_msgid && f->flags) tell(i, *f->uid, *f->gmail_msgid, *f->flags);
            };
            // A NO costs nothing but that these messages are read once for each label.
            session_->submit(
                {fmt::format("UID FETCH {} (UID FLAGS X-GM-MSGID)", rest.take_front(UINT64_MAX, ranges).to_string())},
                take);
        }
    }
    co_return co_await session_->settle();
}

task<result<copied_uids>> imap_mailbox::copy_within(copy_wish wish) {
    // Without UIDPLUS nobody says where the copies are.
    if (!session_->capabilities().has("UIDPLUS") && !session_->capabilities().has("IMAP4REV2"))
        co_return fail(retry_class::config, phase::append, "The target does not say where copies are (no UIDPLUS)");
    opened from;
    submit_examine(std::string(wish.from), from.state, from.failure, true, nullptr);
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    if (from.failure || from.state.uid_validity != wish.from_uid_validity)
        co_return fail(retry_class::config, phase::append,
                       fmt::format("The folder {} of the target is another one now", quote_server_text(wish.from)));
    copy_answer answer;
    imap::command_encoder command = session_->encoder();
    command.raw(fmt::format("UID COPY {} ", wish.uids.to_string())).astring(wish.to);
    session_->submit(command.take(), {}, [&answer](imap::conversation::completed& c) {
        if (c.status.kind != imap::status_kind::ok)
            answer.refused = client::to_error(c.status, phase::append, "The target refused to copy within itself");
        else if (c.status.code && c.status.code->name == "COPYUID")
            answer.uids = std::move(c.status.code->uids);
    });
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    if (!answer.refused) co_return told_pairs(answer, wish);
    // An answer is an answer: COPY does all or nothing.
    if (answer.refused->cls == retry_class::protocol) answer.refused->cls = retry_class::permanent;
    co_return std::unexpected(*answer.refused);
}

} // namespace postferry::mailbox
