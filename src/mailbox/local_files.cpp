#include "mailbox/local_files.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::int64_t stale_seconds = 120; ///< as long as Dovecot waits for its own locks

std::string reason(int number) {
    std::array<char, 128> text{};
    return ::strerror_r(number, text.data(), text.size());
}

/// Whether who holds the lock is known to be dead. "pid:host", as Dovecot writes it.
bool holder_is_dead(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    std::string_view host = text.substr(colon + 1);
    host = host.substr(0, host.find_first_of("\n\0:"));
    const auto pid = parse_u32(text.substr(0, colon));
    if (!pid || *pid == 0 || *pid > INT32_MAX || host != host_name()) return false;
    return ::kill(static_cast<pid_t>(*pid), 0) != 0 && errno == ESRCH;
}

bool holder_lives_here(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    std::string_view host = text.substr(colon + 1);
    host = host.substr(0, host.find_first_of("\n\0:"));
    return parse_u32(text.substr(0, colon)) && host == host_name() && !holder_is_dead(text);
}

/// Removes a lock that nobody holds any more. The look and the removal are two steps: the inode makes sure that it is
/// still the one that was judged, but for the moment between.
void remove_stale(int directory, const std::string& name) {
    struct stat before{};
    if (::fstatat(directory, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0) return;
    const auto text = read_small_file(directory, name.c_str(), 1000);
    if (!text || !*text) return;
    const bool old = ::time(nullptr) - before.st_mtime > stale_seconds;
    if (!holder_is_dead(**text) && !(old && !holder_lives_here(**text))) return;
    struct stat now{};
    if (::fstatat(directory, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == before.st_ino)
        ::unlinkat(directory, name.c_str(), 0);
}

} // namespace

void file_handle::reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

error file_error(int number, phase where, std::string_view what) {
    error out{.cls = retry_class::local,
              .where = where,
              .what = fmt::format("{}: {}", what, reason(number)),
              .server_said = {},
              .advice = {},
              .response_code = {}};
    switch (number) {
    case ENOSPC:
        out.response_code = "OVERQUOTA";
        out.advice = "Make room on the disk (df -h, df -i), then run the same command again";
        break;
    case EDQUOT:
        out.response_code = "OVERQUOTA";
        out.advice = "Raise the owner's disk quota or make room, then run the same command again";
        break;
    case EACCES:
    case EPERM: out.advice = "Run as root or as the owner of the mailbox"; break;
    case EROFS: out.advice = "The file system is mounted read-only"; break;
    case EMFILE:
    case ENFILE: out.advice = "Raise the limit of open files (ulimit -n), or run fewer mailboxes at a time"; break;
    case ENOENT:
    case ENOTDIR: out.cls = retry_class::config; break;
    case ELOOP: out.advice = "Symbolic links below a mailbox are not followed"; break;
    case ENAMETOOLONG: out.cls = retry_class::permanent; break;
    default: break;
    }
    return out;
}

file_owner owner_like(int directory) noexcept {
    file_owner out;
    struct stat st{};
    if (::fstat(directory, &st) != 0) return out;
    out.give = ::geteuid() == 0;
    out.user = st.st_uid;
    out.group = st.st_gid;
    out.file_mode = (st.st_mode & 0666U) | 0600U;
    out.folder_mode = (st.st_mode & 0777U) | 0700U;
    return out;
}

result<file_handle> open_directory(int parent, const char* name, phase where) {
    file_handle fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return file_failure(errno, where, fmt::format("{} cannot be opened", quote_server_text(name)));
    return fd;
}

result<file_handle> make_directory(int parent, const char* name, const file_owner& owner, bool& made) {
    made = ::mkdirat(parent, name, owner.folder_mode) == 0;
    if (!made && errno != EEXIST)
        return file_failure(errno, phase::create, fmt::format("{} cannot be created", quote_server_text(name)));
    auto fd = open_directory(parent, name, phase::create);
    if (!fd || !made) return fd;
    // mkdir's mode is cut by the umask.
    if (::fchmod(fd->get(), owner.folder_mode) != 0 ||
        (owner.give && ::fchown(fd->get(), owner.user, owner.group) != 0))
        return file_failure(errno, phase::create,
                            fmt::format("{} cannot be given to the mailbox's owner", quote_server_text(name)));
    return fd;
}

result<file_handle> create_file(int directory, const char* name, const file_owner& owner) {
    file_handle fd(::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, owner.file_mode));
    if (!fd) return file_failure(errno, phase::append, fmt::format("{} cannot be created", quote_server_text(name)));
    if (::fchmod(fd.get(), owner.file_mode) != 0 || (owner.give && ::fchown(fd.get(), owner.user, owner.group) != 0))
        return file_failure(errno, phase::append,
                            fmt::format("{} cannot be given to the mailbox's owner", quote_server_text(name)));
    return fd;
}

