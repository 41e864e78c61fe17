// Bringing messages: each is turned into its mbox form as it comes, a batch goes into the file in one go.
#include "base/digest.hpp"
#include "mailbox/mbox_mailbox.hpp"
#include "message/mbox_fields.hpp"
#include "message/mbox_writer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

/// An open batch waits so long for the next message before it is written: the source is slow.
constexpr std::chrono::milliseconds batch_patience{200};
constexpr std::size_t spool_piece = 256U << 10U;

struct content_seen {
    sha256_digest digest;
    std::uint64_t octets = 0;
};

/// What a reader will make of the message in a spool.
result<content_seen> read_back(const mbox_spool& spool) {
    struct digester final : message::mbox_sink {
        sha256 hash;
        std::uint64_t count = 0;
        void begin(std::uint64_t) override {}
        void octets(std::string_view content) override {
            hash.update(content);
            count += content.size();
        }
        void end(message::mbox_message) override {}
    } sink;
    message::mbox_reader reader({.format = message::mbox_format::mboxrd, .separator_at = {}}, sink);
    std::string text(spool_piece, '\0');
    for (std::uint64_t at = 0; at < spool.size();) {
        const ssize_t n = ::pread(spool.get(), text.data(), text.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_failure(n < 0 ? errno : EIO, phase::append, "A message's spool file cannot be read");
        reader.feed(std::string_view(text).substr(0, static_cast<std::size_t>(n)));
        at += static_cast<std::uint64_t>(n);
    }
    reader.finish();
    return content_seen{.digest = sink.hash.finish(), .octets = sink.count};
}

} // namespace

class mbox_append {
  public:
    mbox_append(mbox_mailbox& box, append_feed& feed) : box_(box), feed_(feed) {}

    task<result<void>> run() {
        auto ok = co_await bring_all();
        // What is complete counts even when its successor broke off.
        if (auto last = co_await commit(); ok && !last) ok = last;
        if (!ok || refused_) feed_.abandon(ok ? *refused_ : ok.error());
        co_return ok;
    }

  private:
    struct written {
        std::uint64_t token = 0;
        mbox_entry entry;
        std::string name; ///< of its content
    };

    task<result<void>> bring_all() {
        while (true) {
            if (box_.closed_) co_return std::unexpected(box_.closed_error());
            if (!batch_.empty() && !feed_.ready() && !co_await feed_.wait(batch_patience))
                if (auto ok = co_await commit(); !ok) co_return ok;
            if (refused_) co_return result<void>{};
            const std::optional<append_item> item = co_await feed_.next();
            if (!item) co_return result<void>{};
            if (!batch_.empty() && !fits(*item))
                if (auto ok = co_await commit(); !ok) co_return ok;
            if (refused_) co_return result<void>{};
            if (auto ok = co_await take(*item); !ok) co_return ok;
        }
    }

    [[nodiscard]] bool fits(const append_item& item) const {
        if (item.handle != handle_ || batch_.size() >= box_.options_.batch_messages) return false;
        if (limit_ != 0 && batch_.size() >= limit_) return false;
        if (item.batch_limit != 0 && batch_.size() >= item.batch_limit) return false;
        return text_.size() + item.octets <= box_.options_.batch_octets;
    }

    task<result<void>> take(const append_item& item) {
        if (batch_.empty()) {
            handle_ = item.handle;
            limit_ = item.batch_limit;
        }
        feed_.announced();
        std::string beginning;
        std::uint64_t left = item.octets;
        while (left > 0 && beginning.size() < box_.options_.gather_octets) {
            auto c = co_await feed_.read();
            if (!c) co_return std::unexpected(c.error());
            left -= c->octets.size();
            beginning += c->octets;
        }
        std::optional<message::message_date> date;
        if (item.date) date = message::message_date{item.date->unix_seconds, item.date->zone_minutes};
        message::mbox_writer writer(item.flags, date, beginning, left == 0);
        if (left > 0) co_return co_await take_large(item, writer, beginning, left);
        const std::uint64_t begin = text_.size();
        text_ += opening(writer);
        writer.put(beginning, text_);
        writer.finish(text_);
        add(item, sha256::of(beginning), begin, text_.size(), item.octets);
        co_return result<void>{};
    }

