// Reading messages: small ones several at a time and ahead of the reader, large ones in pieces.
#include "mailbox/maildir_mailbox.hpp"
#include "message/line_ends.hpp"
#include "net/event.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::size_t together = 16;               ///< messages read by one piece of work, at most
constexpr std::uint64_t unknown_size = 32U << 10U; ///< taken for the size of a message whose name does not tell it
constexpr std::size_t ahead = 3;                   ///< pieces of work under way
constexpr std::uint64_t whole = 256U << 10U;       ///< a larger file is read in pieces of this size
constexpr std::size_t most_header = 256U << 10U;

struct reading_item {
    maildir_entry entry;
    // What came of it:
    std::optional<error> failure;
    bool gone = false;
    std::int64_t date = 0;
    std::uint64_t octets = 0; ///< as given out
    client::block_ref block;  ///< the whole message, or its header
    std::string_view text;
    file_handle large; ///< to be read in pieces
};

struct reading_work {
    std::vector<reading_item> items;
    bool done = false;
};

error unreadable(int number) { return file_error(number, phase::fetch, "The message's file cannot be read"); }

/// At most `most` octets from the position on; false with `failure` set when the disk fails.
bool read_some(int fd, std::uint64_t most, std::string& out, std::optional<error>& failure) {
    out.resize(most);
    std::size_t have = 0;
    while (have < most) {
        const ssize_t n = ::read(fd, out.data() + have, most - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            failure = unreadable(errno);
            failure->cls = retry_class::permanent; // this one message; others may be readable
            return false;
        }
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    out.resize(have);
    return true;
}

client::block_ref as_block(std::string_view text, std::size_t octets, std::string_view& out) {
    auto block = std::make_shared<client::block>(std::max<std::size_t>(octets, 1));
    message::crlf_writer writer;
    (void)writer.write(text, block->room().data());
    out = block->filled(octets);
    return block;
}

/// Reads the file once to know how long it is with CRLF.
void measure(reading_item& item, int fd) {
    message::bare_lf_counter bare;
    std::string text;
    item.octets = 0;
    do {
        if (!read_some(fd, whole, text, item.failure)) return;
        bare.add(text);
        item.octets += text.size();
    } while (text.size() == whole);
    item.octets += bare.count();
    if (::lseek(fd, 0, SEEK_SET) != 0) item.failure = unreadable(errno);
}

void read_whole(reading_item& item, file_handle fd, std::uint64_t size) {
    if (size > whole) {
        measure(item, fd.get());
        item.large = std::move(fd);
        return;
    }
    std::string text;
    if (!read_some(fd.get(), whole + 1, text, item.failure)) return;
    message::bare_lf_counter bare;
    bare.add(text);
    item.octets = text.size() + bare.count();
    item.block = as_block(text, item.octets, item.text);
}

/// The header and the size. Dovecot's own W= is believed where its S= fits the file.
void read_header(reading_item& item, file_handle fd, std::uint64_t size) {
    std::string text;
    if (!read_some(fd.get(), std::min<std::uint64_t>(size, most_header), text, item.failure)) return;
    const message::maildir_file told = message::parse_maildir_file(item.entry.name);
    if (text.size() == size) {
        message::bare_lf_counter bare;
        bare.add(text);
        item.octets = size + bare.count();
    } else if (told.octets && told.stored_octets == size) {
        item.octets = *told.octets;
    } else if (::lseek(fd.get(), 0, SEEK_SET) == 0) {
        measure(item, fd.get());
    }
    // Up to the first empty line; further lines of the body would not count anyway.
    if (const std::size_t lf = text.find("\n\n"), crlf = text.find("\n\r\n"); std::min(lf, crlf) != std::string::npos)
        text.resize(std::min(lf, crlf) + 1);
    message::bare_lf_counter bare;
    bare.add(text);
    item.block = as_block(text, text.size() + bare.count(), item.text);
}

void read_item(reading_item& item, maildir_finder& finder, fetch_part part) {
    auto fd = finder.open(item.entry);
    if (!fd) {
        item.failure = fd.error();
        item.failure->cls = retry_class::permanent;
        return;
    }
    struct stat st{};
    if (!*fd || ::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode)) {
        item.gone = true;
        return;
    }
    item.date = st.st_mtim.tv_sec;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size == 0)
        item.failure = fail(retry_class::permanent, phase::fetch, "The message's file is empty",
                            "Its delivery was cut off, or the disk was full; look into the server's backup")
                           .error();
    else if (part == fetch_part::whole)
        read_whole(item, std::move(*fd), size);
    else
        read_header(item, std::move(*fd), size);
}

} // namespace

