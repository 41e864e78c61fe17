#include "mailbox/lmtp_target.hpp"

#include "protocol/smtp/data_stuffer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::mailbox {

namespace {

constexpr std::size_t write_octets = 128U << 10U;

std::unexpected<error> nothing_to_read() {
    return fail(retry_class::config, phase::verify, "lmtp: delivers mail and lets nobody look at it",
                "To prove the copy, verify against the server's IMAP: the same mailbox as imap:// or imaps://");
}

} // namespace

class lmtp_append {
  public:
    lmtp_append(lmtp_target& box, append_feed& feed)
        : box_(box), session_(*box.session_), feed_(feed), pipelining_(session_.extensions().has("PIPELINING")),
          sized_(session_.extensions().has("SIZE")), eight_bit_(session_.extensions().has("8BITMIME")) {}

    task<result<void>> run() {
        // When we die, the server must not be given more: what it has half of is no message.
        session_.discard_unsent(true);
        auto ok = co_await bring_all();
        if (ok) {
            session_.discard_unsent(false);
            co_return ok;
        }
        // Its last octet went out, or may have, and nobody will ever say what became of it.
        if (ending_) ++box_.unanswered_;
        session_.close();
        feed_.abandon(ok.error());
        co_return ok;
    }

  private:
    task<result<void>> bring_all() {
        std::optional<append_item> item = co_await feed_.next();
        if (item)
            if (auto ok = co_await begin(*item); !ok) co_return ok;
        while (item) {
            const auto open = co_await read_envelope(*item);
            if (!open) co_return std::unexpected(open.error());
            std::optional<append_item> next;
            if (*open) {
                if (auto ok = co_await send(*item); !ok) co_return ok;
                std::string end;
                stuffer_.finish(end);
                // The next one's envelope leaves with this one's end, if it is there already.
                if (pipelining_ && feed_.ready()) next = co_await feed_.next();
                // Whether the next one may begin is asked before this one ends: nothing may stand between an end and
                // the answer to it.
                result<void> may_go_on;
                if (next) may_go_on = co_await session_.pace();
                if (!may_go_on) next.reset();
                // With its end this message is delivered; the one before must be on record by then.
                if (auto ok = co_await feed_.recorded(); !ok) co_return ok;
                ending_ = true;
                if (auto ok = co_await write_end(end, next); !ok) co_return ok;
                if (auto ok = co_await read_answer(*item); !ok) co_return ok;
                if (!may_go_on) co_return may_go_on;
                if (next) {
                    item = std::move(next);
                    continue;
                }
            }
            item = co_await feed_.next();
            if (item)
                if (auto ok = co_await begin(*item); !ok) co_return ok;
        }
        co_return result<void>{};
    }

    task<result<void>> begin(const append_item& item) {
        if (auto ok = co_await session_.pace(); !ok) co_return ok;
        co_return co_await write(envelope(item));
    }

