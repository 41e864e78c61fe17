#include "mailbox/maildir_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <unordered_map>

namespace postferry::mailbox {

namespace {

constexpr std::size_t arena_block = 64U << 10U;
constexpr unsigned readings = 3; ///< of a folder that changes while it is read
/// Times of files have the grain of the kernel's clock (4 ms), or of the network file system's (1 s).
constexpr std::int64_t racy_seconds = 2;

constexpr std::array<const char*, 4> stamped{"new", "cur", "dovecot-uidlist", "dovecot-keywords"};

std::uint64_t mix(std::uint64_t h, std::uint64_t v) noexcept {
    // FNV-1a over the octets of v.
    for (unsigned i = 0; i < 8; ++i) h = (h ^ ((v >> (8 * i)) & 0xffU)) * 1'099'511'628'211ULL;
    return h;
}

/// One number for the times of everything that changes with the folder's messages; `newest` in seconds.
std::uint64_t stamp_of(int folder, std::int64_t& newest) {
    std::uint64_t h = 14'695'981'039'346'656'037ULL;
    for (const char* name : stamped) {
        struct stat st{};
        if (::fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            h = mix(h, 1);
            continue;
        }
        h = mix(mix(mix(h, st.st_ino), static_cast<std::uint64_t>(st.st_mtim.tv_sec)),
                static_cast<std::uint64_t>(st.st_mtim.tv_nsec));
        newest = std::max(newest, static_cast<std::int64_t>(st.st_mtim.tv_sec));
    }
    return h == 0 ? 1 : h & INT64_MAX; // the ledger keeps signed numbers
}

bool is_plain_file(int directory, std::string_view name, unsigned char type, maildir_oddities& odd) {
    if (type == DT_UNKNOWN) {
        struct stat st{};
        if (::fstatat(directory, std::string(name).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
        type = S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_LNK;
    }
    if (type == DT_REG) return true;
    ++(type == DT_DIR ? odd.directories : odd.others);
    return false;
}

ino_t inode_of(const maildir_directories& d, bool in_new, std::string_view name) {
    struct stat st{};
    const int directory = in_new ? d.fresh.get() : d.cur.get();
    if (::fstatat(directory, std::string(name).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
    return st.st_ino;
}

class reading {
  public:
    reading(const maildir_directories& d, maildir_view& out) : d_(d), out_(out) {
        out_.names = std::make_shared<text_arena>();
    }

    /// One look at new/ and cur/. new/ first: what moves from it to cur/ meanwhile is seen at least once.
    result<void> look() {
        out_.odd = {};
        if (d_.fresh)
            if (auto ok = list(d_.fresh.get(), true); !ok) return ok;
        return list(d_.cur.get(), false);
    }

    void finish() {
        out_.entries.reserve(found_.size());
        for (auto& [unique, entry] : found_) out_.entries.push_back(entry);
        if (d_.tmp)
            (void)for_each_name(d_.tmp.get(), [this](std::string_view, unsigned char) { ++out_.odd.unfinished; });
    }

    result<void> number() {
        auto list = read_list();
        if (!list) return std::unexpected(list.error());
        if (!*list) { // none, or one without a header: its UIDs mean nothing
            out_.numbered = maildir_view::numbering::none;
            call_as_courier();
            return {};
        }
        out_.uid_validity = (*list)->uid_validity;
        out_.uid_next = (*list)->uid_next;
        out_.guid = std::move((*list)->guid);
        out_.torn = (*list)->torn;
        out_.odd.skipped_lines = (*list)->skipped_lines;
        out_.records = std::move((*list)->records);
        std::unordered_map<std::string_view, const message::uidlist_record*> by_name;
        by_name.reserve(out_.records.size());
        for (const message::uidlist_record& r : out_.records) by_name.try_emplace(r.unique, &r);
        for (maildir_entry& e : out_.entries) {
            const auto at = by_name.find(e.unique);
            if (at == by_name.end()) continue;
            e.uid = at->second->uid;
            e.uidl = at->second->uidl();
        }
        if (out_.numbered == maildir_view::numbering::courier) call_as_courier();
        return {};
    }

  private:
    /// Where Courier serves the folder, its POP3 has names of its own.
    void call_as_courier() {
        const auto text = read_small_file(d_.folder.get(), "courierpop3dsizelist", max_list_octets);
        if (!text || !*text) return;
        std::unordered_map<std::string_view, std::string> names;
        for (message::courier_uidl& c : message::read_courier_sizelist(**text))
            names.try_emplace(c.unique, std::move(c.uidl));
        for (maildir_entry& e : out_.entries)
            if (const auto at = names.find(e.unique); at != names.end()) e.uidl = out_.names->keep(at->second);
    }

    /// Dovecot's list, else Courier's; nothing when there is none that could be read.
    result<std::optional<message::uidlist>> read_list() {
        using enum maildir_view::numbering;
        for (const auto& [name, whose] : {std::pair{"dovecot-uidlist", dovecot}, {"courierimapuiddb", courier}}) {
            auto text = read_small_file(d_.folder.get(), name, max_list_octets);
            if (!text) return std::unexpected(text.error());
            if (!*text) continue;
            out_.numbered = whose;
            out_.list_text = std::make_shared<const std::string>(std::move(**text));
            auto list = whose == dovecot ? message::read_uidlist(*out_.list_text)
                                         : message::read_courier_uiddb(*out_.list_text);
            if (!list) return std::optional<message::uidlist>();
            return std::optional(std::move(*list));
        }
        return std::optional<message::uidlist>();
    }

    result<void> list(int directory, bool in_new) {
        return for_each_name(directory, [&](std::string_view name, unsigned char type) {
            if (name.front() == '.') return; // no message, by Maildir's rule
            if (!is_plain_file(directory, name, type, out_.odd)) return;
            take(name, in_new);
        });
    }

    void take(std::string_view name, bool in_new) {
        std::string_view unique = message::parse_maildir_file(name).unique;
        if (unique.empty()) unique = name;
        auto at = found_.find(unique);
        if (at != found_.end() && at->second.name != name && at->second.in_new == in_new) {
            // Two files of one name: links to one message, a rename under our eyes, or two messages of a broken
            // deliverer.
            const ino_t before = inode_of(d_, at->second.in_new, at->second.name);
            if (before != 0 && before != inode_of(d_, in_new, name)) {
                at = found_.find(name);
                unique = name;
            } else if (before != 0) {
                ++out_.odd.same_unique;
            }
        }
        if (at == found_.end()) {
            const std::string_view kept = out_.names->keep(name);
            const std::string_view key = kept.substr(0, unique.size());
            found_.emplace(key, maildir_entry{.uid = 0, .in_new = in_new, .name = kept, .unique = key, .uidl = {}});
        } else if (at->second.name != name || at->second.in_new != in_new) {
            at->second.name = out_.names->keep(name);
            at->second.in_new = in_new;
        }
    }

    const maildir_directories& d_;
    maildir_view& out_;
    std::unordered_map<std::string_view, maildir_entry> found_;
};

} // namespace

std::string_view text_arena::keep(std::string_view text) {
    if (blocks_.empty() || size_ - used_ < text.size()) {
        size_ = std::max(arena_block, text.size());
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(size_));
        used_ = 0;
    }
    char* const place = blocks_.back().get() + used_;
    if (!text.empty()) std::memcpy(place, text.data(), text.size());
    used_ += text.size();
    return {place, text.size()};
}

const maildir_entry* maildir_view::find(std::uint32_t uid) const noexcept {
    const auto at = std::ranges::lower_bound(entries, uid, {}, &maildir_entry::uid);
    return at == entries.end() || at->uid != uid ? nullptr : &*at;
}

void maildir_view::sort() {
    std::ranges::sort(entries, [](const maildir_entry& a, const maildir_entry& b) {
        // What has no UID comes last, as it would get the next ones.
        const std::uint64_t ka = a.uid == 0 ? UINT64_MAX : a.uid, kb = b.uid == 0 ? UINT64_MAX : b.uid;
        return ka != kb ? ka < kb : a.unique < b.unique;
    });
}

result<std::shared_ptr<maildir_directories>> open_maildir(int root, const std::string& handle) {
    auto out = std::make_shared<maildir_directories>();
    const char* const name = handle == "INBOX" ? "." : handle.c_str();
    auto folder = open_directory(root, name, phase::scan);
    if (!folder) return std::unexpected(folder.error());
    out->folder = std::move(*folder);
    out->owner = owner_like(out->folder.get());
    auto cur = open_directory(out->folder.get(), "cur", phase::scan);
    if (!cur) return std::unexpected(cur.error());
    out->cur = std::move(*cur);
    if (auto fresh = open_directory(out->folder.get(), "new", phase::scan)) out->fresh = std::move(*fresh);
    if (auto tmp = open_directory(out->folder.get(), "tmp", phase::scan)) out->tmp = std::move(*tmp);
    return out;
}

result<std::shared_ptr<maildir_directories>> make_maildir(int root, const std::string& handle,
                                                          const file_owner& root_owner) {
    auto out = std::make_shared<maildir_directories>();
    bool any = false, made = false;
    if (handle == "INBOX") {
        auto folder = open_directory(root, ".", phase::create);
        if (!folder) return std::unexpected(folder.error());
        out->folder = std::move(*folder);
    } else {
        auto folder = make_directory(root, handle.c_str(), root_owner, made);
        if (!folder) return std::unexpected(folder.error());
        out->folder = std::move(*folder);
        any = made;
    }
    out->owner = owner_like(out->folder.get());
    for (auto [name, place] : {std::pair{"tmp", &out->tmp}, {"new", &out->fresh}, {"cur", &out->cur}}) {
        auto part = make_directory(out->folder.get(), name, out->owner, made);
        if (!part) return std::unexpected(part.error());
        *place = std::move(*part);
        any = any || made;
    }
    if (any && handle != "INBOX") {
        // Deliverers tell by it that quotas are kept one level up (Maildir++).
        auto mark = create_file(out->folder.get(), "maildirfolder", out->owner);
        if (!mark && ::faccessat(out->folder.get(), "maildirfolder", F_OK, 0) != 0)
            return std::unexpected(mark.error());
    }
    if (any)
        for (const int fd : {out->folder.get(), root})
            if (auto ok = sync_file(fd, "The new folder"); !ok) return std::unexpected(ok.error());
    return out;
}

result<maildir_view> read_maildir(const maildir_directories& d) {
    maildir_view out;
    reading r(d, out);
    for (unsigned i = 0; i < readings; ++i) {
        std::int64_t newest = 0;
        const std::uint64_t before = stamp_of(d.folder.get(), newest);
        if (auto ok = r.look(); !ok) return std::unexpected(ok.error());
        const bool racy = newest > static_cast<std::int64_t>(::time(nullptr)) - racy_seconds;
        std::int64_t later = 0;
        const bool same = stamp_of(d.folder.get(), later) == before;
        out.stamp = racy || !same ? 0 : before;
        if (same) break;
    }
    r.finish();
    // The lists are read after the directories: what a server has just numbered is then numbered for us as well.
    if (auto ok = r.number(); !ok) return std::unexpected(ok.error());
    if (auto text = read_small_file(d.folder.get(), "dovecot-keywords", 1U << 20U); text && *text)
        out.keywords = message::parse_maildir_keywords(**text);
    out.sort();
    return out;
}

result<std::optional<std::pair<bool, std::string>>> maildir_finder::look_for(std::string_view unique) {
    std::optional<std::pair<bool, std::string>> found;
    for (const bool in_new : {true, false}) {
        const file_handle& directory = in_new ? directories_->fresh : directories_->cur;
        if (!directory) continue;
        const auto ok = for_each_name(directory.get(), [&](std::string_view name, unsigned char) {
            if (name == unique || message::parse_maildir_file(name).unique == unique)
                found.emplace(in_new, std::string(name));
        });
        if (!ok) return std::unexpected(ok.error());
    }
    return found;
}

result<file_handle> maildir_finder::open(const maildir_entry& entry) {
    bool in_new = entry.in_new;
    std::string name(entry.name);
    for (unsigned attempt = 0; attempt < 4; ++attempt) {
        const int directory = in_new ? directories_->fresh.get() : directories_->cur.get();
        file_handle fd = open_quietly(directory, name.c_str());
        if (fd) return fd;
        if (errno != ENOENT) return file_failure(errno, phase::fetch, "The message's file cannot be opened");
        // A server that opens the folder moves all of new/ to cur/: no need to list it for each of them.
        if (std::exchange(in_new, false)) {
            name = fmt::format("{}:2,", entry.unique);
            continue;
        }
        auto now = look_for(entry.unique);
        if (!now) return std::unexpected(now.error());
        if (!*now) return file_handle();
        std::tie(in_new, name) = std::move(**now);
    }
    return file_handle();
}

} // namespace postferry::mailbox