result<void> write_all(int fd, std::string_view octets, std::string_view what) {
    while (!octets.empty()) {
        const ssize_t n = ::write(fd, octets.data(), octets.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_failure(n < 0 ? errno : EIO, phase::append, fmt::format("{} cannot be written", what));
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

result<void> sync_file(int fd, std::string_view what) {
    if (::fsync(fd) == 0) return {};
    return file_failure(errno, phase::append, fmt::format("{} cannot be brought to the disk", what));
}

file_handle open_quietly(int directory, const char* name) {
    constexpr int how = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    file_handle fd(::openat(directory, name, how | O_NOATIME));
    if (!fd && errno == EPERM) fd = file_handle(::openat(directory, name, how));
    return fd;
}

result<std::optional<std::string>> read_small_file(int directory, const char* name, std::uint64_t most) {
    const file_handle fd = open_quietly(directory, name);
    if (!fd && errno == ENOENT) return std::optional<std::string>();
    struct stat st{};
    if (!fd || ::fstat(fd.get(), &st) != 0)
        return file_failure(errno, phase::scan, fmt::format("{} cannot be read", quote_server_text(name)));
    if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) > most)
        return fail(retry_class::permanent, phase::scan,
                    fmt::format("{} is no file that could be read", quote_server_text(name)));
    std::string text(static_cast<std::size_t>(st.st_size), '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        const ssize_t n = ::read(fd.get(), text.data() + have, text.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_failure(errno, phase::scan, fmt::format("{} cannot be read", quote_server_text(name)));
        if (n == 0) break; // it became shorter
        have += static_cast<std::size_t>(n);
    }
    text.resize(have);
    return std::optional<std::string>(std::move(text));
}

result<void> replace_file(int directory, const char* name, const char* temporary, std::string_view text,
                          const file_owner& owner) {
    ::unlinkat(directory, temporary, 0); // of a run that was killed; whoever calls holds the lock
    auto fd = create_file(directory, temporary, owner);
    if (!fd) return std::unexpected(fd.error());
    result<void> ok = write_all(fd->get(), text, name);
    if (ok) ok = sync_file(fd->get(), name);
    if (ok && ::renameat(directory, temporary, directory, name) != 0)
        ok = file_failure(errno, phase::append, fmt::format("{} cannot be replaced", name));
    if (ok) return sync_file(directory, "the folder");
    ::unlinkat(directory, temporary, 0);
    return ok;
}

result<void> for_each_name(int directory, const std::function<void(std::string_view name, unsigned char type)>& take) {
    // A descriptor of its own: fdopendir() takes it over and moves its position.
    const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return file_failure(errno, phase::list, "A folder cannot be listed");
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(copy), ::closedir);
    if (!dir) {
        ::close(copy);
        return file_failure(errno, phase::list, "A folder cannot be listed");
    }
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr && errno != 0) return file_failure(errno, phase::list, "A folder cannot be listed");
        if (entry == nullptr) return {};
        const std::string_view name(static_cast<const char*>(entry->d_name));
        if (name != "." && name != "..") take(name, entry->d_type);
    }
}

dotlock::dotlock(dotlock&& other) noexcept
    : directory_(std::exchange(other.directory_, -1)), name_(std::move(other.name_)), inode_(other.inode_) {}

dotlock& dotlock::operator=(dotlock&& other) noexcept {
    if (this == &other) return *this;
    release();
    directory_ = std::exchange(other.directory_, -1);
    name_ = std::move(other.name_);
    inode_ = other.inode_;
    return *this;
}

// It is whole, and its owner's, before it has the name that others look at: Dovecot waits for a lock by watching it,
// and says so in its log when it may not.
result<std::optional<dotlock>> dotlock::try_lock(int directory, std::string name, const file_owner& owner) {
    static std::atomic<unsigned> made{0};
    remove_stale(directory, name);
    const std::string draft = fmt::format("{}.{}.{}.{}", name, host_name(), ::getpid(), ++made);
    file_handle fd(::openat(directory, draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return file_failure(errno, phase::append, fmt::format("The lock {} cannot be made", name));
    const auto give_up = [&](int number) {
        ::unlinkat(directory, draft.c_str(), 0);
        return file_failure(number, phase::append, fmt::format("The lock {} cannot be made", name));
    };
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return give_up(errno);
    if (owner.give && ::fchown(fd.get(), owner.user, owner.group) != 0) return give_up(errno);
    if (auto ok = write_all(fd.get(), fmt::format("{}:{}", ::getpid(), host_name()), name); !ok) {
        ::unlinkat(directory, draft.c_str(), 0);
        return std::unexpected(ok.error());
    }
    const bool ours = ::linkat(directory, draft.c_str(), directory, name.c_str(), 0) == 0;
    if (!ours && errno != EEXIST) return give_up(errno);
    ::unlinkat(directory, draft.c_str(), 0);
    if (!ours) return std::optional<dotlock>();
    dotlock out;
    out.directory_ = directory;
    out.name_ = std::move(name);
    out.inode_ = st.st_ino;
    return std::optional<dotlock>(std::move(out));
}

void dotlock::release() noexcept {
    if (directory_ < 0) return;
    struct stat st{};
    // Somebody who took us for dead may have made it anew.
    if (::fstatat(directory_, name_.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == inode_)
        ::unlinkat(directory_, name_.c_str(), 0);
    directory_ = -1;
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

} // namespace postferry::mailbox
