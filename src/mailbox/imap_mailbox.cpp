#include "mailbox/imap_mailbox.hpp"

#include "base/text.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::mailbox {

namespace {

constexpr std::string_view division_slash = "\u2215";

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    std::string out;
    while (true) {
        const std::size_t at = text.find(from);
        out += text.substr(0, at);
        if (at == std::string_view::npos) return out;
        out += to;
        text.remove_prefix(at + from.size());
    }
}

// One level of a name from the wire; what is no valid modified UTF-7 is kept as it is if it is UTF-8, else escaped.
std::string decode_level(std::string_view wire, bool& undecodable) {
    std::optional<std::string> name = imap::decode_mutf7(wire);
    if (!name) {
        undecodable = !is_utf8(wire);
        name = undecodable ? quote_server_text(wire, 1000) : std::string(wire);
    }
    return replace_all(*name, "/", division_slash);
}

bool is_inbox(std::string_view wire) { return iequals(wire, "INBOX"); }

} // namespace

imap_mailbox::imap_mailbox(std::unique_ptr<client::imap_session> session, imap_options options)
    : session_(std::move(session)), options_(std::move(options)) {}

std::uint64_t imap_mailbox::append_limit() const noexcept {
    const auto limit = session_->capabilities().value_of("APPENDLIMIT=");
    return limit ? parse_u64(*limit).value_or(0) : 0;
}

task<result<void>> imap_mailbox::learn_namespace() {
    if (namespace_known_) co_return result<void>{};
    namespace_known_ = true;
    const client::capability_set& can = session_->capabilities();
    if (can.has("ENABLE") && can.has("CONDSTORE")) {
        session_->submit({"ENABLE CONDSTORE"});
        condstore_enabled_ = true;
    }
    if (!can.has("NAMESPACE") && !can.has("IMAP4REV2")) co_return result<void>{};
    session_->submit({"NAMESPACE"}, [this](imap::response& r) {
        const auto* data = std::get_if<imap::namespace_data>(&r);
        if (data == nullptr) return;
        if (!data->personal.empty()) {
            personal_prefix_ = data->personal.front().prefix;
            delimiter_ = data->personal.front().delimiter;
        }
        for (const auto* list : {&data->other_users, &data->shared})
            for (const auto& entry : *list)
                if (!entry.prefix.empty()) foreign_prefixes_.push_back(entry.prefix);
    });
    co_return result<void>{};
}

std::string imap_mailbox::handle_of(std::string_view name) const {
    std::string path;
    if (!options_.prefix.empty() && !is_inbox(name)) path = options_.prefix + "/";
    path += name;
    if (is_inbox(path)) return "INBOX";
    std::string wire = personal_prefix_;
    std::string_view rest = path;
    while (true) {
        const std::size_t slash = rest.find('/');
        const std::string_view level = rest.substr(0, slash);
        wire += imap::encode_mutf7(level).value_or(std::string(level));
        if (slash == std::string_view::npos) return wire;
        wire += delimiter_.value_or('/');
        rest.remove_prefix(slash + 1);
    }
}

namespace detail {

std::string decode_name(std::string_view wire, std::optional<char> delimiter, std::string_view personal_prefix,
                        bool& undecodable) {
    if (is_inbox(wire)) return "INBOX";
    if (!personal_prefix.empty() && wire.starts_with(personal_prefix)) wire.remove_prefix(personal_prefix.size());
    std::string out;
    while (true) {
        const std::size_t cut = delimiter ? wire.find(*delimiter) : std::string_view::npos;
        out += decode_level(wire.substr(0, cut), undecodable);
        if (cut == std::string_view::npos) break;
        out += '/';
        wire.remove_prefix(cut + 1);
    }
    // INBOX has no case (RFC 3501, 5.1), and neither has the first level of its children.
    if (istarts_with(out, "INBOX/")) out.replace(0, 5, "INBOX");
    return out;
}

} // namespace detail