class maildir_fetch {
  public:
    maildir_fetch(maildir_mailbox& box, fetch_part part, message_sink& sink, executor ex)
        : box_(box), part_(part), sink_(sink), executor_(ex), ready_(std::make_shared<net::event>(ex)) {}

    /// All messages asked for of one folder.
    task<result<void>> one(std::size_t request, const fetch_request& want) {
        const auto seen = co_await box_.view_of(want.handle, true);
        if (!seen || (*seen)->view.uid_validity != want.uid_validity) {
            sink_.unavailable(request, seen ? validity_changed() : seen.error());
            co_return result<void>{};
        }
        folder_ = *seen;
        request_ = request;
        next_ = folder_->view.entries.begin();
        wanted_ = &want.uids;
        uid_set absent = want.uids;
        for (const maildir_entry& e : folder_->view.entries)
            if (e.uid != 0 && want.uids.contains(e.uid)) absent.remove(e.uid, e.uid);
        auto ok = co_await deliver_all();
        under_way_.clear();
        absent.add(gone_);
        gone_ = {};
        if (ok && !absent.empty()) sink_.missing(request, std::move(absent), {});
        co_return ok;
    }

  private:
    static error validity_changed() {
        return {.cls = retry_class::transient,
                .where = phase::fetch,
                .what = "The folder's UIDVALIDITY changed while it was being read",
                .server_said = {},
                .advice = "It is planned again",
                .response_code = {}};
    }

    void start_work() {
        auto work = std::make_shared<reading_work>();
        const auto& entries = folder_->view.entries;
        const std::uint64_t most = box_.options_.window_octets / 4 / ahead;
        std::uint64_t octets = 0;
        for (; next_ != entries.end() && work->items.size() < together && octets < most; ++next_) {
            if (next_->uid == 0 || !wanted_->contains(next_->uid)) continue;
            work->items.emplace_back().entry = *next_;
            // A large one is not held.
            octets += std::min(message::parse_maildir_file(next_->name).stored_octets.value_or(unknown_size), whole);
        }
        if (work->items.empty()) return;
        under_way_.push_back(work);
        boost::asio::co_spawn(executor_, carry_out(box_.options_.files, folder_, work, part_, ready_),
                              boost::asio::detached);
    }

    // Holds what it needs by itself: it may outlive a reader that was cancelled.
    static task<> carry_out(std::shared_ptr<file_pool> files, std::shared_ptr<const opened_folder> folder,
                            std::shared_ptr<reading_work> work, fetch_part part, std::shared_ptr<net::event> ready) {
        co_await files->run([&folder, &work, part] {
            maildir_finder finder(folder->directories);
            for (reading_item& item : work->items) read_item(item, finder, part);
            return true;
        });
        work->done = true;
        ready->notify();
    }

    task<result<void>> deliver_all() {
        while (true) {
            while (under_way_.size() < ahead) {
                const std::size_t before = under_way_.size();
                start_work();
                if (under_way_.size() == before) break;
            }
            if (under_way_.empty()) co_return result<void>{};
            const auto work = under_way_.front();
            while (!work->done) co_await ready_->wait();
            under_way_.pop_front();
            for (reading_item& item : work->items) {
                if (box_.closed_) co_return std::unexpected(box_.closed_error());
                if (auto ok = co_await deliver(item); !ok) co_return ok;
            }
        }
    }

    message_head head_of(const reading_item& item) const {
        message_head head;
        head.request = request_;
        head.uid = item.entry.uid;
        head.flags =
            message::flags_of_letters(message::parse_maildir_file(item.entry.name).letters, folder_->view.keywords);
        head.date = message_date{.unix_seconds = item.date, .zone_minutes = 0};
        head.octets = item.octets;
        head.uidl = item.entry.uidl;
        // Without any server's lists it is qmail's or a like server's, and its POP3 tells the file's name.
        if (head.uidl.empty() && folder_->view.numbered == maildir_view::numbering::none &&
            item.entry.unique.size() <= 70)
            head.uidl = item.entry.unique;
        return head;
    }

