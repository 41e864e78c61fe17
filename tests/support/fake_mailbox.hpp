#pragma once
// A mail server in memory behind the interfaces of the transfer engine: what it holds outlives its connections, and
// each thing it does is an operation before which the line can die. One thread, no time.
#include "mailbox/mailbox.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postferry::support {

using namespace mailbox;

inline constexpr std::int64_t some_day = 1'000'000'000; ///< 2001-09-09

struct fake_message {
    std::string body;
    std::vector<std::string> flags;
    std::optional<message_date> date = message_date{.unix_seconds = some_day, .zone_minutes = 0};
    std::uint64_t modseq = 0;
    bool literal8 = false; ///< as it came
    std::uint64_t id = 0;  ///< its name over all folders (X-GM-MSGID); 0: none
};

struct fake_folder {
    std::uint32_t uid_validity = 100, uid_next = 1;
    std::uint64_t modseq = 1;
    std::map<std::uint32_t, fake_message> messages;
    std::vector<std::string> attributes;
    bool selectable = true, personal = true, subscribed = false;
    std::optional<std::vector<std::string>> permanent_flags;

    std::uint32_t add(fake_message m) {
        m.modseq = ++modseq;
        messages.emplace(uid_next, std::move(m));
        return uid_next++;
    }
    std::uint32_t add(std::string body, std::vector<std::string> flags = {}) {
        return add(fake_message{.body = std::move(body), .flags = std::move(flags)});
    }
    void set_flags(std::uint32_t uid, std::vector<std::string> flags) {
        messages.at(uid).flags = std::move(flags);
        messages.at(uid).modseq = ++modseq;
    }
    void erase(std::uint32_t uid) {
        messages.erase(uid);
        ++modseq;
    }
};

inline error lost_line(phase where) {
    return {.cls = retry_class::transient,
            .where = where,
            .what = "The connection was lost",
            .server_said = {},
            .advice = {},
            .response_code = {}};
}

/// The error that a NO or BAD becomes.
inline error refusal(retry_class cls, std::string code, std::string said) {
    return {.cls = cls,
            .where = phase::append,
            .what = "The target refused",
            .server_said = std::move(said),
            .advice = {},
            .response_code = std::move(code)};
}

/// What the server holds and how it behaves, over all connections. Folder names are handles.
class fake_server {
  public:
    std::map<std::string, fake_folder> folders{{"INBOX", {}}};
    fake_folder& inbox() { return folders["INBOX"]; }

    // Abilities.
    bool uidplus = true, condstore = true;
    bool binary = false; ///< takes literal8
    bool copies = true;  ///< from folder to folder
    bool tells_uid_next = true;
    std::uint64_t append_limit = 0;
    std::size_t chunk_octets = 64;
    std::size_t batch_messages = 3, batches_in_flight = 2;
    bool keeps_flagged = true, keeps_uids = false;
    bool leaves_by_itself = false;
    std::function<void()> on_recorded; ///< it waits for the books behind each answer

    // Misbehaviour.
    std::optional<std::uint64_t> dies_at; ///< the line dies instead of this operation (counted from 1), once
    std::optional<error> dies_of;         ///< the last words; none: the line is lost
    bool stores_after_death = false;      ///< batches that were complete when the line died are stored all the same
    std::string kills_line;               ///< a body with this text takes the line with it, each time
    std::string refuses;                  ///< a batch in which a body has this text is refused with `refuses_with`
    error refuses_with = refusal(retry_class::permanent, "", "Message is not to my liking");
    std::function<std::optional<error>(const fake_message&)> judges; ///< what it says to a message that it refuses
    std::optional<std::size_t> quota;                                ///< messages, over all folders
    std::size_t throttles = 0; ///< so many batches are answered with a request for a pause
    std::uint32_t backoff_ms = 0;
    std::set<std::pair<std::string, std::uint32_t>> no_body; ///< OK, but no message
    std::set<std::uint32_t> halves;                          ///< put together from header and text
    std::function<std::string(std::string)> alters;          ///< what becomes of a body that is stored
    std::function<bool(const std::string&)> swallows;        ///< OK to a body that is then not there
    bool swallowed_takes_uid = true;                         ///< or its number is not given away
    std::optional<error> refuses_removal, refuses_copy;
    std::optional<error> refuses_login;
    unsigned most_logins = UINT32_MAX; ///< the next one is refused for now
    /// Called before each operation with its name ("scan INBOX", "fetch INBOX 3"): tests change the world here.
    std::function<void(std::string_view)> on_operation;