    /// The sender is empty: nobody gets a bounce, a vacation notice or the like for old mail.
    [[nodiscard]] std::string envelope(const append_item& item) const {
        std::string mail = "MAIL FROM:<>";
        if (eight_bit_) mail += " BODY=8BITMIME";
        if (sized_) mail += fmt::format(" SIZE={}", item.octets);
        if (is_utf8_path()) mail += " SMTPUTF8";
        return fmt::format("{}\r\nRCPT TO:{}\r\nDATA\r\n", mail, session_.recipient());
    }
    [[nodiscard]] bool is_utf8_path() const {
        return std::ranges::any_of(session_.recipient(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    }

    task<result<void>> write(std::string text) {
        if (pipelining_) co_return co_await session_.write(text, true);
        rest_ = std::move(text); // one line at a time, by read_envelope()
        co_return result<void>{};
    }

    task<result<void>> write_next_line() {
        if (rest_.empty()) co_return result<void>{};
        const std::size_t end = rest_.find("\r\n") + 2;
        const std::string line = rest_.substr(0, end);
        rest_.erase(0, end);
        co_return co_await session_.write(line, true);
    }

    /// True: the server waits for the message. False: it was refused, and the feed knows.
    task<result<bool>> read_envelope(const append_item& item) {
        std::optional<smtp::reply> refusal;
        for (int step = 0; step < 3; ++step) {
            if (!pipelining_ && refusal && step == 2) break; // DATA need not be sent any more
            if (auto ok = co_await write_next_line(); !ok) co_return std::unexpected(ok.error());
            auto r = co_await session_.read();
            if (!r) co_return std::unexpected(r.error());
            if (r->code == 421) co_return std::unexpected(closing(*r));
            const bool good = step == 2 ? r->intermediate() : r->positive();
            if (step == 2 && good && refusal)
                co_return fail(retry_class::protocol, phase::append,
                               "The server wants a message for a recipient that it has refused");
            if (!good && !refusal) refusal = std::move(*r);
        }
        if (!refusal) co_return true;
        // The sender may have been taken: a second one would be out of place.
        rest_.clear();
        if (auto ok = co_await session_.command("RSET"); !ok) co_return std::unexpected(ok.error());
        if (auto r = co_await session_.read(); !r) co_return std::unexpected(r.error());
        feed_.announced();
        if (auto ok = co_await discard(item); !ok) co_return std::unexpected(ok.error());
        feed_.refused({item.token}, client::to_error(*refusal, phase::append, "The target refused the message"));
        co_return false;
    }

    task<result<void>> discard(const append_item& item) {
        std::uint64_t left = item.octets;
        while (left > 0) {
            const auto c = co_await feed_.read();
            if (!c) co_return std::unexpected(c.error());
            left -= c->octets.size();
        }
        co_return result<void>{};
    }

    task<result<void>> send(const append_item& item) {
        stuffer_ = {};
        std::string out;
        std::uint64_t left = item.octets;
        while (left > 0) {
            if (out.size() >= write_octets || (!feed_.chunk_ready() && !out.empty())) {
                if (auto ok = co_await session_.write(out, false); !ok) co_return ok;
                out.clear();
            }
            auto c = co_await feed_.read();
            // The source broke off: without its end the message is none.
            if (!c) co_return std::unexpected(c.error());
            left -= c->octets.size();
            stuffer_.put(c->octets, out);
        }
        feed_.announced();
        co_return co_await session_.write(out, false);
    }

    task<result<void>> write_end(std::string end, const std::optional<append_item>& next) {
        if (auto ok = co_await session_.write(end, false); !ok) co_return ok;
        if (next) co_return co_await write(envelope(*next));
        co_return result<void>{};
    }

    task<result<void>> read_answer(const append_item& item) {
        auto r = co_await session_.read();
        if (!r) co_return std::unexpected(r.error());
        ending_ = false;
        if (r->code == 421) co_return std::unexpected(closing(*r));
        if (r->positive()) {
            if (stuffer_.line_ends_mended() > 0) ++box_.mended_;
            if (stuffer_.line_end_added()) ++box_.ended_;
            feed_.stored({item.token}, 0, {});
        } else {
            feed_.refused({item.token}, client::to_error(*r, phase::append, "The target refused the message"));
        }
        co_return result<void>{};
    }

    static error closing(const smtp::reply& r) {
        error why = client::to_error(r, phase::append, "The target closes the connection");
        if (why.cls == retry_class::permanent) why.cls = retry_class::transient;
        return why;
    }

    lmtp_target& box_;
    client::lmtp_session& session_;
    append_feed& feed_;
    smtp::data_stuffer stuffer_;
    std::string rest_; ///< of the envelope, where lines go one by one
    bool pipelining_, sized_, eight_bit_;
    bool ending_ = false;
};

lmtp_target::lmtp_target(std::unique_ptr<client::lmtp_session> session) : session_(std::move(session)) {}

task<result<listing>> lmtp_target::list(bool) {
    listing out;
    out.notes.push_back(
        fmt::format("LMTP delivers everything into the INBOX of {}, as new mail: folders, flags, keywords, "
                    "dates and UIDs are lost",
                    session_->recipient()));
    out.notes.emplace_back(
        "LMTP lets nobody look at what arrived: a message whose answer is lost is sent again, so it may "
        "be there twice");
    co_return out;
}

task<result<void>> lmtp_target::scan(std::span<const scan_request>, scan_sink&) { co_return nothing_to_read(); }

task<result<void>> lmtp_target::fetch(std::span<const fetch_request>, fetch_part, message_sink&) {
    co_return nothing_to_read();
}

task<result<std::vector<uid_set>>> lmtp_target::search(std::span<const fetch_request>, search_criterion) {
    co_return nothing_to_read();
}

std::uint64_t lmtp_target::append_limit() const noexcept { return session_->extensions().size_limit(); }

task<result<std::vector<prepared_folder>>> lmtp_target::prepare(std::span<const folder_wish> wishes) {
    std::vector<prepared_folder> out;
    for (const folder_wish& wish : wishes) {
        prepared_folder& p = out.emplace_back();
        p.handle = wish.handle;
        p.state = {}; // without a UIDVALIDITY: a place that cannot be looked into
        p.permanent_flags.emplace();
        p.notes.push_back(
            fmt::format("delivered into the INBOX of {}: the folder, flags, keywords, dates and UIDs are lost",
                        session_->recipient()));
    }
    co_return out;
}

task<result<void>> lmtp_target::subscribe(std::span<const std::string>) { co_return result<void>{}; }

task<result<void>> lmtp_target::append(append_feed& feed) {
    lmtp_append run(*this, feed);
    co_return co_await run.run();
}

task<result<void>> lmtp_target::change_flags(std::string_view, std::span<const flag_change>) {
    co_return fail(retry_class::permanent, phase::store_flags, "lmtp: delivers mail and changes none");
}

std::vector<std::string> lmtp_target::take_remarks() {
    std::vector<std::string> out;
    if (unanswered_ > 0)
        out.push_back(fmt::format("the line to the target died before it had answered for {} message{}; nobody knows "
                                  "whether it was delivered, so it was sent again and may be there twice",
                                  unanswered_, unanswered_ == 1 ? "" : "s"));
    if (mended_ > 0)
        out.push_back(
            fmt::format("{} messages held a CR or LF alone, which LMTP cannot carry; they are CRLF now", mended_));
    if (ended_ > 0)
        out.push_back(fmt::format("{} messages had no line end behind their last line; they have one now", ended_));
    unanswered_ = mended_ = ended_ = 0;
    return out;
}

} // namespace postferry::mailbox
