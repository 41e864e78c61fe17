#include "mailbox/imap_mailbox.hpp"

#include "base/text.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

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
        const bool escape = !is_utf8(wire);
        undecodable = undecodable || escape;
        name = escape ? quote_server_text(wire, 1000) : std::string(wire);
    }
    return replace_all(*name, "/", division_slash);
}

bool is_inbox(std::string_view wire) { return iequals(wire, "INBOX"); }

// INBOX at the beginning of a prefix has no case.
bool has_prefix(std::string_view wire, std::string_view prefix) {
    return istarts_with(prefix, "INBOX") ? istarts_with(wire, prefix) : wire.starts_with(prefix);
}

// The folder that holds a namespace, "shared" of "shared.", belongs to it.
bool in_namespace(std::string_view wire, const imap::namespace_data::entry& space) {
    std::string_view parent = space.prefix;
    if (space.delimiter && parent.ends_with(*space.delimiter)) parent.remove_suffix(1);
    return wire.starts_with(space.prefix) || wire == parent;
}

// What two answers about one folder have in common.
std::string folder_key(std::string_view wire, std::optional<char> delimiter) {
    if (is_inbox(wire)) return "INBOX";
    if (delimiter && wire.size() > 1 && wire.ends_with(*delimiter)) wire.remove_suffix(1);
    return std::string(wire);
}

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
                if (!entry.prefix.empty()) foreign_.push_back(entry);
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
    if (!personal_prefix.empty() && has_prefix(wire, personal_prefix)) wire.remove_prefix(personal_prefix.size());
    // quirk trailing-delimiter: some servers write it behind the name of a folder that only holds others.
    if (delimiter && wire.size() > 1 && wire.ends_with(*delimiter)) wire.remove_suffix(1);
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
    std::set<std::string, std::less<>> subscribed;
    std::map<std::string, folder_state, std::less<>> states;
    const auto take_status = [&](imap::mailbox_status& s) {
        states[folder_key(s.name, {})] = folder_state{.uid_validity = s.uid_validity.value_or(0),
                                                      .uid_next = s.uid_next.value_or(0),
                                                      .messages = s.messages.value_or(0),
                                                      .modseq = s.highest_modseq.value_or(0),
                                                      .octets = s.size};
    };
    const auto take = [&](imap::response& r) {
        if (auto* l = std::get_if<imap::list_data>(&r)) {
            if (l->kind == imap::list_data::verb::lsub)
                subscribed.insert(folder_key(l->name, l->delimiter));
            else
                found.push_back(std::move(*l));
        } else if (auto* s = std::get_if<imap::mailbox_status>(&r)) {
            take_status(*s);
        }
    };
    std::optional<error> refused;
    const auto finished = [&](imap::conversation::completed& c) {
        refused.reset();
        if (c.status.kind != imap::status_kind::ok)
            refused = client::to_error(c.status, phase::list,
                                       fmt::format("{} refused to list the folders", session_->settings().where.host));
    };
    if (extended) {
        std::string ask = "SUBSCRIBED";
        if (can.has("SPECIAL-USE")) ask += " SPECIAL-USE";
        if (with_status) ask += fmt::format(" STATUS ({})", items);
        session_->submit({fmt::format("LIST \"\" \"*\" RETURN ({})", ask)}, take, finished);
        if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    }
    // quirk list-extended: some servers trip over it (Proton), others leave INBOX out (Strato).
    const bool inbox_found = std::ranges::any_of(found, [](const imap::list_data& l) { return is_inbox(l.name); });
    const bool plainly =
        refused ? refused->cls == retry_class::protocol || refused->cls == retry_class::permanent : !inbox_found;
    if (plainly) {
        session_->submit({can.has("XLIST") && !can.has("SPECIAL-USE") ? "XLIST \"\" \"*\"" : "LIST \"\" \"*\""}, take,
                         finished);
        session_->submit({"LSUB \"\" \"*\""}, take);
        if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    }
    if (refused) co_return std::unexpected(*refused);

    std::map<std::string, std::size_t, std::less<>> at; // in out.folders
    for (imap::list_data& l : found) {
        listed_folder f;
        const std::string key = folder_key(l.name, l.delimiter);
        const bool is_subscribed = l.has("\\Subscribed") || subscribed.contains(key);
        // A LIST may name a folder twice (subscribed and present).
        if (const auto known = at.find(key); known != at.end()) {
            listed_folder& same = out.folders[known->second];
            same.subscribed = same.subscribed || is_subscribed;
            continue;
        }
        if (l.delimiter) delimiter_ = l.delimiter;
        bool undecodable = false;
        f.name = detail::decode_name(l.name, l.delimiter, personal_prefix_, undecodable);
        if (undecodable)
            out.notes.push_back(
                fmt::format("the name of folder {} is not valid modified UTF-7; it is kept as it is", f.name));
        f.handle = l.name;
        f.selectable = !l.has("\\Noselect") && !l.has("\\NonExistent");
        f.subscribed = is_subscribed;
        f.personal = std::ranges::none_of(foreign_, [&](const auto& space) { return in_namespace(l.name, space); });
        f.attributes = std::move(l.attributes);
        if (!options_.prefix.empty() && f.name != "INBOX") {
            if (!f.name.starts_with(options_.prefix + "/")) continue;
            f.name.erase(0, options_.prefix.size() + 1);
        }
        at.emplace(key, out.folders.size());
        out.folders.push_back(std::move(f));
    }
    if (!with_status || plainly) {
        for (const listed_folder& f : out.folders) {
            if (!f.selectable || !f.personal || states.contains(folder_key(f.handle, {}))) continue;
            imap::command_encoder command = session_->encoder();
            command.raw("STATUS ").astring(f.handle).raw(fmt::format(" ({})", items));
            session_->submit(command.take(), take);
            if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        }
        if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    }
    for (listed_folder& f : out.folders)
        if (const auto told = states.find(folder_key(f.handle, {})); told != states.end()) f.state = told->second;
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
