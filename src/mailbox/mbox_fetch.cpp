// Reading messages by position: small ones many at a time, large ones in pieces. Each is held against what the index
// says of it, so that a file that somebody rewrites meanwhile is noticed, not misread.
#include "base/digest.hpp"
#include "mailbox/mbox_mailbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

using kind = message::mbox_message::kind;

constexpr std::size_t together = 64;             ///< messages read by one piece of work
constexpr std::uint64_t whole = 256U << 10U;     ///< a larger message is read in pieces of this size
constexpr std::uint64_t work_octets = 1U << 20U; ///< of one piece of work
constexpr std::size_t most_header = 256U << 10U;

/// Keeps what the reader gives.
class gatherer final : public message::mbox_sink {
  public:
    std::string text;
    std::uint64_t given = 0;
    bool more_than_one = false;
    sha256 hash;

    void begin(std::uint64_t) override { more_than_one = begun_++ > 0; }
    void octets(std::string_view content) override {
        hash.update(content);
        text += content;
        given += content.size();
    }
    void end(message::mbox_message) override {}

    [[nodiscard]] bool is(const mbox_entry& e) {
        std::uint64_t check = 0;
        const sha256_digest digest = hash.finish();
        std::memcpy(&check, digest.octets.data(), sizeof check);
        return given == e.octets && check == e.check && !more_than_one;
    }

  private:
    int begun_ = 0;
};

/// One message's way through a reader of its own.
class one_message {
  public:
    one_message(int fd, const mbox_entry& e, const mbox_index& index, message::mbox_format format)
        : fd_(fd), entry_(e), at_(e.begin),
          reader_({.format = format,
                   .separator_at = [fd](std::uint64_t at) { return mbox_separator_at(fd, at); },
                   .lengths_hold = index.lengths_hold,
                   .offset = e.begin},
                  sink) {}

    gatherer sink;

    [[nodiscard]] bool ended() const noexcept { return at_ == entry_.end; }
    /// Reads on; what came is in sink.text.
    [[nodiscard]] result<void> read(std::uint64_t octets) {
        std::string raw(static_cast<std::size_t>(std::min(octets, entry_.end - at_)), '\0');
        for (std::size_t have = 0; have < raw.size();) {
            const ssize_t n = ::pread(fd_, raw.data() + have, raw.size() - have, static_cast<off_t>(at_ + have));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return file_failure(errno, phase::fetch, "The mbox cannot be read");
            if (n == 0) return fail(retry_class::transient, phase::fetch, "The mbox has become shorter");
            have += static_cast<std::size_t>(n);
        }
        reader_.feed(raw);
        at_ += raw.size();
        if (ended()) reader_.finish();
        return {};
    }

  private:
    int fd_;
    const mbox_entry& entry_;
    std::uint64_t at_;
    message::mbox_reader reader_;
};

struct read_message {
    const mbox_entry* entry = nullptr;
    client::block_ref block;
    std::string_view text;
    std::optional<error> failure;
    bool changed = false;
};

client::block_ref as_block(std::string_view text, std::string_view& out) {
    auto block = std::make_shared<client::block>(std::max<std::size_t>(text.size(), 1));
    std::ranges::copy(text, block->room().begin());
    out = block->filled(text.size());
    return block;
}

error why_not(const mbox_entry& e) {
    if (e.what == kind::empty)
        return fail(retry_class::permanent, phase::fetch,
                    fmt::format("Nothing but a From_ line is left of this message, at octet {} of the mbox", e.begin),
                    "It was cut off when it was written; look into a backup")
            .error();
    return fail(retry_class::permanent, phase::fetch,
                fmt::format("The mbox begins with {} octets that are no message", e.end - e.begin),
                "Look at the beginning of the file; what stands behind its first From_ line is copied")
        .error();
}

error changed_error() {
    return fail(retry_class::transient, phase::fetch, "The mbox was changed while it was being read",
                "It is planned again")
        .error();
}

} // namespace

class mbox_fetch {
  public:
    mbox_fetch(mbox_mailbox& box, fetch_part part, message_sink& sink) : box_(box), part_(part), sink_(sink) {}

    task<result<void>> one(std::size_t request, const fetch_request& want) {
        const auto seen = co_await box_.look(want.handle);
        if (!seen || (*seen)->uid_validity != want.uid_validity) {
            sink_.unavailable(request, seen ? changed_error() : seen.error());
            co_return result<void>{};
        }
        path_ = (*seen)->path;
        index_ = &(*seen)->index;
        request_ = request;
        uid_set absent = want.uids;
        wanted_.clear();
        for (const mbox_entry& e : index_->entries) {
            if (!want.uids.contains(e.uid)) continue;
            absent.remove(e.uid, e.uid);
            wanted_.push_back(&e);
        }
        std::ranges::sort(wanted_, {}, &mbox_entry::uid);
        auto fd = co_await box_.options_.files->run([this]() -> result<file_handle> {
            const auto place = box_.tree_.place_of(path_, false);
            if (!place) return std::unexpected(place.error());
            return open_mbox(place->directory.get(), place->file);
        });
        if (!fd) {
            sink_.unavailable(request, fd.error());
            co_return result<void>{};
        }
        fd_ = std::move(*fd);
        auto ok = co_await deliver_all();
        if (ok && !absent.empty()) sink_.missing(request, std::move(absent), {});
        co_return ok;
    }