    /// The first message of a file also says which keywords there are.
    [[nodiscard]] std::string opening(const message::mbox_writer& writer) const {
        std::string out = writer.opening();
        const mbox_mailbox::folder& f = box_.folders_[handle_];
        if (f.index.stamp.size > 0 || !batch_.empty()) return out;
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        const auto validity = std::chrono::duration_cast<std::chrono::seconds>(now).count();
        return out.insert(out.find('\n') + 1, message::make_imap_base(static_cast<std::uint32_t>(validity)));
    }

    // By way of a file without a name, so that the mbox is locked for a copy on the disk only, not for the source's
    // whole time.
    task<result<void>> take_large(const append_item& item, message::mbox_writer& writer, std::string_view beginning,
                                  std::uint64_t left) {
        if (!batch_.empty())
            if (auto ok = co_await commit(); !ok || refused_) co_return ok;
        handle_ = item.handle;
        const std::string path = box_.folders_[handle_].path;
        auto spool = co_await box_.options_.files->run([this, &path]() -> result<mbox_spool> {
            const auto place = box_.tree_.place_of(path, false);
            if (!place) return std::unexpected(place.error());
            return mbox_spool::make(*place);
        });
        if (!spool) co_return std::unexpected(spool.error());
        sha256 hash;
        std::string text = opening(writer);
        hash.update(beginning);
        writer.put(beginning, text);
        while (true) {
            if (text.size() >= spool_piece || left == 0) {
                if (left == 0) writer.finish(text);
                const auto ok = co_await box_.options_.files->run([&spool, &text] { return spool->add(text); });
                if (!ok) co_return refuse_one(item, ok.error());
                text.clear();
                if (left == 0) break;
            }
            auto c = co_await feed_.read();
            if (!c) co_return std::unexpected(c.error());
            left -= c->octets.size();
            hash.update(c->octets);
            writer.put(c->octets, text);
        }
        const std::string from = writer.from_line();
        const auto ok = co_await box_.options_.files->run([&spool, &from] { return spool->overwrite(0, from); });
        if (!ok) co_return refuse_one(item, ok.error());
        content_seen seen{.digest = hash.finish(), .octets = item.octets};
        if (writer.altered()) {
            box_.remarks_.insert(
                fmt::format("{}: a message of {} octets has bare LF far from its beginning, which an mbox "
                            "cannot keep; they are CRLF now",
                            quote_server_text(handle_), item.octets));
            const auto again = co_await box_.options_.files->run([&spool] { return read_back(*spool); });
            if (!again) co_return std::unexpected(again.error());
            seen = *again;
        }
        add(item, seen.digest, 0, spool->size(), seen.octets);
        spool_ = std::move(*spool);
        co_return co_await commit();
    }

    result<void> refuse_one(const append_item& item, const error& why) {
        if (why.response_code != "OVERQUOTA") return std::unexpected(why);
        feed_.refused({item.token}, why);
        refused_ = why;
        return {};
    }

    void add(const append_item& item, const sha256_digest& digest, std::uint64_t begin, std::uint64_t end,
             std::uint64_t octets) {
        written& w = batch_.emplace_back();
        w.token = item.token;
        w.name = mbox_content_name(digest);
        w.entry = {.begin = begin, .end = end, .octets = octets, .check = 0, .ours = true};
        std::memcpy(&w.entry.check, digest.octets.data(), sizeof w.entry.check);
        if (item.date) {
            w.entry.dated = true;
            w.entry.date = item.date->unix_seconds;
            w.entry.zone = item.date->zone_minutes;
        }
        std::vector<std::string> flags;
        for (std::string_view rest = item.flags; !rest.empty();) {
            const std::size_t space = std::min(rest.find(' '), rest.size());
            if (space > 0) flags.emplace_back(rest.substr(0, space));
            rest.remove_prefix(std::min(space + 1, rest.size()));
        }
        w.entry.flags = box_.folders_[handle_].index.flag_set(std::move(flags));
    }

