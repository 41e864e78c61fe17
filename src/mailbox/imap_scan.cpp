// Everything that asks about folders and changes small things in them, pipelined over all folders.
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>

namespace postferry::mailbox {

namespace {

// What EXAMINE or SELECT says about the folder (RFC 3501, 6.3.1; RFC 7162, 3.1.2.1).
void read_select_data(imap::response& r, folder_state& state,
                      std::optional<std::vector<std::string>>* permanent_flags) {
    if (const auto* n = std::get_if<imap::number_data>(&r);
        n != nullptr && n->kind == imap::number_data::verb::exists) {
        state.messages = n->number;
        return;
    }
    const auto* status = std::get_if<imap::status_response>(&r);
    if (status == nullptr || !status->code) return;
    const imap::response_code& code = *status->code;
    if (code.name == "PERMANENTFLAGS" && code.flags && permanent_flags != nullptr) *permanent_flags = *code.flags;
    if (!code.number) return;
    if (code.name == "UIDVALIDITY") state.uid_validity = static_cast<std::uint32_t>(*code.number);
    if (code.name == "UIDNEXT") state.uid_next = static_cast<std::uint32_t>(*code.number);
    if (code.name == "HIGHESTMODSEQ") state.modseq = *code.number;
}

std::string search_key(const search_criterion& what) {
    if (what.larger_than) return fmt::format("LARGER {}", *what.larger_than);
    // SEARCH compares days and disregards zones (RFC 3501, 6.4.4): a day less is surely older.
    const imap::internal_date day{.unix_seconds = what.older_than_unix.value_or(0) - 86'400, .zone_minutes = 0};
    const std::string text = day.to_string().value_or(" 1-Jan-1970 00:00:00 +0000");
    const std::size_t from = text.front() == ' ' ? 1 : 0;
    return fmt::format("BEFORE {}", text.substr(from, 11 - from));
}

struct scanned {
    folder_state state;
    std::optional<error> failure;
    uid_set present;
    bool by_fetch = false; ///< that is how it was listed
};

/// Keeps the UIDs that a server tells, of many folders, as long as they are as many as a mailbox may have.
class uid_keeper {
  public:
    explicit uid_keeper(const client::server_limits& limits) : limits_(limits) {}

    void add(scanned& s, std::uint32_t uid) {
        if (s.failure) return;
        const std::size_t before = s.present.ranges().size();
        s.present.add(uid);
        settle(s, before);
    }
    void add(scanned& s, const uid_set& more) {
        if (s.failure) return;
        const std::size_t before = s.present.ranges().size();
        s.present.add(more);
        settle(s, before);
    }
    void take(scanned& s, const imap::response& r) {
        if (const auto* e = std::get_if<imap::esearch_data>(&r); e != nullptr && e->all) add(s, *e->all);
        if (const auto* n = std::get_if<imap::search_data>(&r))
            for (const std::uint32_t uid : n->numbers) add(s, uid);
    }
    /// It is told anew.
    void drop(scanned& s) {
        ranges_ -= s.present.ranges().size();
        s.present = {};
    }
    /// All of it has been told.
    void end(scanned& s) {
        if (!s.failure && s.present.count() > limits_.messages) give_up(s);
    }
    [[nodiscard]] const std::optional<error>& overfull() const noexcept { return overfull_; }

  private:
    void settle(scanned& s, std::size_t before) {
        ranges_ = ranges_ - before + s.present.ranges().size();
        if (ranges_ > limits_.uid_ranges) give_up(s);
    }
    void give_up(scanned& s) {
        drop(s);
        s.failure = fail(retry_class::permanent, phase::scan, "The server tells of more messages than any mailbox has",
                         "Ask whoever runs it what is wrong with the account")
                        .error();
        overfull_ = s.failure;
    }

    const client::server_limits& limits_;
    std::size_t ranges_ = 0;
    std::optional<error> overfull_;
};

std::vector<uid_set> found_in(std::deque<scanned>& results) {
    std::vector<uid_set> out;
    out.reserve(results.size());
    for (scanned& s : results) out.push_back(std::move(s.present));
    return out;
}

} // namespace

void imap_mailbox::submit_examine(const std::string& handle, folder_state& state, std::optional<error>& failure,
                                  bool read_only, std::optional<std::vector<std::string>>* permanent_flags) {
    imap::command_encoder command = session_->encoder();
    command.raw(read_only ? "EXAMINE " : "SELECT ").astring(handle);
    if (uses_condstore()) command.raw(" (CONDSTORE)");
    session_->submit(
        command.take(), [&state, permanent_flags](imap::response& r) { read_select_data(r, state, permanent_flags); },
        [&failure, handle](imap::conversation::completed& c) {
            if (c.status.kind != imap::status_kind::ok)
                failure = client::to_error(c.status, phase::scan,
                                           fmt::format("The folder {} could not be opened", quote_server_text(handle)));
        });
}

task<result<void>> imap_mailbox::scan(std::span<const scan_request> folders, scan_sink& sink) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    const client::capability_set& can = session_->capabilities();
    const bool esearch = can.has("ESEARCH") || can.has("IMAP4REV2");
    uid_keeper keeper(session_->settings().limits);
    std::deque<scanned> results(folders.size());                 // a deque: handlers keep references
    std::vector<std::pair<std::size_t, std::string_view>> again; // with the items to ask for

