// Which folders there are, and what state they are in.
#include "base/text.hpp"
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace postferry::mailbox {

namespace {

// The attributes that Gmail's labels of the same meaning stand for.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> gmail_labels{{{"\\Sent", "\\Sent"},
                                                                                     {"\\Draft", "\\Drafts"},
                                                                                     {"\\Drafts", "\\Drafts"},
                                                                                     {"\\Starred", "\\Flagged"},
                                                                                     {"\\Important", "\\Important"},
                                                                                     {"\\Spam", "\\Junk"},
                                                                                     {"\\Trash", "\\Trash"}}};

bool has_attribute(const listed_folder& f, std::string_view attribute) {
    return std::ranges::any_of(f.attributes, [&](const std::string& a) { return iequals(a, attribute); });
}

} // namespace

struct imap_mailbox::list_answers {
    explicit list_answers(const client::server_limits& most) : limits(most) {}

    const client::server_limits& limits;
    std::vector<imap::list_data> found;
    std::set<std::string, std::less<>> subscribed;
    std::map<std::string, folder_state, std::less<>> states; ///< by folder_key
    std::map<std::string, std::size_t, std::less<>> places;  ///< by folder_key: where in listing::folders
    std::set<std::string, std::less<>> names;
    std::optional<error> refused;
    bool bad_status = false; ///< STATUS was answered with BAD
    std::size_t names_told = 0, octets_told = 0;

    /// No mailbox has so many folders, nor names of such sizes.
    [[nodiscard]] bool too_much() const noexcept {
        return names_told > limits.names || octets_told > limits.name_octets;
    }

    void take(imap::response& r) {
        if (too_much()) return;
        note_size(r);
        if (auto* l = std::get_if<imap::list_data>(&r)) {
            if (l->kind == imap::list_data::verb::lsub)
                subscribed.insert(detail::folder_key(l->name, l->delimiter));
            else
                found.push_back(std::move(*l));
        } else if (auto* s = std::get_if<imap::mailbox_status>(&r)) {
            states[detail::folder_key(s->name, {})] = folder_state{.uid_validity = s->uid_validity.value_or(0),
                                                                   .uid_next = s->uid_next.value_or(0),
                                                                   .messages = s->messages.value_or(0),
                                                                   .modseq = s->highest_modseq.value_or(0),
                                                                   .octets = s->size};
        }
    }
    void note_size(const imap::response& r) {
        if (const auto* l = std::get_if<imap::list_data>(&r)) {
            ++names_told;
            octets_told += l->name.size();
            for (const std::string& a : l->attributes) octets_told += a.size();
        } else if (const auto* s = std::get_if<imap::mailbox_status>(&r)) {
            ++names_told;
            octets_told += s->name.size();
        }
    }
    [[nodiscard]] bool has_inbox() const {
        return std::ranges::any_of(found, [](const imap::list_data& l) { return detail::is_inbox(l.name); });
    }
};

bool imap_mailbox::lists_extended() const noexcept {
    const client::capability_set& can = session_->capabilities();
    return habits_.list_extended && (can.has("LIST-EXTENDED") || can.has("IMAP4REV2"));
}

std::string imap_mailbox::status_items(bool with_octets) const {
    const client::capability_set& can = session_->capabilities();
    std::string items = "MESSAGES UIDNEXT UIDVALIDITY";
    if (uses_condstore()) items += " HIGHESTMODSEQ";
    if (with_octets && (can.has("STATUS=SIZE") || can.has("IMAP4REV2"))) items += " SIZE";
    return items;
}

