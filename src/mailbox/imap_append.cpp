// Bringing messages: MULTIAPPEND batches, pipelined, streamed from the blocks they arrived in.
#include "mailbox/detail/append_batch.hpp"
#include "mailbox/detail/upload_pace.hpp"
#include "mailbox/imap_mailbox.hpp"
#include "net/event.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>

namespace postferry::mailbox {

namespace {

/// An open batch waits so long for the next message before it is closed: the source is slow, not the line.
constexpr std::chrono::milliseconds batch_patience{200};

// A date that every server takes. Others are written all the same, but never with a literal that does not wait.
bool is_ordinary(const message_date& d) noexcept {
    constexpr std::int64_t from_1980 = 315'532'800, to_2037 = 2'114'380'800;
    return d.unix_seconds >= from_1980 && d.unix_seconds < to_2037 && d.zone_minutes >= -840 && d.zone_minutes <= 840;
}

} // namespace

using detail::batch;

class imap_append {
  public:
    imap_append(imap_mailbox& box, append_feed& feed, executor ex)
        : box_(box), session_(*box.session_), talk_(session_.talk()), feed_(feed), tuning_(box.options_.tuning),
          wake_writer_(ex), wake_reader_(ex), multiappend_(session_.capabilities().has("MULTIAPPEND")) {}

    task<result<void>> run() {
        using namespace boost::asio::experimental::awaitable_operators;
        session_.on_go_ahead([this] { wake_writer_.notify(); });
        // When we die, the server must not be given more: it would store what the next run brings again.
        session_.discard_unsent(true);
        co_await (write_all() && read_answers());
        if (!failure_) session_.discard_unsent(false);
        session_.on_go_ahead({});
        if (failure_) co_return std::unexpected(*failure_);
        if (spent_) co_return std::unexpected(*spent_);
        co_return result<void>{};
    }

  private:
    void die(error why) {
        if (!failure_) {
            failure_ = std::move(why);
            feed_.abandon(*failure_);
        }
        session_.close();
        wake_writer_.notify();
        wake_reader_.notify();
    }

    batch* current() { return !batches_.empty() && batches_.back().open ? &batches_.back() : nullptr; }
    batch* find(imap::command_id id) {
        const auto at = std::ranges::find(batches_, id, &batch::id);
        return at == batches_.end() ? nullptr : &*at;
    }

    // The answers' side -----------------------------------------------------------------------------------------

    [[nodiscard]] bool answer_expected() {
        if (talk_.held()) return true;
        // In the middle of a batch nothing is waited for, but what is there must be heard: above all a BAD.
        if (current() != nullptr && !talk_.refused_early() && session_.readable()) return true;
        return std::ranges::any_of(batches_, [](const batch& b) { return !b.open; });
    }

    task<> read_answers() {
        while (!failure_) {
            if (!answer_expected()) {
                if (writer_done_) co_return;
                co_await wake_reader_.wait();
                continue;
            }
            if (auto ok = co_await session_.receive(); !ok) die(ok.error());
        }
    }

    void on_done(imap::conversation::completed& c) {
        batch* b = find(c.command);
        if (b == nullptr) return;
        const std::vector<std::uint64_t> tokens = std::move(b->tokens);
        box_.plus_habit_known_ = box_.plus_habit_known_ || b->unasked;
        pace_.answered(b->octets);
        const bool still_flowing = b->open && !c.cut_short;
        if (still_flowing)
            b->tokens.clear(); // refused in mid-stream; the writer finishes what it announced
        else
            std::erase_if(batches_, [&](const batch& x) { return x.id == c.command; });
        if (c.status.kind == imap::status_kind::ok) {
            std::uint32_t validity = 0;
            std::vector<std::uint32_t> uids;
            // quirk davmail: its APPENDUID says the UID first.
            if (c.status.code && c.status.code->name == "APPENDUID" && c.status.code->uids && box_.habits_.append_uid) {
                validity = c.status.code->uids->uid_validity;
                uids = c.status.code->uids->target_in_order;
                if (uids.size() != tokens.size()) uids.clear();
            }
            feed_.stored(tokens, validity, uids);
        } else {
            const std::string what = tokens.size() == 1
                                         ? "The target refused the message"
                                         : fmt::format("The target refused a batch of {} messages", tokens.size());
            error why = client::to_error(c.status, phase::append, what);
            // The server did not like the command, but nothing was misread, and the line goes on.
            if (why.cls == retry_class::protocol && !talk_.poisoned()) why.cls = retry_class::permanent;
            // Whatever its code says of the message: the line cannot be trusted any more.
            if (why.cls == retry_class::permanent && talk_.poisoned()) why.cls = retry_class::protocol;
            feed_.refused(tokens, why);
        }
        wake_writer_.notify();
    }