  private:
    task<result<void>> deliver_all() {
        for (std::size_t at = 0; at < wanted_.size();) {
            if (box_.closed_) co_return std::unexpected(box_.closed_error());
            const mbox_entry& e = *wanted_[at];
            if (e.what == kind::empty || e.what == kind::junk) {
                sink_.missing(request_, uid_set::of(e.uid, e.uid), why_not(e));
                ++at;
                continue;
            }
            if (part_ == fetch_part::whole && e.octets > whole) {
                if (auto ok = co_await stream(e); !ok) co_return ok;
                ++at;
                continue;
            }
            std::vector<read_message> work = take(at);
            co_await box_.options_.files->run([this, &work] {
                for (read_message& m : work) read(m);
                return true;
            });
            for (read_message& m : work) {
                if (box_.closed_) co_return std::unexpected(box_.closed_error());
                if (m.changed) {
                    sink_.unavailable(request_, changed_error());
                    co_return result<void>{};
                }
                if (auto ok = co_await deliver(m); !ok) co_return ok;
            }
        }
        co_return result<void>{};
    }

    /// The next messages that one piece of work may read.
    std::vector<read_message> take(std::size_t& at) const {
        std::vector<read_message> out;
        std::uint64_t octets = 0;
        for (; at < wanted_.size() && out.size() < together && octets < work_octets; ++at) {
            const mbox_entry& e = *wanted_[at];
            if (e.what == kind::empty || e.what == kind::junk || (part_ == fetch_part::whole && e.octets > whole))
                break;
            octets += part_ == fetch_part::whole ? e.octets : std::min<std::uint64_t>(e.octets, most_header);
            out.push_back({.entry = &e, .block = nullptr, .text = {}, .failure = {}});
        }
        return out;
    }

    void read(read_message& m) const {
        one_message message(fd_.get(), *m.entry, *index_, box_.options_.format);
        const bool header = part_ != fetch_part::whole;
        const std::uint64_t raw = m.entry->end - m.entry->begin;
        const auto ok = message.read(header ? std::min<std::uint64_t>(raw, most_header) : raw);
        if (!ok) {
            m.changed = ok.error().cls == retry_class::transient;
            m.failure = ok.error();
            m.failure->cls = retry_class::permanent; // this one message; others may be readable
            return;
        }
        m.changed = message.ended() ? !message.sink.is(*m.entry) : message.sink.more_than_one;
        std::string_view text = message.sink.text;
        if (header) text = text.substr(0, std::min(text.find("\r\n\r\n"), text.size()));
        m.block = as_block(text, m.text);
    }

    message_head head_of(const mbox_entry& e) const {
        message_head head;
        head.request = request_;
        head.uid = e.uid;
        head.flags = index_->flag_sets[e.flags];
        if (e.dated) head.date = message_date{.unix_seconds = e.date, .zone_minutes = e.zone};
        head.octets = e.octets;
        if (e.what == kind::internal_data) head.skip_rule = "uw-internal-data";
        return head;
    }

    task<result<void>> deliver(read_message& m) {
        if (m.failure) {
            sink_.missing(request_, uid_set::of(m.entry->uid, m.entry->uid), std::move(m.failure));
            co_return result<void>{};
        }
        if (part_ != fetch_part::whole) {
            sink_.header(head_of(*m.entry), m.text);
            co_return result<void>{};
        }
        if (auto ok = co_await sink_.begin(head_of(*m.entry)); !ok) co_return ok;
        if (auto ok = co_await sink_.chunk(m.block, m.text); !ok) co_return ok;
        co_return co_await sink_.end();
    }

    // Its last octets are let go when they are known to be the message's.
    task<result<void>> stream(const mbox_entry& e) {
        one_message message(fd_.get(), e, *index_, box_.options_.format);
        if (auto ok = co_await sink_.begin(head_of(e)); !ok) co_return ok;
        while (!message.ended()) {
            if (box_.closed_) co_return std::unexpected(box_.closed_error());
            message.sink.text.clear();
            const auto ok = co_await box_.options_.files->run([&message] { return message.read(whole); });
            if (!ok) co_return std::unexpected(ok.error());
            if (message.sink.given > e.octets || (message.ended() && !message.sink.is(e)))
                co_return std::unexpected(changed_error());
            if (message.sink.text.empty()) continue;
            std::string_view text;
            const client::block_ref block = as_block(message.sink.text, text);
            if (auto given = co_await sink_.chunk(block, text); !given) co_return given;
        }
        co_return co_await sink_.end();
    }

    mbox_mailbox& box_;
    fetch_part part_;
    message_sink& sink_;
    std::string path_;
    const mbox_index* index_ = nullptr; ///< of a folder of the box, which keeps it as long as nobody looks again
    std::vector<const mbox_entry*> wanted_;
    file_handle fd_;
    std::size_t request_ = 0;
};

task<result<void>> mbox_mailbox::fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) {
    mbox_fetch run(*this, part, sink);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (closed_) co_return std::unexpected(closed_error());
        if (requests[i].uids.empty()) continue;
        if (auto ok = co_await run.one(i, requests[i]); !ok) co_return ok;
    }
    co_return result<void>{};
}

} // namespace postferry::mailbox