task<result<listing>> imap_mailbox::list(bool with_octets) {
    if (auto ok = co_await greet(); !ok) co_return std::unexpected(ok.error());
    ask_about_names();
    const client::capability_set& can = session_->capabilities();
    const bool extended = lists_extended();
    const bool with_status = extended && (can.has("LIST-STATUS") || can.has("IMAP4REV2"));
    list_answers answers(session_->settings().limits);
    if (extended)
        if (auto ok = co_await list_extended(answers, status_items(with_octets), with_status); !ok)
            co_return std::unexpected(ok.error());
    // quirk list-extended: some servers trip over it (Proton), others leave INBOX out (Strato).
    const std::optional<error>& no = answers.refused;
    const bool plainly =
        no ? no->cls == retry_class::protocol || no->cls == retry_class::permanent : !answers.has_inbox();
    if (plainly)
        if (auto ok = co_await list_plainly(answers); !ok) co_return std::unexpected(ok.error());
    if (answers.refused) co_return std::unexpected(*answers.refused);
    if (answers.too_much())
        co_return fail(retry_class::permanent, phase::list, "The server lists more folders than any mailbox has",
                       "Ask whoever runs it what is wrong with the account");
    recognise();

    listing out;
    if (!namespace_told_ && options_.prefix.empty()) {
        names_.prefix = detail::hidden_prefix(answers.found);
        if (!names_.prefix.empty())
            out.notes.push_back(fmt::format("every folder is below {0}: \"{0}\" is taken for the prefix of all names",
                                            quote_server_text(names_.prefix, 20)));
    }
    for (imap::list_data& l : answers.found) take_folder(l, answers, out);
    if (!with_status || plainly)
        if (auto ok = co_await ask_states(answers, out, with_octets); !ok) co_return std::unexpected(ok.error());
    for (listed_folder& f : out.folders) {
        const auto told = answers.states.find(detail::folder_key(f.handle, {}));
        if (told == answers.states.end()) continue;
        f.state = told->second;
        if (habits_.visible_messages != 0 && f.state->messages + 1 >= habits_.visible_messages)
            out.notes.push_back(fmt::format("{}: this server shows about {} messages of a folder; there may be more",
                                            f.name, habits_.visible_messages));
    }
    if (habits_.gmail) note_gmail(out);
    out.delimiter = names_.delimiter;
    out.children_of_inbox = habits_.children_of_inbox && !istarts_with(names_.prefix, "INBOX");
    out.case_insensitive = habits_.case_insensitive;
    out.trailing_spaces = habits_.trailing_spaces;
    out.refused_in_names = habits_.refused_in_names;
    out.supplementary_in_names = habits_.supplementary_in_names;
    co_return out;
}

namespace {

// Whether the last of several LIST commands was refused.
auto refusal_into(std::optional<error>& refused, const std::string& host) {
    return [&refused, &host](imap::conversation::completed& c) {
        refused.reset();
        if (c.status.kind != imap::status_kind::ok)
            refused = client::to_error(c.status, phase::list, fmt::format("{} refused to list the folders", host));
    };
}

} // namespace

task<result<void>> imap_mailbox::list_extended(list_answers& out, std::string_view items, bool with_status) {
    std::string ask = "SUBSCRIBED";
    if (session_->capabilities().has("SPECIAL-USE")) ask += " SPECIAL-USE";
    if (with_status) ask += fmt::format(" STATUS ({})", items);
    session_->submit(
        {fmt::format("LIST \"\" \"*\" RETURN ({})", ask)}, [&out](imap::response& r) { out.take(r); },
        refusal_into(out.refused, session_->settings().where.host));
    co_return co_await session_->settle();
}

task<result<void>> imap_mailbox::list_plainly(list_answers& out) {
    const client::capability_set& can = session_->capabilities();
    const auto take = [&out](imap::response& r) { out.take(r); };
    session_->submit({can.has("XLIST") && !can.has("SPECIAL-USE") ? "XLIST \"\" \"*\"" : "LIST \"\" \"*\""}, take,
                     refusal_into(out.refused, session_->settings().where.host));
    session_->submit({"LSUB \"\" \"*\""}, take);
    co_return co_await session_->settle();
}