    // The messages' side ----------------------------------------------------------------------------------------

    task<> write_all() {
        while (!failure_) {
            if (current() != nullptr && !feed_.ready()) {
                if (!co_await send()) break;
                const bool fed = co_await wait_for_message();
                if (!fed) {
                    close_batch();
                    if (!co_await send()) break;
                }
                if (failure_) break;
            }
            const std::optional<append_item> item = co_await feed_.next();
            if (!item || failure_) break;
            if (!co_await may_begin() || failure_) break;
            if (!co_await bring(*item)) break;
        }
        if (!failure_) {
            close_batch();
            co_await send();
        }
        writer_done_ = true;
        wake_reader_.notify();
    }

    // False: a budget is spent. What was begun is ended and answered.
    task<bool> may_begin() {
        const auto when = session_.may_begin(1);
        if (!when) {
            spent_ = when.error();
            feed_.abandon(*spent_);
            co_return false;
        }
        const auto wait = *when - std::chrono::steady_clock::now();
        if (wait <= std::chrono::milliseconds(0)) co_return true;
        if (wait > batch_patience) close_batch();
        if (!co_await send()) co_return false;
        co_await session_.wait_until(*when);
        co_return true;
    }

    [[nodiscard]] bool fits(const batch& b, const append_item& item) const {
        if (!multiappend_ || b.folder != item.folder || talk_.refused_early()) return false;
        if (item.batch_limit != 0 && b.tokens.size() >= item.batch_limit) return false;
        return b.tokens.size() < b.limit && b.octets + item.octets <= pace_.batch_octets(tuning_.batch_octets);
    }

    [[nodiscard]] bool must_synchronise(const append_item& item) const {
        const imap::literal_mode mode = session_.capabilities().literals();
        if (mode == imap::literal_mode::synchronising || (mode == imap::literal_mode::minus && item.octets > 4096))
            return true;
        if (!box_.flagless_proven_ || item.batch_limit == 1 || talk_.needless_plus()) return true;
        if (item.date && !is_ordinary(*item.date)) return true;
        return std::ranges::any_of(words(item.flags), [this](std::string_view f) {
            return std::ranges::find(box_.proven_flags_, f) == box_.proven_flags_.end();
        });
    }

    static std::vector<std::string_view> words(std::string_view text) {
        std::vector<std::string_view> out;
        while (!text.empty()) {
            const std::size_t space = text.find(' ');
            if (space != 0) out.push_back(text.substr(0, space));
            if (space == std::string_view::npos) break;
            text.remove_prefix(space + 1);
        }
        return out;
    }

    void note_proven(const append_item& item) {
        box_.flagless_proven_ = true;
        for (const std::string_view f : words(item.flags))
            if (std::ranges::find(box_.proven_flags_, f) == box_.proven_flags_.end())
                box_.proven_flags_.emplace_back(f);
    }

    // quirk needless-plus: a server that answers {n+} with a "+" as well would seem to ask for the next {n}. Until one
    // such literal was answered nobody knows whether it does.
    [[nodiscard]] bool plus_is_doubtful(const append_item& item) const {
        return (!box_.plus_habit_known_ || talk_.needless_plus()) && must_synchronise(item) &&
               std::ranges::any_of(batches_, &batch::unasked);
    }

    [[nodiscard]] bool must_wait(const append_item& item) {
        // A message that is suspected of killing lines goes alone: when it happens again, it was this one.
        if (item.batch_limit == 1 || plus_is_doubtful(item)) return !batches_.empty();
        if (current() == nullptr && pace_.listens()) return !batches_.empty();
        return current() == nullptr && batches_.size() >= tuning_.batches_in_flight;
    }

    // Waits until `item` may be announced, and ends the open batch if it cannot be its. False: the line is dead.
    task<bool> make_way(const append_item& item) {
        while (!failure_) {
            if (batch* b = current(); b != nullptr && (!fits(*b, item) || must_wait(item))) close_batch();
            if (!must_wait(item)) co_return true;
            if (!co_await send()) co_return false;
            if (must_wait(item)) co_await wake_writer_.wait();
        }
        co_return false;
    }

    task<bool> until_asked() {
        pace_.waits_for_server();
        if (!co_await send()) co_return false;
        wake_reader_.notify();
        while (talk_.held() && !failure_) co_await wake_writer_.wait();
        co_return !failure_;
    }