    std::vector<std::string> operations; ///< since the last clear()
    std::uint64_t count = 0;             ///< of all of them
    unsigned logins = 0, left = 0;

    [[nodiscard]] std::size_t done(std::string_view prefix) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(operations, [&](const std::string& o) { return o.starts_with(prefix); }));
    }
    [[nodiscard]] std::size_t messages() const {
        std::size_t n = 0;
        for (const auto& [name, f] : folders) n += f.messages.size();
        return n;
    }
};

class fake_mailbox final : public target {
  public:
    explicit fake_mailbox(fake_server& server) : server_(server) {}

    task<result<listing>> list(bool with_octets) override {
        if (auto ok = co_await operation("list", phase::list); !ok) co_return std::unexpected(ok.error());
        listing out;
        for (const auto& [name, f] : server_.folders) {
            listed_folder& l = out.folders.emplace_back();
            l = {.name = name,
                 .handle = name,
                 .attributes = f.attributes,
                 .selectable = f.selectable,
                 .subscribed = f.subscribed,
                 .personal = f.personal,
                 .state = {}};
            if (!f.selectable) continue;
            l.state = state_of(f);
            if (with_octets) l.state->octets = octets_of(f);
        }
        co_return out;
    }

    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override {
        for (std::size_t i = 0; i < folders.size(); ++i) {
            const scan_request& want = folders[i];
            if (auto ok = co_await operation("scan " + want.handle, phase::scan); !ok) co_return ok;
            const fake_folder* f = find(want.handle);
            if (f == nullptr) {
                sink.failed(i, refusal(retry_class::permanent, "NONEXISTENT", "No such folder"));
                continue;
            }
            uid_set present;
            for (const auto& [uid, m] : f->messages) {
                present.add(uid);
                const bool known = want.known_uid_validity == f->uid_validity && uid < want.known_uid_next;
                if (known && (!server_.condstore || m.modseq > want.known_modseq)) sink.flags(i, uid, m.flags);
            }
            sink.done(i, state_of(*f), std::move(present));
        }
        co_return result<void>{};
    }

    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const fetch_request& r = requests[i];
            if (r.uids.empty()) continue;
            if (auto ok = co_await operation("examine " + r.handle, phase::fetch); !ok) co_return ok;
            const fake_folder* f = find(r.handle);
            if (f == nullptr || f->uid_validity != r.uid_validity) {
                sink.unavailable(i, f == nullptr ? refusal(retry_class::permanent, "NONEXISTENT", "No such folder")
                                                 : error{.cls = retry_class::transient,
                                                         .where = phase::fetch,
                                                         .what = "UIDVALIDITY changed",
                                                         .server_said = {},
                                                         .advice = {},
                                                         .response_code = {}});
                continue;
            }
            uid_set missing = r.uids;
            std::vector<std::uint32_t> there;
            for (const auto& [uid, m] : f->messages)
                if (r.uids.contains(uid)) there.push_back(uid);
            for (const std::uint32_t uid : there) {
                if (auto ok = co_await operation(
                        fmt::format("{} {} {}", part == fetch_part::whole ? "fetch" : "header", r.handle, uid),
                        phase::fetch);
                    !ok)
                    co_return ok;
                const auto now = f->messages.find(uid);
                if (now == f->messages.end() || server_.no_body.contains({r.handle, uid})) continue;
                missing.remove(uid, uid);
                const fake_message m = now->second;
                if (auto ok = co_await bring(i, uid, m, part, sink); !ok) co_return ok;
            }
            if (!missing.empty()) sink.missing(i, std::move(missing), std::nullopt);
        }
        co_return result<void>{};
    }

    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override {
        std::vector<uid_set> out(requests.size());
        for (std::size_t i = 0; i < requests.size(); ++i) {
            if (auto ok = co_await operation("search " + requests[i].handle, phase::scan); !ok)
                co_return std::unexpected(ok.error());
            const fake_folder* f = find(requests[i].handle);
            if (f == nullptr) continue;
            for (const auto& [uid, m] : f->messages) {
                if (what.larger_than && m.body.size() > *what.larger_than) out[i].add(uid);
                if (what.older_than_unix && m.date && m.date->unix_seconds < *what.older_than_unix - 86'400)
                    out[i].add(uid);
            }
        }
        co_return out;
    }

    task<result<void>> identities(std::span<const fetch_request> requests, const identity_teller& tell) override {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const fake_folder* f = find(requests[i].handle);
            const bool named =
                f != nullptr && std::ranges::any_of(f->messages, [](const auto& m) { return m.second.id != 0; });
            if (!named || requests[i].uids.empty() || f->uid_validity != requests[i].uid_validity) continue;
            if (auto ok = co_await operation("name " + requests[i].handle, phase::scan); !ok) co_return ok;
            for (const auto& [uid, m] : f->messages)
                if (m.id != 0 && requests[i].uids.contains(uid)) tell(i, uid, m.id, m.flags);
        }
        co_return result<void>{};
    }

    task<result<copied_uids>> copy_within(copy_wish wish) override {
        if (!server_.copies || !server_.uidplus) co_return co_await target::copy_within(std::move(wish));
        if (auto ok = co_await operation(fmt::format("copy {} {} to {}", wish.from, wish.uids.to_string(), wish.to),
                                         phase::append);
            !ok)
            co_return std::unexpected(ok.error());
        if (server_.refuses_copy) co_return std::unexpected(*server_.refuses_copy);
        const fake_folder& from = server_.folders.at(std::string(wish.from));
        fake_folder& to = server_.folders.at(std::string(wish.to));
        if (from.uid_validity != wish.from_uid_validity || to.uid_validity != wish.to_uid_validity)
            co_return std::unexpected(refusal(retry_class::config, "", "Another folder"));
        if (server_.quota && server_.messages() + wish.uids.count() > *server_.quota)
            co_return std::unexpected(refusal(retry_class::permanent, "OVERQUOTA", "Quota exceeded"));
        copied_uids out;
        for (const auto& [uid, m] : from.messages)
            if (wish.uids.contains(uid)) out.emplace_back(uid, to.add(m));
        if (auto ok = co_await operation("copied", phase::append); !ok) co_return std::unexpected(ok.error());
        co_return out;
    }

    void close() noexcept override { dead_ = true; }
    [[nodiscard]] bool shares_well() const noexcept override { return true; }
    task<> leave() override {
        dead_ = true;
        ++server_.left;
        co_return;
    }
    [[nodiscard]] bool leaves_by_itself() const noexcept override { return server_.leaves_by_itself; }
    [[nodiscard]] bool keeps_flagged() const noexcept override { return server_.keeps_flagged; }
    [[nodiscard]] bool keeps_uids() const noexcept override { return server_.keeps_uids; }

    [[nodiscard]] std::uint64_t append_limit() const noexcept override { return server_.append_limit; }
    [[nodiscard]] bool takes_literal8() const noexcept override { return server_.binary; }
    [[nodiscard]] std::string handle_of(std::string_view name) const override { return std::string(name); }

    task<result<std::vector<prepared_folder>>> prepare(std::span<const folder_wish> wishes) override {
        std::vector<prepared_folder> out;
        for (const folder_wish& wish : wishes) {
            if (wish.create) {
                if (auto ok = co_await operation("create " + wish.handle, phase::create); !ok)
                    co_return std::unexpected(ok.error());
                server_.folders.try_emplace(wish.handle);
            }
            if (auto ok = co_await operation("prepare " + wish.handle, phase::create); !ok)
                co_return std::unexpected(ok.error());
            prepared_folder& p = out.emplace_back();
            p.handle = wish.handle;
            if (const fake_folder* f = find(wish.handle)) {
                p.state = state_of(*f);
                p.permanent_flags = f->permanent_flags;
            } else {
                p.failure = refusal(retry_class::permanent, "NONEXISTENT", "No such folder");
            }
        }
        co_return out;
    }

    task<result<void>> subscribe(std::span<const std::string> handles) override {
        for (const std::string& h : handles) {
            if (auto ok = co_await operation("subscribe " + h, phase::subscribe); !ok) co_return ok;
            server_.folders.at(h).subscribed = true;
        }
        co_return result<void>{};
    }

    task<result<void>> append(append_feed& feed) override {
        auto ok = co_await append_all(feed);
        if (ok) co_return ok;
        dead_ = true;
        if (server_.stores_after_death)
            for (batch& b : waiting_) (void)store(b);
        waiting_.clear();
        feed.abandon(ok.error());
        co_return ok;
    }

    task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) override {
        for (const flag_change& c : changes) {
            if (auto ok = co_await operation(fmt::format("store flags {} {}", handle, c.uids.to_string()),
                                             phase::store_flags);
                !ok)
                co_return ok;
            fake_folder& f = server_.folders.at(std::string(handle));
            for (auto& [uid, m] : f.messages) {
                if (!c.uids.contains(uid)) continue;
                std::set<std::string> flags(m.flags.begin(), m.flags.end());
                flags.insert(c.add.begin(), c.add.end());
                for (const std::string& flag : c.remove) flags.erase(flag);
                f.set_flags(uid, {flags.begin(), flags.end()});
            }
            if (auto ok = co_await operation("flags are stored", phase::store_flags); !ok) co_return ok;
        }
        co_return result<void>{};
    }

    task<result<void>> remove(std::string_view handle, std::uint32_t uid_validity, uid_set uids) override {
        if (auto ok = co_await operation(fmt::format("remove {} {}", handle, uids.to_string()), phase::store_flags);
            !ok)
            co_return ok;
        if (server_.refuses_removal) co_return std::unexpected(*server_.refuses_removal);
        fake_folder& f = server_.folders.at(std::string(handle));
        if (f.uid_validity != uid_validity) co_return std::unexpected(lost_line(phase::store_flags));
        std::erase_if(f.messages, [&uids](const auto& m) { return uids.contains(m.first); });
        ++f.modseq;
        co_return co_await operation("removed", phase::store_flags);
    }

  private:
    struct batch {
        std::string handle;
        std::size_t folder = 0, limit = 0;
        std::vector<std::uint64_t> tokens;
        std::vector<fake_message> messages;
    };

    static task<> others_turn() {
        co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
    }

    task<result<void>> operation(std::string what, phase where) {
        co_await others_turn();
        if (dead_) co_return std::unexpected(lost_line(where));
        ++server_.count;
        if (server_.on_operation) server_.on_operation(what);
        server_.operations.push_back(std::move(what));
        if (server_.dies_at == server_.count) {
            dead_ = true;
            if (server_.dies_of) co_return std::unexpected(*server_.dies_of);
        }
        if (dead_) co_return std::unexpected(lost_line(where));
        co_return result<void>{};
    }

    const fake_folder* find(const std::string& handle) const {
        const auto at = server_.folders.find(handle);
        return at == server_.folders.end() ? nullptr : &at->second;
    }
    static std::uint64_t octets_of(const fake_folder& f) {
        std::uint64_t n = 0;
        for (const auto& [uid, m] : f.messages) n += m.body.size();
        return n;
    }
    folder_state state_of(const fake_folder& f) const {
        return {.uid_validity = f.uid_validity,
                .uid_next = server_.tells_uid_next ? f.uid_next : 0,
                .messages = static_cast<std::uint32_t>(f.messages.size()),
                .modseq = server_.condstore ? f.modseq : 0,
                .octets = {}};
    }

    task<result<void>> bring(std::size_t request, std::uint32_t uid, const fake_message& m, fetch_part part,
                             message_sink& sink) {
        message_head head{.request = request, .uid = uid, .flags = m.flags, .date = m.date, .octets = m.body.size()};
        head.halves = server_.halves.contains(uid);
        if (part != fetch_part::whole) {
            sink.header(std::move(head), std::string_view(m.body).substr(0, m.body.find("\r\n\r\n")));
            co_return result<void>{};
        }
        if (auto ok = co_await sink.begin(std::move(head)); !ok) co_return ok;
        for (std::size_t at = 0; at < m.body.size(); at += server_.chunk_octets) {
            if (at > 0)
                if (auto ok = co_await operation(fmt::format("more of {}", uid), phase::fetch); !ok) co_return ok;
            const std::string_view piece = std::string_view(m.body).substr(at, server_.chunk_octets);
            const auto owner = std::make_shared<client::block>(piece.size());
            std::ranges::copy(piece, owner->room().begin());
            if (auto ok = co_await sink.chunk(owner, owner->filled(piece.size())); !ok) co_return ok;
        }
        co_return co_await sink.end();
    }

    task<result<void>> append_all(append_feed& feed) {
        while (true) {
            for (int patience = 0; patience < 5 && !feed.ready(); ++patience) co_await others_turn();
            if (!feed.ready() && open_) close_batch();
            if (auto ok = co_await answer(feed, feed.ready() ? server_.batches_in_flight : 0); !ok) co_return ok;
            if (dead_) co_return std::unexpected(lost_line(phase::append));
            const auto item = co_await feed.next();
            if (!item) break;
            if (open_ && (open_->folder != item->folder || open_->messages.size() >= open_->limit ||
                          (item->batch_limit != 0 && open_->messages.size() >= item->batch_limit)))
                close_batch();
            if (item->batch_limit == 1) // a suspect goes alone
                if (auto ok = co_await answer(feed, 0); !ok) co_return ok;
            if (!open_) {
                open_ = batch{.handle = std::string(item->handle),
                              .folder = item->folder,
                              .limit = server_.batch_messages,
                              .tokens = {},
                              .messages = {}};
                if (item->batch_limit != 0) open_->limit = std::min(open_->limit, item->batch_limit);
            }
            if (auto ok = co_await take(feed, *item); !ok) co_return ok;
        }
        close_batch();
        co_return co_await answer(feed, 0);
    }

    task<result<void>> take(append_feed& feed, const append_item& item) {
        if (auto ok = co_await operation("take", phase::append); !ok) co_return ok;
        feed.announced();
        fake_message m{.body = {}, .flags = {}, .date = item.date, .literal8 = item.literal8};
        for (std::size_t at = 0; at < item.flags.size();) {
            const std::size_t space = std::min(item.flags.find(' ', at), item.flags.size());
            m.flags.push_back(item.flags.substr(at, space - at));
            at = space + 1;
        }
        while (m.body.size() < item.octets) {
            const auto c = co_await feed.read();
            if (!c) co_return std::unexpected(c.error()); // a literal that is never filled: the line goes
            m.body += c->octets;
        }
        if (!server_.kills_line.empty() && m.body.find(server_.kills_line) != std::string::npos)
            co_return std::unexpected(lost_line(phase::append));
        open_->tokens.push_back(item.token);
        open_->messages.push_back(std::move(m));
        co_return result<void>{};
    }

    void close_batch() {
        if (open_) waiting_.push_back(*std::exchange(open_, std::nullopt));
    }

    std::optional<error> objection(const batch& b) {
        if (server_.throttles > 0) {
            --server_.throttles;
            error why = refusal(retry_class::throttled, "LIMIT", "Slow down");
            why.backoff_ms = server_.backoff_ms;
            return why;
        }
        if (server_.quota && server_.messages() + b.messages.size() > *server_.quota)
            return refusal(retry_class::permanent, "OVERQUOTA", "Quota exceeded");
        const auto disliked = [&](const fake_message& m) {
            return !server_.refuses.empty() && m.body.find(server_.refuses) != std::string::npos;
        };
        if (std::ranges::any_of(b.messages, disliked)) return server_.refuses_with;
        for (const fake_message& m : b.messages)
            if (server_.judges)
                if (auto why = server_.judges(m)) return why;
        if (find(b.handle) == nullptr) return refusal(retry_class::permanent, "TRYCREATE", "No such folder");
        return std::nullopt;
    }

    std::vector<std::uint32_t> store(batch& b) {
        std::vector<std::uint32_t> uids;
        if (objection(b)) return uids;
        fake_folder& f = server_.folders.at(b.handle);
        for (fake_message& m : b.messages) {
            if (server_.swallows && server_.swallows(m.body)) {
                uids.push_back(f.uid_next + (server_.swallowed_takes_uid ? 0U : 1000U));
                if (server_.swallowed_takes_uid) ++f.uid_next;
                continue;
            }
            if (server_.alters) m.body = server_.alters(std::move(m.body));
            if (!server_.keeps_flagged) std::erase(m.flags, "\\Flagged");
            uids.push_back(server_.folders.at(b.handle).add(std::move(m)));
        }
        return uids;
    }

    /// Answers the oldest batches until no more than `keep` are open.
    task<result<void>> answer(append_feed& feed, std::size_t keep) {
        while (waiting_.size() > keep) {
            if (auto ok = co_await operation("store " + waiting_.front().handle, phase::append); !ok) co_return ok;
            batch b = std::move(waiting_.front());
            waiting_.pop_front();
            if (const auto why = objection(b)) {
                feed.refused(b.tokens, *why);
                if (why->cls == retry_class::protocol)
                    co_return std::unexpected(*why); // BAD: what follows may be misread
                continue;
            }
            const std::vector<std::uint32_t> uids = store(b);
            if (auto ok = co_await operation("answer " + b.handle, phase::append); !ok) co_return ok;
            const std::uint32_t validity = server_.folders.at(b.handle).uid_validity;
            feed.stored(b.tokens, server_.uidplus ? validity : 0,
                        server_.uidplus ? uids : std::vector<std::uint32_t>{});
            if (server_.on_recorded) {
                if (auto ok = co_await feed.recorded(); !ok) co_return ok;
                server_.on_recorded();
            }
        }
        co_return result<void>{};
    }

    fake_server& server_;
    bool dead_ = false;
    std::optional<batch> open_;
    std::deque<batch> waiting_;
};

} // namespace postferry::support