void imap_mailbox::take_folder(imap::list_data& l, list_answers& answers, listing& out) {
    const std::string key = detail::folder_key(l.name, l.delimiter);
    const bool is_subscribed = l.has("\\Subscribed") || answers.subscribed.contains(key);
    // A LIST may name a folder twice (subscribed and present).
    if (const auto known = answers.places.find(key); known != answers.places.end()) {
        listed_folder& same = out.folders[known->second];
        same.subscribed = same.subscribed || is_subscribed;
        return;
    }
    if (l.delimiter) names_.delimiter = l.delimiter;
    detail::name_form form = names_;
    form.delimiter = l.delimiter;
    detail::decoded_name decoded = detail::decode_name(l.name, form);
    listed_folder f;
    f.name = detail::unique_name(decoded.name, key, l.delimiter, answers.names);
    if (decoded.undecodable)
        out.notes.push_back(
            fmt::format("the name of folder {} is not valid modified UTF-7; it is kept as it is", f.name));
    if (f.name != decoded.name)
        out.notes.push_back(
            fmt::format("two folders are called {}; one of them is listed as {}", decoded.name, f.name));
    f.handle = detail::is_inbox(l.name) ? l.name : key;
    f.selectable = !l.has("\\Noselect") && !l.has("\\NonExistent");
    f.subscribed = is_subscribed;
    f.personal = std::ranges::none_of(foreign_, [&](const auto& space) { return detail::in_namespace(l.name, space); });
    f.attributes = std::move(l.attributes);
    if (!options_.prefix.empty() && f.name != "INBOX") {
        if (!f.name.starts_with(options_.prefix + "/")) return;
        f.name.erase(0, options_.prefix.size() + 1);
    }
    answers.names.insert(f.name);
    answers.places.emplace(key, out.folders.size());
    out.folders.push_back(std::move(f));
}

task<result<void>> imap_mailbox::ask_states(list_answers& out, const listing& folders, bool with_octets) {
    std::string items = status_items(with_octets);
    while (true) {
        out.bad_status = false;
        for (const listed_folder& f : folders.folders) {
            if (!f.selectable || !f.personal || out.states.contains(detail::folder_key(f.handle, {}))) continue;
            imap::command_encoder command = session_->encoder();
            command.raw("STATUS ").astring(f.handle).raw(fmt::format(" ({})", items));
            session_->submit(
                command.take(), [&out](imap::response& r) { out.take(r); },
                [&out](imap::conversation::completed& c) {
                    out.bad_status = out.bad_status || c.status.kind == imap::status_kind::bad;
                });
            if (auto ok = co_await make_room(); !ok) co_return ok;
        }
        if (auto ok = co_await session_->settle(); !ok) co_return ok;
        // quirk modseq-refused: a server that offers CONDSTORE and does not know HIGHESTMODSEQ is asked without.
        if (!out.bad_status || !uses_condstore()) co_return result<void>{};
        condstore_refused_ = true;
        items = status_items(with_octets);
    }
}

// quirk gmail: which label is which folder, and what is no mail.
void imap_mailbox::note_gmail(listing& out) {
    label_handles_.clear();
    all_mail_.clear();
    for (listed_folder& f : out.folders) {
        if (!f.selectable) continue;
        if (f.name == "INBOX") label_handles_["\\Inbox"] = f.handle;
        if (has_attribute(f, "\\All")) all_mail_ = f.handle;
        bool special = has_attribute(f, "\\All");
        for (const auto& [label, attribute] : gmail_labels) {
            if (!has_attribute(f, attribute)) continue;
            label_handles_[std::string(label)] = f.handle;
            special = true;
        }
        // Only Gmail itself can put folders below [Gmail], and all but the chats say what they are for.
        const bool of_gmail = f.name.starts_with("[Gmail]/") || f.name.starts_with("[Google Mail]/");
        if (of_gmail && !special) f.left_out = "Gmail's chats are no mail";
        if (!special) label_handles_.try_emplace(f.handle, f.handle);
    }
}

} // namespace postferry::mailbox