task<result<listing>> imap_mailbox::list(bool with_octets) {
    const client::capability_set& can = session_->capabilities();
    if (auto asked = co_await learn_namespace(); !asked) co_return std::unexpected(asked.error());

    const bool extended = can.has("LIST-EXTENDED") || can.has("IMAP4REV2");
    const bool with_status = extended && (can.has("LIST-STATUS") || can.has("IMAP4REV2"));
    std::string items = "MESSAGES UIDNEXT UIDVALIDITY";
    if (can.has("CONDSTORE")) items += " HIGHESTMODSEQ";
    if (with_octets && (can.has("STATUS=SIZE") || can.has("IMAP4REV2"))) items += " SIZE";

    listing out;
    std::vector<imap::list_data> found;
    std::vector<std::string> subscribed;
    std::map<std::string, folder_state, std::less<>> states;
    const auto take_status = [&](imap::mailbox_status& s) {
        const std::string key = is_inbox(s.name) ? "INBOX" : s.name;
        states[key] = folder_state{.uid_validity = s.uid_validity.value_or(0),
                                   .uid_next = s.uid_next.value_or(0),
                                   .messages = s.messages.value_or(0),
                                   .modseq = s.highest_modseq.value_or(0),
                                   .octets = s.size};
    };
    const auto take = [&](imap::response& r) {
        if (auto* l = std::get_if<imap::list_data>(&r)) {
            if (l->kind == imap::list_data::verb::lsub)
                subscribed.push_back(l->name);
            else
                found.push_back(std::move(*l));
        } else if (auto* s = std::get_if<imap::mailbox_status>(&r)) {
            take_status(*s);
        }
    };
    std::optional<error> refused;
    const auto finished = [&](imap::conversation::completed& c) {
        if (c.status.kind != imap::status_kind::ok)
            refused = client::to_error(c.status, phase::list,
                                       fmt::format("{} refused to list the folders", session_->settings().where.host));
    };
    if (extended) {
        std::string ask = "SUBSCRIBED";
        if (can.has("SPECIAL-USE")) ask += " SPECIAL-USE";
        if (with_status) ask += fmt::format(" STATUS ({})", items);
        session_->submit({fmt::format("LIST \"\" \"*\" RETURN ({})", ask)}, take, finished);
    } else {
        session_->submit({can.has("XLIST") && !can.has("SPECIAL-USE") ? "XLIST \"\" \"*\"" : "LIST \"\" \"*\""}, take,
                         finished);
        session_->submit({"LSUB \"\" \"*\""}, take);
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    if (refused) co_return std::unexpected(*refused);

    for (imap::list_data& l : found) {
        listed_folder f;
        if (l.delimiter) delimiter_ = l.delimiter;
        bool undecodable = false;
        f.name = detail::decode_name(l.name, l.delimiter, personal_prefix_, undecodable);
        if (undecodable)
            out.notes.push_back(
                fmt::format("the name of folder {} is not valid modified UTF-7; it is kept as it is", f.name));
        f.handle = l.name;
        f.selectable = !l.has("\\Noselect") && !l.has("\\NonExistent");
        f.subscribed = l.has("\\Subscribed") || std::ranges::find(subscribed, l.name) != subscribed.end();
        f.personal =
            std::ranges::none_of(foreign_prefixes_, [&](const std::string& p) { return l.name.starts_with(p); });
        f.attributes = std::move(l.attributes);
        if (!options_.prefix.empty() && f.name != "INBOX") {
            if (!f.name.starts_with(options_.prefix + "/")) continue;
            f.name.erase(0, options_.prefix.size() + 1);
        }
        // A LIST may name a folder twice (subscribed and present); the first answer stands.
        if (std::ranges::any_of(out.folders, [&](const listed_folder& x) { return x.handle == f.handle; })) continue;
        out.folders.push_back(std::move(f));
    }
    if (!with_status) {
        for (const listed_folder& f : out.folders) {
            if (!f.selectable || !f.personal) continue;
            imap::command_encoder command = session_->encoder();
            command.raw("STATUS ").astring(f.handle).raw(fmt::format(" ({})", items));
            session_->submit(command.take(), take);
            if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        }
        if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    }
    for (listed_folder& f : out.folders)
        if (const auto at = states.find(is_inbox(f.handle) ? "INBOX" : f.handle); at != states.end())
            f.state = at->second;
    out.delimiter = delimiter_;
    out.children_of_inbox = !istarts_with(personal_prefix_, "INBOX");
    co_return out;
}

task<result<void>> imap_mailbox::make_room() {
    while (session_->talk().unfinished() >= options_.tuning.commands_in_flight) {
        if (auto ok = co_await session_->flush(); !ok) co_return ok;
        if (auto ok = co_await session_->receive(); !ok) co_return ok;
    }
    co_return result<void>{};
}

task<result<std::vector<imap::quota_data>>> imap_mailbox::quota() {
    std::vector<imap::quota_data> out;
    if (!session_->capabilities().has("QUOTA")) co_return out;
    const auto take = [&out](imap::response& r) {
        if (auto* q = std::get_if<imap::quota_data>(&r)) out.push_back(std::move(*q));
    };
    const auto status = co_await session_->run({"GETQUOTAROOT INBOX"}, take);
    if (!status) co_return std::unexpected(status.error());
    co_return out;
}

} // namespace postferry::mailbox
