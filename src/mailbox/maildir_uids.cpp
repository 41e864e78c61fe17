#include "mailbox/maildir_uids.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr const char* list_name = "dovecot-uidlist";
constexpr off_t log_header_octets = 40;
constexpr const char* temporary_name = "dovecot-uidlist.tmp";

std::string random_guid() {
    std::array<unsigned char, 16> octets{};
    if (::getrandom(octets.data(), octets.size(), 0) != static_cast<ssize_t>(octets.size())) return {};
    std::string out;
    for (const unsigned char c : octets) out += fmt::format("{:02x}", c);
    return out;
}

} // namespace

void give_uids(std::vector<new_record>& records, const uid_rules& rules, uid_set& taken, std::uint32_t& uid_next) {
    for (new_record& r : records) {
        const bool may_keep = rules.keep && r.wanted >= rules.floor && r.wanted <= rules.highest_kept && r.wanted != 0;
        r.uid = may_keep && !taken.contains(r.wanted) ? r.wanted : std::max(uid_next, rules.floor);
        taken.add(r.uid);
        uid_next = std::max(uid_next, r.uid + 1);
    }
}

bool uid_list_file::unchanged(const maildir_directories& d) const {
    struct stat st{};
    if (::fstatat(d.folder.get(), list_name, &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    return inode_ == st.st_ino && size_ == static_cast<std::uint64_t>(st.st_size) && seconds_ == st.st_mtim.tv_sec &&
           nanoseconds_ == st.st_mtim.tv_nsec;
}

void uid_list_file::remember(const maildir_directories& d) {
    struct stat st{};
    inode_ = 0;
    if (::fstatat(d.folder.get(), list_name, &st, AT_SYMLINK_NOFOLLOW) != 0) return;
    inode_ = st.st_ino;
    size_ = static_cast<std::uint64_t>(st.st_size);
    seconds_ = st.st_mtim.tv_sec;
    nanoseconds_ = st.st_mtim.tv_nsec;
}

result<void> uid_list_file::refresh(const maildir_directories& d) {
    if (inode_ != 0 && unchanged(d)) return {};
    const auto text = read_small_file(d.folder.get(), list_name, max_list_octets);
    if (!text) return std::unexpected(text.error());
    uid_validity_ = 0;
    uid_next_ = 1;
    taken_ = {};
    torn_ = false;
    remember(d);
    if (!*text) return {};
    const auto list = message::read_uidlist(**text);
    if (!list) return {};
    uid_validity_ = list->uid_validity;
    uid_next_ = list->uid_next;
    torn_ = list->torn;
    for (const message::uidlist_record& r : list->records) taken_.add(r.uid);
    return {};
}

result<void> uid_list_file::enter(const maildir_directories& d, const std::vector<new_record>& records, uid_set taken,
                                  std::uint32_t uid_next) {
    if (records.empty()) return {};
    const bool ascending = std::ranges::is_sorted(records, {}, &new_record::uid);
    const bool above_all = taken_.empty() || records.front().uid > taken_.back();
    if (ascending && above_all && !torn_) {
        std::string lines;
        for (const new_record& r : records) lines += message::uidlist_line(r.uid, {}, r.uidl, r.unique);
        const file_handle fd(::openat(d.folder.get(), list_name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) return file_failure(errno, phase::append, "dovecot-uidlist cannot be opened");
        const off_t before = ::lseek(fd.get(), 0, SEEK_END);
        result<void> ok = write_all(fd.get(), lines, list_name);
        if (ok) ok = sync_file(fd.get(), list_name);
        // Half a line on a full disk would be taken for the beginning of the next.
        if (!ok && before >= 0 && ::ftruncate(fd.get(), before) != 0) torn_ = true;
        if (!ok) {
            inode_ = 0; // read it again
            return ok;
        }
    } else {
        auto view = read_maildir(d);
        if (!view) return std::unexpected(view.error());
        if (auto ok = rewrite(d, *view, uid_validity_, uid_next, records); !ok) {
            inode_ = 0;
            return ok;
        }
        torn_ = false;
    }
    uid_next_ = uid_next;
    taken_ = std::move(taken);
    remember(d);
    return {};
}

result<void> uid_list_file::rewrite(const maildir_directories& d, const maildir_view& view, std::uint32_t uid_validity,
                                    std::uint32_t uid_next, const std::vector<new_record>& records) {
    struct line {
        std::uint32_t uid;
        std::string_view fields, uidl, unique;
    };
    std::vector<line> lines;
    // A record without a file stays: the file may be on its way from new/ to cur/ at this moment.
    if (view.numbered == maildir_view::numbering::dovecot && view.uid_validity == uid_validity)
        for (const message::uidlist_record& r : view.records) lines.push_back({r.uid, r.fields, {}, r.unique});
    for (const new_record& r : records) lines.push_back({r.uid, {}, r.uidl, r.unique});
    std::ranges::sort(lines, {}, &line::uid);
    std::string text = message::uidlist_header(uid_validity, uid_next, view.guid.empty() ? random_guid() : view.guid);
    for (const line& l : lines) text += message::uidlist_line(l.uid, l.fields, l.uidl, l.unique);
    return replace_file(d.folder.get(), list_name, temporary_name, text, d.owner);
}

std::uint64_t index_stamp(const maildir_directories& d) {
    std::uint64_t out = 0;
    for (const char* name : {"dovecot.index", "dovecot.index.log"}) {
        struct stat st{};
        if (::fstatat(d.folder.get(), name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        // A log that is nothing but its header was made in passing, by a LIST.
        if (st.st_size <= log_header_octets) continue;
        for (const std::uint64_t v :
             {static_cast<std::uint64_t>(st.st_ino), static_cast<std::uint64_t>(st.st_size),
              static_cast<std::uint64_t>(st.st_mtim.tv_sec), static_cast<std::uint64_t>(st.st_mtim.tv_nsec)})
            out = (out ^ v) * 1'099'511'628'211ULL + 1;
    }
    return out;
}

result<message::maildir_keywords> enter_keywords(const maildir_directories& d, const std::vector<std::string>& needed) {
    message::maildir_keywords out;
    const auto text = read_small_file(d.folder.get(), "dovecot-keywords", 1U << 20U);
    if (!text) return std::unexpected(text.error());
    if (*text) out = message::parse_maildir_keywords(**text);
    bool added = false;
    for (const std::string& keyword : needed) (void)out.letter_of(keyword, added);
    if (!added) return out;
    if (auto ok = replace_file(d.folder.get(), "dovecot-keywords", "dovecot-keywords.tmp", to_string(out), d.owner);
        !ok)
        return std::unexpected(ok.error());
    return out;
}

std::string no_letter_for(std::string_view keyword, std::string_view folder) {
    return fmt::format("{}: keyword {} is not kept: a Maildir's folder has letters for 26 keywords", folder,
                       quote_server_text(keyword, 100));
}

} // namespace postferry::mailbox
