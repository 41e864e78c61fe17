// Access rights (RFC 4314) and annotations (RFC 5464), which belong to folders and not to messages.
#include "base/text.hpp"
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace postferry::mailbox {

namespace {

// astring, as other_data keeps it: an atom or a quoted string. Nothing at the end.
std::optional<std::string> next_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return std::nullopt;
    std::string out;
    if (text.front() != '"') {
        const std::size_t end = std::min(text.find(' '), text.size());
        out = text.substr(0, end);
        text.remove_prefix(end);
        return out;
    }
    std::size_t at = 1;
    for (; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        out += text[at];
    }
    text.remove_prefix(std::min(at + 1, text.size()));
    return out;
}

// mod-rights are letters and digits only (RFC 4314, 7): what else a server sends is not sent on.
std::string letters_of(std::string_view rights) {
    std::string out;
    for (const char c : rights)
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
    return out;
}

} // namespace

// "* ACL" SP mailbox *(SP identifier SP rights), "* METADATA" SP mailbox SP "(" entries ")"
task<result<std::vector<folder_extras>>> imap_mailbox::extras(std::span<const std::string> handles) {
    if (auto ok = co_await greet(); !ok) co_return std::unexpected(ok.error());
    std::vector<folder_extras> out;
    const bool acl = session_->capabilities().has("ACL");
    const bool metadata = session_->capabilities().has("METADATA");
    if (!acl && !metadata) co_return out;
    out.resize(handles.size());
    std::size_t told_octets = 0;
    // RFC 4314, 2.1: the mailbox's owner has his rights by himself.
    const std::string& owner = session_->settings().user;
    std::size_t next = 0;
    for (const std::string& handle : handles) {
        if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        const auto take = [&, &extras = out[next++], &handle = handle](imap::response& r) {
            const auto* told = std::get_if<imap::other_data>(&r);
            if (told == nullptr) return;
            std::string_view text = told->text;
            const auto folder = next_word(text);
            if (!folder || detail::folder_key(*folder, {}) != detail::folder_key(handle, {})) return;
            if (told->keyword == "METADATA")
                extras.annotated = extras.annotated || text.find("(/") != std::string_view::npos;
            if (told->keyword != "ACL") return;
            while (auto identifier = next_word(text)) {
                const auto rights = next_word(text);
                if (!rights || iequals(*identifier, owner) || *identifier == "owner") continue;
                told_octets += identifier->size() + rights->size() + sizeof(access_right);
                if (told_octets > session_->settings().limits.name_octets) return;
                extras.rights.push_back({.identifier = std::move(*identifier), .rights = letters_of(*rights)});
            }
        };
        if (acl) {
            imap::command_encoder command = session_->encoder();
            command.raw("GETACL ").astring(handle);
            session_->submit(command.take(), take);
        }
        if (metadata) {
            imap::command_encoder command = session_->encoder();
            command.raw("GETMETADATA (DEPTH infinity) ").astring(handle).raw(" (/private /shared)");
            session_->submit(command.take(), take);
        }
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    if (told_octets > session_->settings().limits.name_octets)
        co_return fail(retry_class::permanent, phase::list,
                       "The server tells of more access rights than any mailbox has",
                       "Ask whoever runs it what is wrong with the account");
    co_return out;
}

task<result<std::vector<std::string>>> imap_mailbox::grant(std::span<const rights_wish> wishes) {
    if (auto ok = co_await greet(); !ok) co_return std::unexpected(ok.error());
    std::vector<std::string> refused;
    if (!session_->capabilities().has("ACL")) {
        if (!wishes.empty()) refused.emplace_back("the target keeps no access rights (ACL)");
        co_return refused;
    }
    for (const rights_wish& wish : wishes) {
        for (const access_right& right : wish.rights) {
            if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
            imap::command_encoder command = session_->encoder();
            command.raw("SETACL ").astring(wish.handle).space().astring(right.identifier).space().astring(right.rights);
            session_->submit(command.take(), {}, [&refused, &wish, &right](imap::conversation::completed& c) {
                if (c.status.kind == imap::status_kind::ok) return;
                refused.push_back(fmt::format("{} for \"{}\" to {}: {}", right.rights,
                                              quote_server_text(right.identifier), quote_server_text(wish.handle),
                                              client::to_error(c.status, phase::create, {}).server_said));
            });
        }
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    co_return refused;
}

} // namespace postferry::mailbox