    const auto list_by_fetch = [&](std::size_t i, std::string_view items) {
        scanned& s = results[i];
        s.by_fetch = true;
        session_->submit(
            {fmt::format("UID FETCH 1:* ({})", items)},
            [&s, &sink, &keeper, i](imap::response& r) {
                const auto* f = std::get_if<imap::fetch_data>(&r);
                if (f == nullptr || !f->uid || s.failure) return;
                keeper.add(s, *f->uid);
                if (f->flags) sink.flags(i, *f->uid, *f->flags);
            },
            [&s, &keeper](imap::conversation::completed& c) {
                keeper.end(s);
                if (s.failure) return;
                // A folder without messages may get BAD or NO for 1:* (RFC 3501, 9, seq-number).
                if (c.status.kind != imap::status_kind::ok && s.state.messages > 0)
                    s.failure = client::to_error(c.status, phase::scan, "The folder's messages could not be listed");
            });
    };
    // One handler for both commands that look at an open folder: a server may carry them out side by side.
    const auto take = [&](std::size_t i) {
        return [&s = results[i], &sink, &keeper, i](imap::response& r) {
            // Some servers stay in the folder before the one that could not be opened.
            if (s.failure) return;
            keeper.take(s, r);
            const auto* f = std::get_if<imap::fetch_data>(&r);
            if (f != nullptr && f->uid && f->flags) sink.flags(i, *f->uid, *f->flags);
        };
    };
    const auto list_by_search = [&](std::size_t i) {
        scanned& s = results[i];
        session_->submit({esearch ? "UID SEARCH RETURN (ALL) ALL" : "UID SEARCH ALL"}, take(i),
                         [&s, &again, &keeper, i](imap::conversation::completed& c) {
                             keeper.end(s);
                             if (s.failure) return;
                             // Some servers search badly (docs/quirks.md#search-unreliable): then the messages are
                             // listed by FETCH.
                             if (c.status.kind != imap::status_kind::ok || s.present.count() != s.state.messages)
                                 again.emplace_back(i, "UID");
                         });
    };
    const auto open_folder = [&](std::size_t i) {
        scanned& s = results[i];
        submit_examine(folders[i].handle, s.state, s.failure, true, nullptr);
    };

