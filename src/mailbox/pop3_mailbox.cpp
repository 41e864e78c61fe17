#include "mailbox/pop3_mailbox.hpp"

#include "base/text.hpp"
#include "mailbox/detail/pop3_reader.hpp"
#include "mailbox/message_spool.hpp"
#include "message/received_date.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::mailbox {

namespace {

constexpr const char* inbox = "INBOX";
/// Messages never change and bear no flags: where UIDs and number are as before, nothing has happened.
constexpr std::uint64_t only_modseq = 1;

// What a key means to the readers below: which request, which message.
std::uint64_t key_of(std::size_t request, std::uint32_t uid) { return std::uint64_t{request} << 32U | uid; }
std::size_t request_of(std::uint64_t key) { return key >> 32U; }
std::uint32_t uid_of(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

uid_set set_of(std::uint32_t uid) {
    uid_set out;
    out.add(uid);
    return out;
}

using message_of = std::function<const pop3_message&(std::uint32_t uid)>;

/// Whole messages. POP3 does not tell how long one is before its end has come.
class whole_reader final : public detail::pop3_reader {
  public:
    whole_reader(client::pop3_session& session, const pop3_options& options,
                 const std::shared_ptr<client::block_pool>& blocks, message_of look_up, message_sink& sink)
        : pop3_reader(session, options.commands_in_flight), spool_(options.in_memory, blocks),
          look_up_(std::move(look_up)), sink_(sink) {}

  private:
    task<result<void>> begin(std::uint64_t) override {
        spool_.clear();
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) override {
        co_return co_await spool_.add(owner, octets);
    }
    task<result<void>> end(std::uint64_t key) override {
        if (spool_.octets() == 0) { // quirk empty-body
            sink_.missing(request_of(key), set_of(uid_of(key)), std::nullopt);
            co_return result<void>{};
        }
        co_return co_await spool_.deliver({.request = request_of(key),
                                           .uid = uid_of(key),
                                           .flags = {},
                                           .date = {},
                                           .octets = 0,
                                           .uidl = look_up_(uid_of(key)).uidl},
                                          sink_);
    }
    void refused(std::uint64_t key, const error& why) override {
        sink_.missing(request_of(key), set_of(uid_of(key)), why);
    }

    message_spool spool_;
    message_of look_up_;
    message_sink& sink_;
};

class fingerprint_reader final : public detail::header_reader {
  public:
    fingerprint_reader(client::pop3_session& session, const pop3_options& options, message_of look_up,
                       message_sink& sink)
        : header_reader(session, options.commands_in_flight), look_up_(std::move(look_up)), sink_(sink) {}

  private:
    void header(std::uint64_t key, std::string_view fields) override {
        const pop3_message& m = look_up_(uid_of(key));
        sink_.header({.request = request_of(key),
                      .uid = uid_of(key),
                      .flags = {},
                      .date = {},
                      .octets = m.octets,
                      .uidl = m.uidl},
                     fields);
    }
    void refused(std::uint64_t key, const error& why) override {
        sink_.missing(request_of(key), set_of(uid_of(key)), why);
    }

    message_of look_up_;
    message_sink& sink_;
};

/// Which messages are older than a moment, by the date that a copy would be given.
class age_reader final : public detail::header_reader {
  public:
    age_reader(client::pop3_session& session, const pop3_options& options, std::int64_t older_than,
               std::vector<uid_set>& out)
        : header_reader(session, options.commands_in_flight), older_than_(older_than), out_(out) {}

  private:
    void header(std::uint64_t key, std::string_view fields) override {
        const auto date = message::received_date(fields);
        if (date && date->unix_seconds < older_than_) out_[request_of(key)].add(uid_of(key));
    }
    void refused(std::uint64_t, const error&) override {}

    std::int64_t older_than_;
    std::vector<uid_set>& out_;
};

} // namespace

pop3_mailbox::pop3_mailbox(std::unique_ptr<client::pop3_session> session, std::shared_ptr<client::block_pool> blocks,
                           name_book& names, pop3_options options)
    : session_(std::move(session)), blocks_(std::move(blocks)), names_(names), options_(std::move(options)) {}

folder_state pop3_mailbox::state() const {
    std::uint64_t octets = 0;
    for (const pop3_message& m : messages_) octets += m.octets;
    return {.uid_validity = uid_validity_,
            .uid_next = uid_next_,
            .messages = static_cast<std::uint32_t>(messages_.size()),
            .modseq = only_modseq,
            .octets = octets};
}

uid_set pop3_mailbox::present() const {
    uid_set out;
    for (const auto& [uid, at] : by_uid_) out.add(uid);
    return out;
}

task<result<listing>> pop3_mailbox::list(bool) {
    if (auto ok = co_await look(); !ok) co_return std::unexpected(ok.error());
    listing out;
    out.notes = notes_;
    out.folders.push_back({.name = inbox, .handle = inbox, .attributes = {}, .subscribed = true, .state = state()});
    co_return out;
}

task<result<void>> pop3_mailbox::look() {
    if (std::exchange(looked_, true)) co_return result<void>{};
    auto page = co_await names_.open(options_.place, inbox);
    if (!page) co_return std::unexpected(page.error());
    auto drop = co_await read_maildrop(*session_);
    if (!drop) co_return std::unexpected(drop.error());
    const bool had_uidls = std::ranges::any_of(page->entries, [](const auto& e) { return !e.name.starts_with(' '); });
    if (drop->uidl_refused && had_uidls) {
        // Without them every message would look new.
        error why{.cls = retry_class::transient,
                  .where = phase::list,
                  .what = "The server gave unique IDs (UIDL) before and refuses them now",
                  .server_said = drop->refusal,
                  .advice = "If it stays so, begin a new ledger with --state: what is on the target is found again",
                  .response_code = {}};
        co_return std::unexpected(std::move(why));
    }
    messages_ = std::move(drop->messages);
    name_match match = match_names(*page, messages_);
    if (!match.need_print.empty()) {
        auto ok = co_await read_prints(*session_, messages_, match.need_print, options_.commands_in_flight);
        if (!ok) co_return ok;
        match = match_names(*page, messages_);
    }
    drop->messages.clear();
    say_what_is_odd(*drop, match);
    co_return co_await name_messages(std::move(*page), std::move(match));
}

task<result<void>> pop3_mailbox::name_messages(name_book::page page, name_match match) {
    uid_validity_ = page.uid_validity;
    uid_next_ = page.uid_next;
    std::vector<std::size_t> fresh;
    std::vector<std::string> names;
    std::ranges::sort(match.same_uidl);
    for (std::size_t i = 0; i < messages_.size(); ++i) {
        messages_[i].uid = match.uids[i];
        if (match.uids[i] != 0) continue;
        const bool unique = !messages_[i].uidl.empty() && !std::ranges::binary_search(match.same_uidl, i);
        fresh.push_back(i);
        names.push_back(book_name(messages_[i], unique));
    }
    if (!match.gone.empty() && may_forget(page.entries.size(), match.gone.size()))
        if (auto ok = co_await names_.remove(options_.place, inbox, std::move(match.gone)); !ok) co_return ok;
    if (!fresh.empty()) {
        const auto given = co_await names_.add(options_.place, inbox, std::move(names));
        if (!given) co_return std::unexpected(given.error());
        for (std::size_t k = 0; k < fresh.size(); ++k) messages_[fresh[k]].uid = (*given)[k].uid;
        uid_next_ = given->back().uid + 1;
    }
    for (std::size_t i = 0; i < messages_.size(); ++i) by_uid_.emplace(messages_[i].uid, i);
    co_return result<void>{};
}

void pop3_mailbox::say_what_is_odd(const maildrop& drop, const name_match& match) {
    const auto blank = static_cast<std::size_t>(std::ranges::count(messages_, std::string(), &pop3_message::uidl));
    named_by_uidl_ = messages_.size() - blank - match.same_uidl.size();
    const std::string_view how = "recognised by header and size; those that agree in both count as equal";
    if (drop.uidl_refused)
        notes_.push_back(fmt::format("POP3: the server gives no unique IDs (UIDL); messages are {}", how));
    else if (blank > 0)
        notes_.push_back(
            fmt::format("POP3: {} of {} messages have no unique ID (UIDL); they are {}", blank, messages_.size(), how));
    if (!match.same_uidl.empty())
        notes_.push_back(fmt::format("POP3: {} messages share their unique ID (UIDL) with another; they are {}",
                                     match.same_uidl.size(), how));
}

std::optional<error> pop3_mailbox::objection(const std::string& handle, std::uint32_t uid_validity) const {
    if (handle != inbox) return fail(retry_class::permanent, phase::scan, "POP3 has no folder but INBOX").error();
    if (uid_validity != 0 && uid_validity != uid_validity_)
        return fail(retry_class::transient, phase::fetch, "The folder's UIDVALIDITY changed while it was being read",
                    "It is planned again")
            .error();
    return std::nullopt;
}

task<result<void>> pop3_mailbox::scan(std::span<const scan_request> folders, scan_sink& sink) {
    if (auto ok = co_await look(); !ok) co_return ok;
    for (std::size_t i = 0; i < folders.size(); ++i) {
        if (auto why = objection(folders[i].handle, 0))
            sink.failed(i, std::move(*why));
        else
            sink.done(i, state(), present());
    }
    co_return result<void>{};
}

/// Asks `reader` for every message of the requests that is there, in the order of their UIDs.
template <class Reader>
task<result<void>> pop3_mailbox::read_all(Reader& reader, std::span<const fetch_request> requests, bool header_only,
                                          message_sink* sink) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (auto why = objection(requests[i].handle, requests[i].uid_validity)) {
            if (sink != nullptr) sink->unavailable(i, std::move(*why));
            continue;
        }
        for (const auto& [uid, at] : by_uid_) {
            if (!requests[i].uids.contains(uid)) continue;
            if (auto ok = co_await session_->pace(header_only ? 0 : 1); !ok) co_return ok;
            if (auto ok = co_await reader.ask(messages_[at].number, key_of(i, uid), header_only); !ok) co_return ok;
        }
    }
    auto ok = co_await reader.finish();
    for (std::size_t i = 0; ok && sink != nullptr && i < requests.size(); ++i) {
        if (objection(requests[i].handle, requests[i].uid_validity)) continue;
        uid_set absent = requests[i].uids;
        absent.remove(present());
        if (!absent.empty()) sink->missing(i, std::move(absent), std::nullopt);
    }
    co_return ok;
}