    task<result<void>> deliver(reading_item& item) {
        if (item.gone) {
            gone_.add(item.entry.uid);
            co_return result<void>{};
        }
        if (item.failure) {
            sink_.missing(request_, uid_set::of(item.entry.uid, item.entry.uid), std::move(item.failure));
            co_return result<void>{};
        }
        if (part_ != fetch_part::whole) {
            sink_.header(head_of(item), item.text);
            co_return result<void>{};
        }
        if (auto ok = co_await sink_.begin(head_of(item)); !ok) co_return ok;
        if (item.large) {
            if (auto ok = co_await stream(item); !ok) co_return ok;
        } else {
            if (auto ok = co_await sink_.chunk(item.block, item.text); !ok) co_return ok;
        }
        co_return co_await sink_.end();
    }

    task<result<void>> stream(reading_item& item) {
        message::crlf_writer writer;
        std::uint64_t given = 0;
        while (given < item.octets) {
            std::string text;
            const auto read = [&] { return read_some(item.large.get(), whole, text, item.failure); };
            if (!co_await box_.options_.files->run(read)) co_return std::unexpected(*item.failure);
            if (text.empty()) break;
            const auto block = std::make_shared<client::block>(2 * text.size());
            const std::string_view octets = block->filled(writer.write(text, block->room().data()));
            given += octets.size();
            if (given > item.octets) break;
            if (auto ok = co_await sink_.chunk(block, octets); !ok) co_return ok;
        }
        if (given == item.octets) co_return result<void>{};
        co_return fail(retry_class::transient, phase::fetch, "A message's file changed while it was being read");
    }

    maildir_mailbox& box_;
    fetch_part part_;
    message_sink& sink_;
    executor executor_;
    std::shared_ptr<net::event> ready_;
    std::shared_ptr<opened_folder> folder_;
    std::size_t request_ = 0;
    std::vector<maildir_entry>::const_iterator next_;
    const uid_set* wanted_ = nullptr;
    std::deque<std::shared_ptr<reading_work>> under_way_;
    uid_set gone_;
};

task<result<void>> maildir_mailbox::fetch(std::span<const fetch_request> requests, fetch_part part,
                                          message_sink& sink) {
    maildir_fetch run(*this, part, sink, co_await boost::asio::this_coro::executor);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (closed_) co_return std::unexpected(closed_error());
        if (requests[i].uids.empty()) continue;
        if (auto ok = co_await run.one(i, requests[i]); !ok) co_return ok;
    }
    co_return result<void>{};
}

namespace {

/// The size as it is given out, as exactly as the question needs it.
bool is_larger(const maildir_directories& d, const maildir_entry& e, std::uint64_t limit) {
    struct stat st{};
    const int directory = e.in_new ? d.fresh.get() : d.cur.get();
    if (::fstatat(directory, std::string(e.name).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size > limit || 2 * size <= limit) return size > limit;
    const message::maildir_file told = message::parse_maildir_file(e.name);
    if (told.octets && told.stored_octets == size) return *told.octets > limit;
    const file_handle fd(
        ::openat(directory, std::string(e.name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    reading_item item;
    if (fd) measure(item, fd.get());
    return item.octets > limit;
}

uid_set found_in(const opened_folder& folder, const uid_set& uids, const search_criterion& what) {
    uid_set out;
    for (const maildir_entry& e : folder.view.entries) {
        if (!uids.contains(e.uid)) continue;
        if (what.larger_than && is_larger(*folder.directories, e, *what.larger_than)) out.add(e.uid);
        if (!what.older_than_unix) continue;
        struct stat st{};
        const int directory = e.in_new ? folder.directories->fresh.get() : folder.directories->cur.get();
        if (::fstatat(directory, std::string(e.name).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtim.tv_sec < *what.older_than_unix)
            out.add(e.uid);
    }
    return out;
}

} // namespace

task<result<std::vector<uid_set>>> maildir_mailbox::search(std::span<const fetch_request> requests,
                                                           search_criterion what) {
    std::vector<uid_set> out(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (closed_) co_return std::unexpected(closed_error());
        if (requests[i].uids.empty()) continue;
        const auto seen = co_await view_of(requests[i].handle, true);
        if (!seen) co_return std::unexpected(seen.error());
        out[i] = co_await options_.files->run([&] { return found_in(**seen, requests[i].uids, what); });
    }
    co_return out;
}

} // namespace postferry::mailbox