    for (std::size_t i = 0; i < folders.size(); ++i) {
        if (auto ok = co_await make_room(); !ok) co_return ok;
        const scan_request& want = folders[i];
        open_folder(i);
        // quirk gmail: what All Mail holds is mostly in other folders as well.
        if (!all_mail_.empty() && want.handle == all_mail_)
            ask_for_labels(i, results[i].state, results[i].failure, sink);
        if (want.known_uid_validity == 0) {
            if (habits_.search)
                list_by_search(i);
            else
                list_by_fetch(i, "UID");
        } else if (habits_.search && uses_condstore() && want.known_modseq > 0) {
            session_->submit({fmt::format("UID FETCH 1:{} (UID FLAGS) (CHANGEDSINCE {})",
                                          std::max(want.known_uid_next, 2U) - 1, want.known_modseq)},
                             take(i), [&again, i](imap::conversation::completed& c) {
                                 // quirk changedsince-refused: then all flags are asked for.
                                 if (c.status.kind != imap::status_kind::ok) again.emplace_back(i, "UID FLAGS");
                             });
            list_by_search(i);
        } else {
            list_by_fetch(i, "UID FLAGS");
        }
    }
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    // quirk modseq-refused: a server that offers CONDSTORE and does not know it.
    for (std::size_t i = 0; i < folders.size() && uses_condstore(); ++i)
        condstore_refused_ = results[i].failure && results[i].failure->cls == retry_class::protocol;
    for (std::size_t i = 0; i < folders.size() && condstore_refused_; ++i) {
        if (!results[i].failure || results[i].failure->cls != retry_class::protocol) continue;
        results[i] = {};
        again.emplace_back(i, folders[i].known_uid_validity == 0 ? "UID" : "UID FLAGS");
    }
    const auto list_again = [&](std::size_t i, std::string_view items) -> task<result<void>> {
        if (results[i].failure) co_return result<void>{};
        keeper.drop(results[i]);
        open_folder(i);
        list_by_fetch(i, items);
        co_return co_await session_->settle();
    };
    for (const auto& [i, items] : again)
        if (auto ok = co_await list_again(i, items); !ok) co_return ok;
    // quirk expunged-meanwhile: somebody removed a message while the folder was listed, and no server may say so during
    // a FETCH. The second list counts by what is there now. What flags the first has told need not be told again.
    for (std::size_t i = 0; i < folders.size(); ++i)
        if (results[i].by_fetch && results[i].present.count() < results[i].state.messages)
            if (auto ok = co_await list_again(i, "UID"); !ok) co_return ok;
    for (std::size_t i = 0; i < folders.size(); ++i) {
        if (results[i].failure)
            sink.failed(i, *results[i].failure);
        else
            sink.done(i, results[i].state, std::move(results[i].present));
    }
    co_return result<void>{};
}

// Which folders hold a message of All Mail as well, from its labels.
void imap_mailbox::ask_for_labels(std::size_t request, const folder_state& state, std::optional<error>& failure,
                                  scan_sink& sink) {
    session_->submit(
        {"UID FETCH 1:* (UID X-GM-LABELS)"},
        [this, request, &failure, &sink](imap::response& r) {
            const auto* f = std::get_if<imap::fetch_data>(&r);
            if (f == nullptr || !f->uid || failure) return;
            std::vector<std::string> handles;
            for (const std::string& label : f->gmail_labels)
                if (const auto at = label_handles_.find(label); at != label_handles_.end())
                    handles.push_back(at->second);
            if (!handles.empty()) sink.also_in(request, *f->uid, handles);
        },
        [&state, &failure](imap::conversation::completed& c) {
            // Without them every message would be copied twice.
            if (!failure && c.status.kind != imap::status_kind::ok && state.messages > 0)
                failure = client::to_error(c.status, phase::scan, "Gmail's labels could not be read");
        });
}

task<result<std::vector<uid_set>>> imap_mailbox::search(std::span<const fetch_request> requests,
                                                        search_criterion what) {
    if (auto ok = co_await greet(); !ok) co_return std::unexpected(ok.error());
    // Numbers of SEARCH have 32 bits, and Cyrus, which says APPENDLIMIT=4294967295, ends the session at that very
    // number: docs/quirks.md#number-too-big. No server tells of a message that is larger.
    if (what.larger_than && *what.larger_than >= UINT32_MAX) co_return std::vector<uid_set>(requests.size());
    if (!habits_.search) co_return co_await search_by_fetch(requests, what);
    const std::string key = search_key(what);
    const bool esearch = session_->capabilities().has("ESEARCH") || session_->capabilities().has("IMAP4REV2");
    uid_keeper keeper(session_->settings().limits);
    std::deque<scanned> results(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].uids.empty()) continue;
        if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        submit_examine(requests[i].handle, results[i].state, results[i].failure, true, nullptr);
        session_->submit(
            {fmt::format("UID SEARCH {}{}", esearch ? "RETURN (ALL) " : "", key)},
            [&s = results[i], &keeper](imap::response& r) { keeper.take(s, r); },
            [&s = results[i], &keeper](imap::conversation::completed&) { keeper.end(s); });
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    if (keeper.overfull()) co_return std::unexpected(*keeper.overfull());
    co_return found_in(results);
}

// quirk yandex: SEARCH cannot be trusted, the sizes and dates themselves can.
task<result<std::vector<uid_set>>> imap_mailbox::search_by_fetch(std::span<const fetch_request> requests,
                                                                 search_criterion what) {
    uid_keeper keeper(session_->settings().limits);
    std::deque<scanned> results(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].uids.empty()) continue;
        if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        submit_examine(requests[i].handle, results[i].state, results[i].failure, true, nullptr);
        session_->submit({"UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)"},
                         [&s = results[i], &keeper, what](imap::response& r) {
                             const auto* f = std::get_if<imap::fetch_data>(&r);
                             if (f == nullptr || !f->uid) return;
                             const bool larger = what.larger_than && f->rfc822_size.value_or(0) > *what.larger_than;
                             const bool older = what.older_than_unix && f->date &&
                                                f->date->unix_seconds < *what.older_than_unix - 86'400;
                             if (larger || older) keeper.add(s, *f->uid);
                         });
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    if (keeper.overfull()) co_return std::unexpected(*keeper.overfull());
    co_return found_in(results);
}

