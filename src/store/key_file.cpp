#include "store/key_file.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace postferry::store {

namespace {

constexpr std::string_view word = "postferry-seal-key-1 ";
constexpr std::size_t most_keys = 64;
constexpr std::size_t most_octets = 64 * 1024;

std::unexpected<error> wrong(const std::filesystem::path& file, std::string_view what, std::string advice) {
    return fail(retry_class::config, phase::ledger, fmt::format("key file {}: {}", file.string(), what),
                std::move(advice));
}

std::unexpected<error> not_done(const std::filesystem::path& file, std::string_view doing, int code) {
    return fail(code == ENOENT || code == EEXIST ? retry_class::config : retry_class::local, phase::ledger,
                fmt::format("key file {}: {} failed ({})", file.string(), doing, std::generic_category().message(code)),
                code == ENOENT ? "Name the right file, or make one with `postferry store rotate-key`" : "");
}

class descriptor {
  public:
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

  private:
    int fd_;
};

result<void> may_be_trusted(const std::filesystem::path& file, const struct stat& about) {
    if (!S_ISREG(about.st_mode)) return wrong(file, "it is no plain file", "Name a plain file");
    if ((about.st_mode & 0177U) != 0)
        return wrong(file, fmt::format("its mode is {:04o}, so others may read or change it", about.st_mode & 07777U),
                     fmt::format("Run: chmod 0600 {}. If anybody may have read it, change the key: postferry store "
                                 "rotate-key --drop-old",
                                 file.string()));
    if (about.st_uid != 0 && about.st_uid != geteuid())
        return wrong(file, fmt::format("it belongs to user {}, not to root or to us", about.st_uid),
                     fmt::format("Run: chown {} {}", geteuid(), file.string()));
    if (static_cast<std::size_t>(about.st_size) > most_octets) return wrong(file, "it is too long for a key file", "");
    return {};
}

result<std::string> read_all(const std::filesystem::path& file) {
    const descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.get() < 0) {
        if (errno == ELOOP) return wrong(file, "it is a symbolic link", "Name the file itself");
        return not_done(file, "opening", errno);
    }
    struct stat about{};
    if (fstat(fd.get(), &about) != 0) return not_done(file, "looking at it", errno);
    if (auto ok = may_be_trusted(file, about); !ok) return std::unexpected(std::move(ok.error()));
    std::string text(most_octets, '\0');
    std::size_t have = 0;
    for (;;) {
        const ssize_t n = read(fd.get(), text.data() + have, text.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return not_done(file, "reading", errno);
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    text.resize(have);
    return text;
}

result<key_ring> parse(const std::filesystem::path& file, std::string_view text) {
    key_ring keys;
    int line_number = 0;
    while (!text.empty()) {
        ++line_number;
        const auto end = text.find('\n');
        if (end == std::string_view::npos)
            return wrong(file, fmt::format("line {} has no end: the file is cut off", line_number),
                         "Bring it back from a copy");
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        if (line.empty() || line.starts_with('#')) continue;
        auto key = line.starts_with(word) ? sealing_key::from_hex(line.substr(word.size())) : std::nullopt;
        if (!key)
            return wrong(file, fmt::format("line {} is no key", line_number),
                         "A line is `postferry-seal-key-1` and 64 hexadecimal digits; bring the file back from a copy");
        keys.push_back(std::move(*key));
        if (keys.size() > most_keys) return wrong(file, "it holds more than 64 keys", "");
    }
    if (keys.empty()) return wrong(file, "there is no key in it", "Bring it back from a copy");
    return keys;
}

secret spelled(const key_ring& keys) {
    std::string text =
        "# Seals the secrets in Postferry's store. Without this file they cannot be opened again: keep a copy "
        "apart from\n# the database's backups. The first key seals, the others open what is older.\n";
    text.reserve(most_octets);
    for (const sealing_key& key : keys) {
        const secret hex = key.hex();
        text += word;
        text += hex.reveal();
        text += '\n';
    }
    secret out(text);
    std::ranges::fill(text, '\0');
    return out;
}

result<void> write_all(const std::filesystem::path& file, int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return not_done(file, "writing", errno);
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    if (fsync(fd) != 0) return not_done(file, "writing", errno);
    return {};
}

result<void> keep_name(const std::filesystem::path& file) {
    const auto parent = file.parent_path();
    const descriptor folder(open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || fsync(folder.get()) != 0) return not_done(file, "writing its folder", errno);
    return {};
}

result<void> create(const std::filesystem::path& file, const key_ring& keys) {
    const descriptor fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd.get() < 0) {
        if (errno == EEXIST) return wrong(file, "it is there already", "It is left as it is");
        return not_done(file, "making it", errno);
    }
    if (fchmod(fd.get(), 0600) != 0) return not_done(file, "making it", errno);
    const secret text = spelled(keys);
    auto done = write_all(file, fd.get(), text.reveal());
    if (!done) unlink(file.c_str());
    return done;
}

} // namespace

result<key_ring> load_keys(const std::filesystem::path& file) {
    auto text = read_all(file);
    if (!text) return std::unexpected(std::move(text.error()));
    auto keys = parse(file, *text);
    std::ranges::fill(*text, '\0');
    return keys;
}

result<key_ring> make_key_file(const std::filesystem::path& file) {
    key_ring keys{sealing_key::random()};
    auto done = create(file, keys);
    if (done) done = keep_name(file);
    if (!done) return std::unexpected(std::move(done.error()));
    return keys;
}

result<void> save_keys(const std::filesystem::path& file, const key_ring& keys) {
    struct stat about{};
    if (stat(file.c_str(), &about) != 0) return not_done(file, "looking at it", errno);
    std::filesystem::path next = file;
    next += ".new";
    unlink(next.c_str()); // of a run that was killed
    auto done = create(next, keys);
    if (!done) return done;
    if ((about.st_uid != geteuid() || about.st_gid != getegid()) &&
        chown(next.c_str(), about.st_uid, about.st_gid) != 0)
        done = not_done(next, "giving it its owner", errno);
    else if (rename(next.c_str(), file.c_str()) != 0)
        done = not_done(next, "putting it in place", errno);
    if (!done) {
        unlink(next.c_str());
        return done;
    }
    return keep_name(file);
}

} // namespace postferry::store