task<result<void>> pop3_mailbox::fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) {
    if (auto ok = co_await look(); !ok) co_return ok;
    const message_of look_up = [this](std::uint32_t uid) -> const pop3_message& { return messages_[by_uid_.at(uid)]; };
    if (part == fetch_part::whole) {
        whole_reader reader(*session_, options_, blocks_, look_up, sink);
        co_return co_await read_all(reader, requests, false, &sink);
    }
    fingerprint_reader reader(*session_, options_, look_up, sink);
    co_return co_await read_all(reader, requests, true, &sink);
}

task<result<std::vector<uid_set>>> pop3_mailbox::search(std::span<const fetch_request> requests,
                                                        search_criterion what) {
    if (auto ok = co_await look(); !ok) co_return std::unexpected(ok.error());
    std::vector<uid_set> out(requests.size());
    if (what.larger_than) {
        for (std::size_t i = 0; i < requests.size(); ++i)
            for (const pop3_message& m : messages_)
                if (m.octets > *what.larger_than && requests[i].uids.contains(m.uid)) out[i].add(m.uid);
        co_return out;
    }
    age_reader reader(*session_, options_, what.older_than_unix.value_or(0), out);
    if (auto ok = co_await read_all(reader, requests, true, nullptr); !ok) co_return std::unexpected(ok.error());
    co_return out;
}

// QUIT removes nothing that was not marked with DELE, unless it is the server's rule that what was read goes.
task<> pop3_mailbox::leave() { co_await session_->quit(!client::removes_what_was_read(session_->capabilities())); }

} // namespace postferry::mailbox
