#include "mailbox/mbox_tree.hpp"

#include "base/text.hpp"
#include "message/mbox_from.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::size_t sniffed_octets = 65'536;
constexpr int deepest = 64;
constexpr std::string_view children_suffix = ".sbd", own_suffix = ".mbox";
constexpr const char* subscriptions = ".subscriptions";
constexpr std::string_view version_2 = "V\t2\n\n"; ///< of Dovecot's file: levels are separated by tabs, else by "/"
constexpr std::uint64_t most_subscriptions = 1U << 20U;

/// A "/" within a level is U+2215 in the house.
std::string without_slash(std::string name) {
    for (std::size_t at = 0; (at = name.find('/', at)) != std::string::npos;) name.replace(at, 1, "\u2215");
    return name;
}

std::string decode_level(std::string_view level) {
    if (level.find('&') != std::string_view::npos)
        if (auto utf8 = imap::decode_mutf7(level)) return without_slash(std::move(*utf8));
    if (is_utf8(level)) return std::string(level);
    std::string out;
    for (const char c : level) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < 0x80) {
            out += c;
        } else {
            out += static_cast<char>(0xC0U | (octet >> 6U));
            out += static_cast<char>(0x80U | (octet & 0x3FU));
        }
    }
    return out;
}

/// Files that mail programs keep beside their folders.
bool is_other_file(std::string_view name) {
    return name.starts_with('.') || name.ends_with(".lock") || name.ends_with(".msf") || name.ends_with(".dat") ||
           name.starts_with("dovecot");
}

bool is_mbox(int directory, const std::string& name, std::string& trouble) {
    const file_handle fd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOATIME));
    const file_handle again(fd ? -1
                               : ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    const int at = fd ? fd.get() : again.get();
    struct stat st{};
    if (at < 0 || ::fstat(at, &st) != 0) {
        trouble = file_error(errno, phase::list, "it cannot be read").message();
        return false;
    }
    if (!S_ISREG(st.st_mode)) return false;
    std::string text(static_cast<std::size_t>(std::min<off_t>(st.st_size, sniffed_octets)), '\0');
    const ssize_t n = ::pread(at, text.data(), text.size(), 0);
    if (n < 0) {
        trouble = file_error(errno, phase::list, "it cannot be read").message();
        return false;
    }
    std::string_view rest(text.data(), static_cast<std::size_t>(n));
    if (rest.find_first_not_of("\r\n") == std::string_view::npos) return true;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (message::parse_mbox_from(rest.substr(0, end))) return true;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    trouble = "it is no mbox: no From_ line at its beginning";
    return false;
}

std::set<std::string> read_subscriptions(int root, bool& known) {
    std::set<std::string> out;
    const auto text = read_small_file(root, subscriptions, most_subscriptions);
    known = text && *text;
    if (!known) return out;
    std::string_view rest = **text;
    const char separator = rest.starts_with(version_2) ? '\t' : '/';
    if (separator == '\t') rest.remove_prefix(version_2.size());
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string name;
        std::string_view line = rest.substr(0, end);
        while (!line.empty()) {
            const std::size_t slash = std::min(line.find(separator), line.size());
            name += (name.empty() ? "" : "/") + decode_level(line.substr(0, slash));
            line.remove_prefix(std::min(slash + 1, line.size()));
        }
        out.insert(iequals(name, "INBOX") ? "INBOX" : name);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return out;
}

/// Why no file can have this name.
std::string_view trouble_of(std::string_view level) {
    if (level.empty() || level == "." || level == "..") return "is no name for a file";
    if (level.starts_with('.')) return "would be hidden: it begins with a dot";
    if (level.ends_with(".lock") || level.ends_with(children_suffix) || level.ends_with(".msf"))
        return "ends as files do that mail programs keep for themselves";
    if (level.size() > 240) return "is too long for a file's name";
    return {};
}

} // namespace

mbox_tree::mbox_tree(std::string path) : path_(std::move(path)) {
    struct stat st{};
    exists_ = ::stat(path_.c_str(), &st) == 0;
    kind_ = (exists_ && S_ISREG(st.st_mode)) || (!exists_ && path_.ends_with(own_suffix)) ? kind::file : kind::tree;
    // What the user names may be a link; below it none is followed.
    const std::unique_ptr<char, void (*)(void*)> real(exists_ ? ::realpath(path_.c_str(), nullptr) : nullptr,
                                                      std::free);
    if (real) path_ = real.get();
}