task<result<std::vector<prepared_folder>>> imap_mailbox::prepare(std::span<const folder_wish> wishes) {
    if (auto ok = co_await greet(); !ok) co_return std::unexpected(ok.error());
    std::vector<prepared_folder> out(wishes.size());
    std::vector<std::optional<error>> create_failure(wishes.size());
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        const std::string& handle = wishes[i].handle;
        out[i].handle = handle;
        if (wishes[i].create) {
            imap::command_encoder command = session_->encoder();
            command.raw("CREATE ").astring(handle);
            session_->submit(command.take(), {},
                             [&slot = create_failure[i], &name = handle](imap::conversation::completed& c) {
                                 if (c.status.kind != imap::status_kind::ok)
                                     slot = client::to_error(
                                         c.status, phase::create,
                                         fmt::format("The folder {} could not be created", quote_server_text(name)));
                             });
        }
        submit_examine(handle, out[i].state, out[i].failure, false, &out[i].permanent_flags);
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    for (std::size_t i = 0; i < wishes.size() && uses_condstore(); ++i) // quirk modseq-refused
        condstore_refused_ = out[i].failure && out[i].failure->cls == retry_class::protocol;
    for (std::size_t i = 0; i < wishes.size() && condstore_refused_; ++i) {
        if (!out[i].failure || out[i].failure->cls != retry_class::protocol) continue;
        out[i].failure.reset();
        submit_examine(wishes[i].handle, out[i].state, out[i].failure, false, &out[i].permanent_flags);
        if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    }
    // A CREATE that failed because the folder is there is no failure: it could be opened.
    for (std::size_t i = 0; i < wishes.size(); ++i)
        if (out[i].failure && create_failure[i]) out[i].failure = create_failure[i];
    co_return out;
}

task<result<void>> imap_mailbox::subscribe(std::span<const std::string> handles) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    std::optional<error> first;
    for (const std::string& handle : handles) {
        if (auto ok = co_await make_room(); !ok) co_return ok;
        imap::command_encoder command = session_->encoder();
        command.raw("SUBSCRIBE ").astring(handle);
        session_->submit(command.take(), {}, [&first, &handle](imap::conversation::completed& c) {
            if (c.status.kind != imap::status_kind::ok && !first)
                first =
                    client::to_error(c.status, phase::subscribe,
                                     fmt::format("The folder {} could not be subscribed", quote_server_text(handle)));
        });
    }
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

task<result<void>> imap_mailbox::change_flags(std::string_view handle, std::span<const flag_change> changes) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    scanned opened;
    submit_examine(std::string(handle), opened.state, opened.failure, false, nullptr);
    // The UIDs must mean what they meant before anything is changed by them.
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (opened.failure) co_return std::unexpected(*opened.failure);
    for (const flag_change& c : changes)
        if (c.uid_validity != 0 && c.uid_validity != opened.state.uid_validity)
            co_return fail(retry_class::transient, phase::store_flags,
                           fmt::format("The UIDVALIDITY of folder {} changed; its flags were left alone",
                                       quote_server_text(handle)));
    std::optional<error> first;
    const auto submit_store = [&](const uid_set& uids, char sign, const std::vector<std::string>& flags) {
        if (flags.empty()) return;
        uid_set rest = uids;
        const std::size_t ranges = detail::ranges_per_command(habits_.command_octets);
        while (!rest.empty())
            session_->submit(
                {fmt::format("UID STORE {} {}FLAGS.SILENT ({})", rest.take_front(UINT64_MAX, ranges).to_string(), sign,
                             fmt::join(flags, " "))},
                {}, [&first](imap::conversation::completed& c) {
                    if (c.status.kind != imap::status_kind::ok && !first)
                        first = client::to_error(c.status, phase::store_flags, "Flags could not be changed");
                });
    };
    for (const flag_change& c : changes) {
        if (auto ok = co_await make_room(); !ok) co_return ok;
        submit_store(c.uids, '+', c.add);
        submit_store(c.uids, '-', c.remove);
    }
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

} // namespace postferry::mailbox
