#include "mailbox/mbox_file.hpp"

#include "base/text.hpp"
#include "message/mbox_fields.hpp"
#include "message/mbox_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::size_t piece = 256U << 10U;
constexpr std::size_t first_header_octets = 65'536;

std::string journal_name(const std::string& file) { return fmt::format(".{}.postferry", file); }

file_owner private_like(int directory) {
    file_owner out = owner_like(directory);
    out.file_mode = 0600; // a folder may be open to all, the mail in it is not
    return out;
}

result<void> write_at(int fd, std::string_view octets, std::uint64_t at) {
    while (!octets.empty()) {
        const ssize_t n = ::pwrite(fd, octets.data(), octets.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_failure(n < 0 ? errno : EIO, phase::append, "The mbox cannot be written");
        octets.remove_prefix(static_cast<std::size_t>(n));
        at += static_cast<std::uint64_t>(n);
    }
    return {};
}

result<void> copy_to(int from, std::uint64_t octets, int fd, std::uint64_t at) {
    std::string text(piece, '\0');
    for (std::uint64_t done = 0; done < octets;) {
        const ssize_t n =
            ::pread(from, text.data(), std::min<std::uint64_t>(piece, octets - done), static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_failure(n < 0 ? errno : EIO, phase::append, "A message's spool file cannot be read");
        const auto got = static_cast<std::size_t>(n);
        if (auto ok = write_at(fd, std::string_view(text).substr(0, got), at + done); !ok) return ok;
        done += got;
    }
    return {};
}

/// False: somebody else has it.
result<bool> lock_whole(int fd) {
    struct flock what{};
    what.l_type = F_WRLCK;
    what.l_whence = SEEK_SET;
    if (::fcntl(fd, F_OFD_SETLK, &what) == 0) return true;
    if (errno == EAGAIN || errno == EACCES) return false;
    return file_failure(errno, phase::append, "The mbox cannot be locked");
}

/// Whether all messages are ours.
class ownership final : public message::mbox_sink {
  public:
    bool all_ours = true;
    void begin(std::uint64_t) override {}
    void octets(std::string_view) override {}
    void end(message::mbox_message m) override { all_ours = all_ours && m.ours; }
};

} // namespace

result<mbox_spool> mbox_spool::make(const mbox_place& place) {
    mbox_spool out;
    out.fd_ = file_handle(::openat(place.directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (out.fd_) return out;
    // A file system without nameless files.
    const std::string name = fmt::format(".{}.{}.postferry-spool", place.file, ::getpid());
    ::unlinkat(place.directory.get(), name.c_str(), 0);
    out.fd_ = file_handle(
        ::openat(place.directory.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out.fd_) return file_failure(errno, phase::append, "A message's spool file cannot be made beside the mbox");
    ::unlinkat(place.directory.get(), name.c_str(), 0);
    return out;
}

result<void> mbox_spool::add(std::string_view octets) {
    auto ok = write_at(fd_.get(), octets, size_);
    if (ok) size_ += octets.size();
    return ok;
}

result<void> mbox_spool::overwrite(std::uint64_t offset, std::string_view octets) {
    return write_at(fd_.get(), octets, offset);
}

result<std::optional<mbox_file>> mbox_file::try_open(mbox_place place, bool create, bool& created,
                                                     std::vector<std::string>& remarks) {
    mbox_file out;
    out.place_ = std::move(place);
    const int directory = out.place_.directory.get();
    const std::string& name = out.place_.file;
    const file_owner owner = private_like(directory);
    created = false;
    auto lock = dotlock::try_lock(directory, name + ".lock", owner);
    if (!lock) return std::unexpected(lock.error());
    if (!*lock) return std::optional<mbox_file>();
    out.dotlock_ = std::move(**lock);
    constexpr int how = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    out.fd_ = file_handle(::openat(directory, name.c_str(), how));
    if (!out.fd_ && errno == ENOENT && create) {
        auto made = create_file(directory, name.c_str(), owner);
        if (!made) return std::unexpected(made.error());
        if (auto ok = sync_file(directory, "the folder"); !ok) return std::unexpected(ok.error());
        created = true;
        out.fd_ = file_handle(::openat(directory, name.c_str(), how));
    }
    struct stat st{};
    if (!out.fd_ || ::fstat(out.fd_.get(), &st) != 0)
        return file_failure(errno, phase::append, fmt::format("{} cannot be opened", quote_server_text(name)));
    if (!S_ISREG(st.st_mode))
        return fail(retry_class::config, phase::append, fmt::format("{} is no file", quote_server_text(name)));
    const auto locked = lock_whole(out.fd_.get());
    if (!locked) return std::unexpected(locked.error());
    if (!*locked) return std::optional<mbox_file>();
    if (auto ok = out.recover(remarks); !ok) return std::unexpected(ok.error());
    return std::optional<mbox_file>(std::move(out));
}

bool mbox_file::all_ours_from(std::uint64_t offset, std::uint64_t end) const {
    // Cut off within its first line, or the empty lines before that.
    std::array<char, message::mbox_from_octets> first{};
    const ssize_t got = ::pread(fd_.get(), first.data(), std::min<std::uint64_t>(first.size(), end - offset),
                                static_cast<off_t>(offset));
    if (got < 0) return false;
    std::string_view line(first.data(), static_cast<std::size_t>(got));
    line.remove_prefix(std::min(line.find_first_not_of('\n'), line.size()));
    const std::string ours = fmt::format("From {} ", message::mbox_sender);
    if (line.find('\n') == std::string_view::npos && line.size() < first.size() / 2)
        return line.starts_with(ours) || ours.starts_with(line);
    ownership sink;
    message::mbox_reader reader({.format = message::mbox_format::mboxrd, .separator_at = {}, .offset = offset}, sink);
    std::string text(piece, '\0');
    for (std::uint64_t at = offset; at < end;) {
        const ssize_t n =
            ::pread(fd_.get(), text.data(), std::min<std::uint64_t>(piece, end - at), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        reader.feed(std::string_view(text).substr(0, static_cast<std::size_t>(n)));
        at += static_cast<std::uint64_t>(n);
    }
    reader.finish();
    return sink.all_ours;
}

// "1 INODE LENGTH\n"
result<void> mbox_file::recover(std::vector<std::string>& remarks) {
    const auto text = read_small_file(place_.directory.get(), journal_name(place_.file).c_str(), 200);
    if (!text) return std::unexpected(text.error());
    if (!*text) return {};
    if (!(*text)->ends_with('\n')) { // nothing was written after it
        forget_journal();
        return {};
    }
    const std::string_view line = std::string_view(**text).substr(0, (*text)->size() - 1);
    const std::size_t first = line.find(' '), second = line.find(' ', first + 1);
    if (!line.starts_with("1 ") || second == std::string_view::npos) return {};
    const auto inode = parse_u64(line.substr(first + 1, second - first - 1));
    const auto length = parse_u64(line.substr(second + 1));
    const auto now = stamp_of(fd_.get());
    if (!now) return std::unexpected(now.error());
    if (!inode || !length || *inode != now->inode || now->size <= *length) return clear_journal();
    // The first octets may be the empty line before the first From_ line, or of it a part.
    if (now->size - *length > 2 && !all_ours_from(*length, now->size)) {
        remarks.push_back(
            fmt::format("{}: a run that was cut off left messages at octet {}, and others were added behind "
                        "them since; nothing was taken out, so the last of ours may be there twice, once "
                        "incomplete",
                        quote_server_text(place_.file), *length));
        return clear_journal();
    }
    if (::ftruncate(fd_.get(), static_cast<off_t>(*length)) != 0)
        return file_failure(errno, phase::append, "What a run that was cut off left in the mbox cannot be taken out");
    if (auto ok = sync_file(fd_.get(), place_.file); !ok) return ok;
    return clear_journal();
}

result<void> mbox_file::write_journal(std::uint64_t length) {
    const int directory = place_.directory.get();
    const std::string name = journal_name(place_.file);
    if (!journal_) {
        constexpr int how = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
        journal_ = file_handle(::openat(directory, name.c_str(), how));
        if (!journal_ && errno == ENOENT) {
            auto made = create_file(directory, name.c_str(), private_like(directory));
            if (!made) return std::unexpected(made.error());
            if (auto ok = sync_file(directory, "the folder"); !ok) return ok;
            journal_ = std::move(*made);
        }
        if (!journal_) return file_failure(errno, phase::append, fmt::format("{} cannot be opened", name));
    }
    const auto now = stamp_of(fd_.get());
    if (!now) return std::unexpected(now.error());
    if (::ftruncate(journal_.get(), 0) != 0)
        return file_failure(errno, phase::append, fmt::format("{} cannot be written", name));
    if (auto ok = write_at(journal_.get(), fmt::format("1 {} {}\n", now->inode, length), 0); !ok) return ok;
    return sync_file(journal_.get(), name);
}

result<void> mbox_file::clear_journal() {
    const std::string name = journal_name(place_.file);
    file_handle mine(journal_ ? -1 : ::openat(place_.directory.get(), name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
    const int fd = journal_ ? journal_.get() : mine.get();
    if (fd < 0) return {};
    if (::ftruncate(fd, 0) != 0) return file_failure(errno, phase::append, fmt::format("{} cannot be emptied", name));
    return sync_file(fd, name);
}

void mbox_file::forget_journal() noexcept {
    journal_.reset();
    ::unlinkat(place_.directory.get(), journal_name(place_.file).c_str(), 0);
}

result<std::string> mbox_file::gap(std::uint64_t length) const {
    if (length == 0) return std::string();
    std::array<char, 4> last{};
    const std::uint64_t from = length - std::min<std::uint64_t>(length, last.size());
    const ssize_t n = ::pread(fd_.get(), last.data(), length - from, static_cast<off_t>(from));
    if (n < 0) return file_failure(errno, phase::append, "The end of the mbox cannot be read");
    const std::string_view text(last.data(), static_cast<std::size_t>(n));
    if (text.ends_with("\n\n") || text.ends_with("\n\r\n")) return std::string();
    return std::string(text.ends_with('\n') ? "\n" : "\n\n");
}

// Nothing of a batch that failed stays. The journal is left as it is where even that fails: the next run takes it out.
result<void> mbox_file::take_back(std::uint64_t length, error why) {
    const bool back = ::ftruncate(fd_.get(), static_cast<off_t>(length)) == 0 && sync_file(fd_.get(), place_.file);
    if (back)
        if (auto ok = clear_journal(); !ok) why.advice += (why.advice.empty() ? "" : "; ") + ok.error().what;
    return std::unexpected(std::move(why));
}

template <class Write> result<std::uint64_t> mbox_file::append_by(Write write) {
    const auto before = stamp_of(fd_.get());
    if (!before) return std::unexpected(before.error());
    const auto line_ends = gap(before->size);
    if (!line_ends) return std::unexpected(line_ends.error());
    if (auto ok = write_journal(before->size); !ok) return std::unexpected(ok.error());
    const std::uint64_t at = before->size + line_ends->size();
    result<void> ok = write_at(fd_.get(), *line_ends, before->size);
    if (ok) ok = write(at);
    if (ok) ok = sync_file(fd_.get(), place_.file);
    // From here on the messages are there for good: nobody may take them out any more.
    if (ok) ok = clear_journal();
    if (!ok) ok = take_back(before->size, ok.error());
    if (!ok) return std::unexpected(ok.error());
    return at;
}

result<std::uint64_t> mbox_file::append(std::string_view messages) {
    return append_by([&](std::uint64_t at) { return write_at(fd_.get(), messages, at); });
}

result<std::uint64_t> mbox_file::append(const mbox_spool& messages) {
    return append_by([&](std::uint64_t at) { return copy_to(messages.get(), messages.size(), fd_.get(), at); });
}

result<std::vector<std::string>> mbox_file::name_keywords(const std::vector<std::string>& keywords) {
    std::string beginning(first_header_octets, '\0');
    const ssize_t n = ::pread(fd_.get(), beginning.data(), beginning.size(), 0);
    if (n < 0) return file_failure(errno, phase::append, "The beginning of the mbox cannot be read");
    beginning.resize(static_cast<std::size_t>(n));
    message::imap_base_change change = message::name_keywords(beginning, keywords);
    if (!change.text.empty()) {
        // Spaces are overwritten: nothing moves, and a reader in between sees one keyword more or less.
        if (auto ok = write_at(fd_.get(), change.text, change.offset); !ok) return std::unexpected(ok.error());
        if (auto ok = sync_file(fd_.get(), place_.file); !ok) return std::unexpected(ok.error());
    }
    return std::move(change.no_room);
}

} // namespace postferry::mailbox
