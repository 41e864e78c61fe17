#include "mailbox/uidl_source.hpp"

#include "base/text.hpp"
#include "mailbox/uidl_join.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::mailbox {

namespace {

constexpr std::size_t pop3_commands_in_flight = 100;

class present_reader final : public scan_sink {
  public:
    uid_set present;
    std::uint32_t uid_validity = 0;
    std::optional<error> why;
    void flags(std::size_t, std::uint32_t, const std::vector<std::string>&) override {}
    void done(std::size_t, const folder_state& state, uid_set uids) override {
        uid_validity = state.uid_validity;
        present = std::move(uids);
    }
    void failed(std::size_t, error e) override { why = std::move(e); }
};

class head_reader final : public message_sink {
  public:
    std::vector<imap_head> heads;
    std::optional<error> why;
    void header(message_head head, std::string_view fields) override {
        heads.push_back({.uid = head.uid, .octets = head.octets, .print = header_print(fields)});
    }
    task<result<void>> begin(message_head) override { co_return result<void>{}; }
    task<result<void>> chunk(const client::block_ref&, std::string_view) override { co_return result<void>{}; }
    task<result<void>> end() override { co_return result<void>{}; }
    void missing(std::size_t, uid_set, std::optional<error>) override {} // it gets no UIDL
    void unavailable(std::size_t, error e) override { why = std::move(e); }
};

/// Passes everything on, with the UIDLs put in.
class labelling_sink final : public message_sink {
  public:
    labelling_sink(message_sink& to, std::span<const fetch_request> requests,
                   const std::map<std::uint32_t, std::string>& uidls)
        : to_(to), requests_(requests), uidls_(uidls) {}

    task<result<void>> begin(message_head head) override {
        const auto at = uidls_.find(head.uid);
        if (at != uidls_.end() && iequals(requests_[head.request].handle, "INBOX")) head.uidl = at->second;
        return to_.begin(std::move(head));
    }
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) override {
        return to_.chunk(owner, octets);
    }
    task<result<void>> end() override { return to_.end(); }
    void header(message_head head, std::string_view fields) override { to_.header(std::move(head), fields); }
    void missing(std::size_t request, uid_set uids, std::optional<error> why) override {
        to_.missing(request, std::move(uids), std::move(why));
    }
    void unavailable(std::size_t request, error why) override { to_.unavailable(request, std::move(why)); }

  private:
    message_sink& to_;
    std::span<const fetch_request> requests_;
    const std::map<std::uint32_t, std::string>& uidls_;
};

} // namespace

task<result<void>> uidl_source::fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) {
    if (part != fetch_part::whole) co_return co_await inner_->fetch(requests, part, sink);
    const auto inbox = std::ranges::find_if(
        requests, [](const fetch_request& r) { return iequals(r.handle, "INBOX") && !r.uids.empty(); });
    if (inbox != requests.end() && !joined_)
        if (auto ok = co_await join(*inbox); !ok) co_return ok;
    labelling_sink labelled(sink, requests, uidls_);
    co_return co_await inner_->fetch(requests, part, labelled);
}

task<result<void>> uidl_source::with_pop3(work what) {
    auto opened = co_await open_pop3_();
    if (!opened) {
        error why = opened.error();
        why.what = "for the unique IDs (uidl=): " + why.what;
        co_return std::unexpected(std::move(why));
    }
    pop3_ = std::move(*opened);
    auto ok = co_await what(*pop3_);
    if (ok) co_await pop3_->quit(true);
    pop3_->close();
    pop3_.reset();
    co_return ok;
}

task<result<void>> uidl_source::ask() {
    co_return co_await with_pop3([this](client::pop3_session& session) -> task<result<void>> {
        auto drop = co_await read_maildrop(session);
        if (!drop) co_return std::unexpected(drop.error());
        drop_ = std::move(*drop);
        co_return result<void>{};
    });
}

task<result<void>> uidl_source::join(const fetch_request& inbox) {
    joined_ = true;
    if (drop_.uidl_refused) {
        notes_.push_back(fmt::format("POP3 gives no unique IDs ({}): none can be kept", drop_.refusal));
        co_return result<void>{};
    }
    const scan_request all{.handle = inbox.handle};
    present_reader there;
    if (auto ok = co_await inner_->scan({&all, 1}, there); !ok) co_return ok;
    if (there.why) co_return std::unexpected(*there.why);
    const fetch_request heads_of{
        .handle = inbox.handle, .uid_validity = there.uid_validity, .uids = std::move(there.present)};
    head_reader reader;
    if (auto ok = co_await inner_->fetch({&heads_of, 1}, fetch_part::fingerprint, reader); !ok) co_return ok;
    if (reader.why) co_return std::unexpected(*reader.why);
    std::ranges::sort(reader.heads, {}, &imap_head::uid);
    uidl_join found = join_uidls(reader.heads, drop_.messages);
    if (!found.need_print.empty()) {
        const auto ok = co_await with_pop3([&](client::pop3_session& session) -> task<result<void>> {
            auto drop = co_await read_maildrop(session); // numbers hold for one session only
            if (!drop) co_return std::unexpected(drop.error());
            drop_ = std::move(*drop);
            found = join_uidls(reader.heads, drop_.messages);
            // Which headers are needed depends on what the others told: at most twice.
            for (int round = 0; round < 2 && !found.need_print.empty(); ++round) {
                auto read = co_await read_prints(session, drop_.messages, found.need_print, pop3_commands_in_flight);
                if (!read) co_return read;
                found = join_uidls(reader.heads, drop_.messages);
            }
            co_return result<void>{};
        });
        if (!ok) co_return ok;
    }
    for (std::size_t i = 0; i < reader.heads.size(); ++i)
        if (!found.uidls[i].empty()) uidls_.emplace(reader.heads[i].uid, std::move(found.uidls[i]));
    if (found.unclear > 0)
        notes_.push_back(fmt::format("POP3: {} unique IDs (UIDL) could not be told to belong to a certain message; a "
                                     "POP3 client will download these messages again",
                                     found.unclear));
    co_return result<void>{};
}

void uidl_source::close() noexcept {
    if (pop3_) pop3_->close();
    inner_->close();
}

std::vector<std::string> uidl_source::take_notes() { return std::exchange(notes_, {}); }

} // namespace postferry::mailbox