    // False: the line is dead.
    task<bool> bring(const append_item& item) {
        if (!co_await make_way(item)) co_return false;
        if (batches_.empty() && talk_.can_open())
            if (auto ok = co_await pace_.compress_if_slow(); !ok) die(ok.error());
        if (failure_) co_return false;
        if (current() == nullptr) open_batch(item);
        batch& b = batches_.back();
        const imap::command_id id = b.id;
        b.tokens.push_back(item.token);
        b.octets += item.octets;
        feed_.announced();
        if (talk_.held()) { // the folder's name went as a literal
            if (!co_await until_asked()) co_return false;
            if (find(id) == nullptr) co_return co_await discard(item);
        }
        if (announce(item)) {
            if (!co_await until_asked()) co_return false;
            if (find(id) == nullptr) co_return co_await discard(item); // refused instead of "+"
            note_proven(item);
        }
        co_return co_await stream(item);
    }

    void open_batch(const append_item& item) {
        imap::command_encoder command = session_.encoder();
        command.raw("APPEND ").astring(item.handle);
        const imap::command_id id = talk_.open(command.take());
        pace_.opened();
        session_.watch(id, [this](imap::conversation::completed& c) { on_done(c); });
        const std::size_t limit =
            item.batch_limit == 0 ? tuning_.batch_messages : std::min(item.batch_limit, tuning_.batch_messages);
        batches_.push_back({.id = id, .folder = item.folder, .limit = limit, .octets = 0, .tokens = {}});
    }

    // Whether the server must ask for the message before it is sent.
    bool announce(const append_item& item) {
        const bool synchronise = must_synchronise(item);
        // Whoever decided about the flags has seen to this; a line that a server does not like is too dangerous to
        // trust in that.
        std::vector<std::string_view> flags = words(item.flags);
        std::erase_if(flags, [](std::string_view f) { return !imap::is_writable_flag(f); });
        std::string head = fmt::format(" ({}) ", fmt::join(flags, " "));
        if (item.date)
            if (const auto date = item.date->to_string()) head += fmt::format("\"{}\" ", *date);
        const bool utf8 = box_.names_.utf8; // RFC 6855, section 4: what such a server takes
        if (utf8) head += "UTF8 (";
        talk_.more(head);
        talk_.literal(item.octets, synchronise, utf8 || item.literal8); // RFC 3516, section 4.2
        if (!synchronise) batches_.back().unasked = true;
        return synchronise;
    }

    task<bool> stream(const append_item& item) {
        take_text();
        std::uint64_t left = item.octets;
        while (left > 0) {
            if (gather_.full() || (!feed_.chunk_ready() && !gather_.empty()))
                if (!co_await send()) co_return false;
            auto c = co_await fed();
            if (!c) {
                // The source broke off within a message that was announced with its size. Octets of anything else must
                // never fill it up: the line goes, and with it this one message.
                die(c.error());
                co_return false;
            }
            left -= c->octets.size();
            gather_.octets(std::move(*c));
        }
        if (box_.names_.utf8 && !talk_.refused_early()) {
            talk_.more(")");
            take_text();
        }
        if (talk_.refused_early()) close_batch();
        if (gather_.full()) co_return co_await send();
        co_return true;
    }

    task<result<chunk>> fed() {
        const auto starving = pace_.starves();
        co_return co_await feed_.read();
    }

    task<bool> wait_for_message() {
        const auto starving = pace_.starves();
        co_return co_await feed_.wait(batch_patience);
    }

    task<bool> discard(const append_item& item) {
        std::uint64_t left = item.octets;
        while (left > 0) {
            const auto c = co_await feed_.read();
            if (!c) {
                die(c.error());
                co_return false;
            }
            left -= c->octets.size();
        }
        co_return true;
    }

    void close_batch() {
        batch* b = current();
        if (b == nullptr) return;
        talk_.finish();
        take_text();
        b->open = false;
        if (b->tokens.empty()) batches_.pop_back(); // it was refused in mid-stream: there is no further answer
        wake_reader_.notify();
    }

    void take_text() {
        std::string text = talk_.take_output();
        session_.trace_sent(text);
        gather_.text(std::move(text));
    }

    task<bool> send() {
        take_text();
        if (gather_.empty()) co_return !failure_;
        const auto ok = co_await session_.write(gather_.pieces());
        gather_.clear();
        if (answer_expected()) wake_reader_.notify();
        if (!ok) die(ok.error());
        co_return !failure_;
    }

    imap_mailbox& box_;
    client::imap_session& session_;
    imap::conversation& talk_;
    append_feed& feed_;
    const imap_tuning& tuning_;
    net::event wake_writer_, wake_reader_;
    detail::gather gather_;
    detail::upload_pace pace_{session_};
    std::deque<batch> batches_; ///< oldest first; the last may still be open
    std::optional<error> failure_;
    std::optional<error> spent_; ///< no more messages for now
    bool multiappend_;
    bool writer_done_ = false;
};

task<result<void>> imap_mailbox::append(append_feed& feed) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    imap_append run(*this, feed, co_await boost::asio::this_coro::executor);
    co_return co_await run.run();
}

} // namespace postferry::mailbox