struct mbox_tree::walk {
    mbox_tree_listing& out;

    result<void> directory(int fd, const std::string& path, const std::string& name, int depth) {
        if (depth > deepest) {
            out.notes.push_back(fmt::format("{} is left out: it lies too deep", quote_server_text(path)));
            return {};
        }
        std::vector<std::string> entries;
        if (auto ok = for_each_name(fd, [&](std::string_view entry, unsigned char) { entries.emplace_back(entry); });
            !ok)
            return ok;
        std::ranges::sort(entries);
        for (const std::string& entry : entries) {
            std::string below = path;
            if (!below.empty()) below += '/';
            below += entry;
            if (auto ok = one(fd, below, name, entry, entries, depth); !ok) return ok;
        }
        return {};
    }

    result<void> one(int fd, const std::string& path, const std::string& above, const std::string& entry,
                     const std::vector<std::string>& beside, int depth) {
        struct stat st{};
        if (entry.starts_with('.') || ::fstatat(fd, entry.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
        const auto joined = [&above](std::string_view level) {
            return above.empty() ? decode_level(level) : above + "/" + decode_level(level);
        };
        if (S_ISDIR(st.st_mode)) {
            std::string_view level = entry;
            if (level.ends_with(children_suffix)) level.remove_suffix(children_suffix.size());
            auto below = open_directory(fd, entry.c_str(), phase::list);
            if (below) return directory(below->get(), path, joined(level), depth + 1);
            out.notes.push_back(fmt::format("{} is left out: {}", quote_server_text(path), below.error().message()));
            return {};
        }
        if (is_other_file(entry)) return {};
        std::string trouble = S_ISLNK(st.st_mode) ? "symbolic links below a mailbox are not followed" : "it is no file";
        if (!S_ISREG(st.st_mode) || !is_mbox(fd, entry, trouble)) {
            out.notes.push_back(fmt::format("{} is left out: {}", quote_server_text(path), trouble));
            return {};
        }
        std::string_view level = entry;
        if (level.ends_with(own_suffix)) {
            const std::string_view own = level.substr(0, level.size() - own_suffix.size());
            if (std::ranges::binary_search(beside, own)) level = own;
        }
        std::string name = above.empty() && iequals(level, "INBOX") ? "INBOX" : joined(level);
        if (std::ranges::find(out.folders, name, &mbox_found::name) != out.folders.end())
            name = joined(entry) + " (2)"; // two files for one name: both are mail
        out.folders.push_back({.name = std::move(name), .path = path});
        return {};
    }
};

result<file_handle> mbox_tree::open_root(bool create) const {
    if (kind_ == kind::file) {
        const std::string above = path_.substr(0, std::max<std::size_t>(path_.rfind('/'), 1));
        file_handle fd(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd)
            return file_failure(errno, phase::connect, fmt::format("{} cannot be opened", quote_server_text(above)));
        return fd;
    }
    file_handle fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) return fd;
    if (errno != ENOENT || !create)
        return file_failure(errno, phase::connect, fmt::format("{} cannot be opened", quote_server_text(path_)));
    const std::size_t slash = path_.rfind('/');
    const std::string above = path_.substr(0, std::max<std::size_t>(slash, 1));
    const file_handle parent(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent)
        return file_failure(errno, phase::create, fmt::format("{} cannot be opened", quote_server_text(above)));
    bool made = false;
    auto root = make_directory(parent.get(), path_.substr(slash + 1).c_str(), owner_like(parent.get()), made);
    if (root && made)
        if (auto ok = sync_file(parent.get(), above); !ok) return std::unexpected(ok.error());
    return root;
}

result<mbox_tree_listing> mbox_tree::list() const {
    mbox_tree_listing out;
    if (kind_ == kind::file) {
        if (::access(path_.c_str(), F_OK) == 0)
            out.folders.push_back({.name = "INBOX", .path = path_.substr(path_.rfind('/') + 1)});
        return out;
    }
    auto root = open_root(false);
    if (!root && root.error().cls == retry_class::config && !exists_) return out;
    if (!root) return std::unexpected(root.error());
    if (auto ok = walk{out}.directory(root->get(), {}, {}, 0); !ok) return std::unexpected(ok.error());
    bool known = false;
    const std::set<std::string> subscribed = read_subscriptions(root->get(), known);
    for (mbox_found& f : out.folders) f.subscribed = !known || subscribed.contains(f.name);
    std::ranges::sort(out.folders, {}, &mbox_found::name);
    return out;
}

result<std::string> mbox_tree::path_of(std::string_view name, const std::map<std::string, std::string>& known) const {
    const auto at = known.find(std::string(name));
    if (at != known.end()) return at->second;
    if (kind_ == kind::file) {
        if (name == "INBOX") return path_.substr(path_.rfind('/') + 1);
        return fail(retry_class::config, phase::create,
                    fmt::format("{} is one file, which has room for the INBOX only", quote_server_text(path_)),
                    "Name a folder of files as the target, or copy with --include INBOX");
    }
    if (name == "INBOX") return std::string("inbox"); // as Dovecot and UW-IMAP call it
    auto directory = open_root(false);
    std::string path;
    std::string_view rest = name;
    while (true) {
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        const bool leaf = slash == rest.size();
        const auto level = imap::encode_mutf7(rest.substr(0, slash));
        const std::string_view trouble = level ? trouble_of(*level) : "is no UTF-8";
        if (!trouble.empty())
            return fail(retry_class::permanent, phase::create,
                        fmt::format("{} cannot be a file: a level {}", quote_server_text(name), trouble),
                        "Give it another name with --map");
        struct stat st{};
        const bool there = directory && ::fstatat(directory->get(), level->c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
        std::string file = *level;
        // A name has room for a file or for a folder; the later one of both steps aside.
        if (leaf && there && S_ISDIR(st.st_mode)) file += own_suffix;
        if (!leaf && there && !S_ISDIR(st.st_mode)) file += children_suffix;
        path += (path.empty() ? "" : "/") + file;
        if (leaf) return path;
        if (directory) directory = open_directory(directory->get(), file.c_str(), phase::create);
        rest.remove_prefix(slash + 1);
    }
}

result<mbox_place> mbox_tree::place_of(const std::string& path, bool create) const {
    auto root = open_root(create);
    if (!root) return std::unexpected(root.error());
    mbox_place out{.directory = std::move(*root), .file = {}};
    std::string_view rest = path;
    while (true) {
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        const std::string level(rest.substr(0, slash));
        if (slash == rest.size()) {
            out.file = level;
            return out;
        }
        bool made = false;
        auto below = create ? make_directory(out.directory.get(), level.c_str(), owner_like(out.directory.get()), made)
                            : open_directory(out.directory.get(), level.c_str(), phase::scan);
        if (!below) return std::unexpected(below.error());
        if (made)
            if (auto ok = sync_file(out.directory.get(), "the folder"); !ok) return std::unexpected(ok.error());
        out.directory = std::move(*below);
        rest.remove_prefix(slash + 1);
    }
}

result<void> mbox_tree::subscribe(const std::vector<std::string>& names) const {
    if (kind_ == kind::file || names.empty()) return {};
    auto root = open_root(false);
    if (!root) return std::unexpected(root.error());
    auto text = read_small_file(root->get(), subscriptions, most_subscriptions);
    if (!text) return std::unexpected(text.error());
    bool known = false;
    const std::set<std::string> there = read_subscriptions(root->get(), known);
    std::string all = text->value_or(std::string(version_2));
    const bool tabs = all.starts_with(version_2);
    if (!all.empty() && !all.ends_with('\n')) all += '\n';
    const std::size_t before = all.size();
    for (const std::string& name : names) {
        if (there.contains(name)) continue;
        std::string line = imap::encode_mutf7(name).value_or(name);
        if (tabs) std::ranges::replace(line, '/', '\t');
        all += line + "\n";
    }
    if (all.size() == before) return {};
    return replace_file(root->get(), subscriptions, ".subscriptions.postferry", all, owner_like(root->get()));
}

} // namespace postferry::mailbox