    task<result<void>> commit() {
        if (batch_.empty()) co_return result<void>{};
        mbox_mailbox::folder& f = box_.folders_[handle_];
        std::vector<std::uint64_t> tokens;
        tokens.reserve(batch_.size());
        for (const written& w : batch_) tokens.push_back(w.token);
        auto done = co_await write(f);
        text_.clear();
        spool_.reset();
        std::vector<written> batch = std::exchange(batch_, {});
        if (!done) {
            if (done.error().response_code != "OVERQUOTA") co_return std::unexpected(done.error());
            feed_.refused(tokens, done.error());
            refused_ = done.error();
            co_return result<void>{};
        }
        co_return co_await name(f, std::move(batch), std::move(tokens));
    }

    /// Appends the batch; its entries then know where they are.
    task<result<void>> write(mbox_mailbox::folder& f) {
        auto file = co_await box_.lock(f.path, false);
        if (!file) co_return std::unexpected(file.error());
        f.written = true;
        std::vector<std::string> keywords;
        for (const written& w : batch_)
            for (const std::string& flag : f.index.flag_sets[w.entry.flags])
                if (!flag.starts_with('\\') && f.keywords.insert(flag).second) keywords.push_back(flag);
        struct outcome {
            std::vector<std::string> unnamed;
            std::uint64_t at = 0;
            bool others_wrote = false;
            mbox_stamp stamp;
        };
        auto done = co_await box_.options_.files->run([&]() -> result<outcome> {
            outcome out;
            const auto before = stamp_of(file->get());
            if (!before) return std::unexpected(before.error());
            out.others_wrote = *before != f.index.stamp;
            if (box_.options_.may_store && !box_.options_.may_store())
                return fail(retry_class::cancelled, phase::append, "nothing may be written any more");
            const auto at = spool_ ? file->append(*spool_) : file->append(text_);
            if (!at) return std::unexpected(at.error());
            if (!keywords.empty()) {
                auto unnamed = file->name_keywords(keywords);
                if (!unnamed) return std::unexpected(unnamed.error());
                out.unnamed = std::move(*unnamed);
            }
            const auto after = stamp_of(file->get());
            if (!after) return std::unexpected(after.error());
            out.at = *at;
            out.stamp = *after;
            file = std::unexpected(error{}); // unlocked here: letting go blocks, too
            return out;
        });
        if (!done) co_return std::unexpected(done.error());
        if (!done->unnamed.empty())
            box_.remarks_.insert(
                fmt::format("{}: keywords that its X-IMAPbase does not name, so Dovecot and UW-IMAP will "
                            "not show them: {}",
                            quote_server_text(handle_), fmt::join(done->unnamed, " ")));
        // What others added is to be seen at the next look; until then ours are known where they are.
        if (done->others_wrote) f.indexed = false;
        f.index.stamp = done->stamp;
        for (written& w : batch_) {
            w.entry.begin += done->at;
            w.entry.end += done->at;
        }
        co_return result<void>{};
    }

    task<result<void>> name(mbox_mailbox::folder& f, std::vector<written> batch, std::vector<std::uint64_t> tokens) {
        std::vector<std::uint32_t> uids;
        std::vector<std::string> names;
        names.reserve(batch.size());
        for (written& w : batch) names.push_back(fmt::format("{}.{}", w.name, ++f.index.times[w.name]));
        if (box_.options_.names == nullptr) {
            for (std::size_t i = 0; i < batch.size(); ++i) uids.push_back(f.uid_next++);
        } else {
            auto given = co_await box_.options_.names->add(box_.options_.place, handle_, std::move(names));
            if (!given) co_return std::unexpected(given.error());
            for (const name_book::entry& e : *given) uids.push_back(e.uid);
            f.uid_next = uids.back() + 1;
        }
        for (std::size_t i = 0; i < batch.size(); ++i) {
            batch[i].entry.uid = uids[i];
            f.index.entries.push_back(batch[i].entry);
        }
        feed_.stored(tokens, f.uid_validity, uids);
        co_return result<void>{};
    }

    mbox_mailbox& box_;
    append_feed& feed_;
    std::string handle_;
    std::size_t limit_ = 0;
    std::string text_; ///< the batch as it will stand in the file
    std::vector<written> batch_;
    std::optional<mbox_spool> spool_; ///< instead of text_: one large message
    std::optional<error> refused_;    ///< the disk is full: nothing more will fit
};

task<result<void>> mbox_mailbox::append(append_feed& feed) {
    mbox_append run(*this, feed);
    co_return co_await run.run();
}

} // namespace postferry::mailbox
