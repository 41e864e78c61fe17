// What folders hold: listed, with changed flags, and searched; pipelined over all folders.
#include "mailbox/detail/uid_keeper.hpp"
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace postferry::mailbox {

namespace {

std::string search_key(const search_criterion& what) {
    if (what.larger_than) return fmt::format("LARGER {}", *what.larger_than);
    // SEARCH compares days and disregards zones (RFC 3501, 6.4.4): a day less is surely older.
    const imap::internal_date day{.unix_seconds = what.older_than_unix.value_or(0) - 86'400, .zone_minutes = 0};
    const std::string text = day.to_string().value_or(" 1-Jan-1970 00:00:00 +0000");
    const std::size_t from = text.front() == ' ' ? 1 : 0;
    return fmt::format("BEFORE {}", text.substr(from, 11 - from));
}

std::vector<uid_set> found_in(std::deque<detail::scanned>& results) {
    std::vector<uid_set> out;
    out.reserve(results.size());
    for (detail::scanned& s : results) out.push_back(std::move(s.present));
    return out;
}

} // namespace

/// One scan: of each folder EXAMINE and a list of what it holds, all of them at once; then once more what did not work.
class imap_scan {
  public:
    imap_scan(imap_mailbox& box, std::span<const scan_request> folders, scan_sink& sink)
        : box_(box), session_(*box.session_), folders_(folders), sink_(sink), keeper_(session_.settings().limits),
          results_(folders.size()) {}

    task<result<void>> run() {
        for (std::size_t i = 0; i < folders_.size(); ++i) {
            if (auto ok = co_await box_.make_room(); !ok) co_return ok;
            ask(i);
        }
        if (auto ok = co_await session_.settle(); !ok) co_return ok;
        do_without_condstore();
        for (const auto& [i, items] : again_)
            if (auto ok = co_await list_again(i, items); !ok) co_return ok;
        // quirk expunged-meanwhile: somebody removed a message while the folder was listed, and no server may say so
        // during a FETCH. The second list counts by what is there now. What flags the first has told need not be told
        // again.
        for (std::size_t i = 0; i < folders_.size(); ++i)
            if (results_[i].by_fetch && results_[i].present.count() < results_[i].state.messages)
                if (auto ok = co_await list_again(i, "UID"); !ok) co_return ok;
        for (std::size_t i = 0; i < folders_.size(); ++i) {
            if (results_[i].failure)
                sink_.failed(i, *results_[i].failure);
            else
                sink_.done(i, results_[i].state, std::move(results_[i].present));
        }
        co_return result<void>{};
    }

  private:
    void ask(std::size_t i) {
        const scan_request& want = folders_[i];
        open(i);
        // quirk gmail: what All Mail holds is mostly in other folders as well.
        if (!box_.all_mail_.empty() && want.handle == box_.all_mail_)
            box_.ask_for_labels(i, results_[i].state, results_[i].failure, sink_);
        const bool known = want.known_uid_validity != 0;
        if (box_.habits_.search && known && box_.uses_condstore() && want.known_modseq > 0) {
            ask_for_changes(i);
            list_by_search(i);
        } else if (box_.habits_.search && !known) {
            list_by_search(i);
        } else {
            list_by_fetch(i, items_of(i));
        }
    }

    [[nodiscard]] std::string_view items_of(std::size_t i) const {
        return folders_[i].known_uid_validity == 0 ? "UID" : "UID FLAGS";
    }

    void open(std::size_t i) {
        detail::scanned& s = results_[i];
        box_.submit_examine(folders_[i].handle, s.state, s.failure, true, nullptr);
    }

    // One handler for both commands that look at an open folder: a server may carry them out side by side.
    auto take(std::size_t i) {
        return [this, &s = results_[i], i](imap::response& r) {
            // Some servers stay in the folder before the one that could not be opened.
            if (s.failure) return;
            keeper_.take(s, r);
            const auto* f = std::get_if<imap::fetch_data>(&r);
            if (f != nullptr && f->uid && f->flags) sink_.flags(i, *f->uid, *f->flags);
        };
    }

    void ask_for_changes(std::size_t i) {
        session_.submit({fmt::format("UID FETCH 1:{} (UID FLAGS) (CHANGEDSINCE {})",
                                     std::max(folders_[i].known_uid_next, 2U) - 1, folders_[i].known_modseq)},
                        take(i), [this, i](imap::conversation::completed& c) {
                            // quirk changedsince-refused: then all flags are asked for.
                            if (c.status.kind != imap::status_kind::ok) again_.emplace_back(i, "UID FLAGS");
                        });
    }

    void list_by_search(std::size_t i) {
        const client::capability_set& can = session_.capabilities();
        const bool esearch = can.has("ESEARCH") || can.has("IMAP4REV2");
        session_.submit({esearch ? "UID SEARCH RETURN (ALL) ALL" : "UID SEARCH ALL"}, take(i),
                        [this, &s = results_[i], i](imap::conversation::completed& c) {
                            keeper_.end(s);
                            if (s.failure) return;
                            // quirk search-unreliable: then the messages are listed by FETCH.
                            if (c.status.kind != imap::status_kind::ok || s.present.count() != s.state.messages)
                                again_.emplace_back(i, "UID");
                        });
    }

    void list_by_fetch(std::size_t i, std::string_view items) {
        detail::scanned& s = results_[i];
        s.by_fetch = true;
        session_.submit(
            {fmt::format("UID FETCH 1:* ({})", items)},
            [this, &s, i](imap::response& r) {
                const auto* f = std::get_if<imap::fetch_data>(&r);
                if (f == nullptr || !f->uid || s.failure) return;
                keeper_.add(s, *f->uid);
                if (f->flags) sink_.flags(i, *f->uid, *f->flags);
            },
            [this, &s](imap::conversation::completed& c) {
                keeper_.end(s);
                if (s.failure) return;
                // A folder without messages may get BAD or NO for 1:* (RFC 3501, 9, seq-number).
                if (c.status.kind != imap::status_kind::ok && s.state.messages > 0)
                    s.failure = client::to_error(c.status, phase::scan, "The folder's messages could not be listed");
            });
    }

    task<result<void>> list_again(std::size_t i, std::string_view items) {
        if (results_[i].failure) co_return result<void>{};
        keeper_.drop(results_[i]);
        open(i);
        list_by_fetch(i, items);
        co_return co_await session_.settle();
    }

    // quirk modseq-refused: a server that offers CONDSTORE and does not know it.
    void do_without_condstore() {
        const auto refused = [](const detail::scanned& s) {
            return s.failure && s.failure->cls == retry_class::protocol;
        };
        for (std::size_t i = 0; i < folders_.size() && box_.uses_condstore(); ++i)
            box_.condstore_refused_ = refused(results_[i]);
        for (std::size_t i = 0; i < folders_.size() && box_.condstore_refused_; ++i) {
            if (!refused(results_[i])) continue;
            results_[i] = {};
            again_.emplace_back(i, items_of(i));
        }
    }

    imap_mailbox& box_;
    client::imap_session& session_;
    std::span<const scan_request> folders_;
    scan_sink& sink_;
    detail::uid_keeper keeper_;
    std::deque<detail::scanned> results_;                         // a deque: handlers keep references
    std::vector<std::pair<std::size_t, std::string_view>> again_; ///< with the items to ask for
};

task<result<void>> imap_mailbox::scan(std::span<const scan_request> folders, scan_sink& sink) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    imap_scan run(*this, folders, sink);
    co_return co_await run.run();
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
    detail::uid_keeper keeper(session_->settings().limits);
    std::deque<detail::scanned> results(requests.size());
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
    detail::uid_keeper keeper(session_->settings().limits);
    std::deque<detail::scanned> results(requests.size());
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

} // namespace postferry::mailbox
