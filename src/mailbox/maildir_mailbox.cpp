// Opening, listing, numbering, scanning.
#include "mailbox/maildir_mailbox.hpp"

#include "base/text.hpp"
#include "net/join.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

/// Numbers of the name book beside a server's list begin here: the server's own will not come so far.
constexpr std::uint32_t book_numbers = 0x80000000U;
constexpr std::size_t most_subscriptions = 64U << 20U;

struct found_folder {
    std::string handle, name;
    bool subscribed = false;
    std::uint64_t octets = 0;
};

struct found_folders {
    std::vector<found_folder> folders;
    std::vector<std::string> notes;
};

std::set<std::string> subscriptions_in(int root) {
    std::set<std::string> out;
    if (const auto text = read_small_file(root, "subscriptions", most_subscriptions); text && *text)
        for (std::string& f : message::parse_subscriptions(**text)) out.insert(std::move(f));
    if (const auto text = read_small_file(root, "courierimapsubscribed", most_subscriptions); text && *text)
        for (std::string& f : message::parse_courier_subscriptions(**text)) out.insert(std::move(f));
    return out;
}

void look_at_directory(int root, std::string_view entry, found_folders& out) {
    bool undecodable = false;
    const auto name = message::folder_of_directory(entry, undecodable);
    if (!name) return;
    struct stat st{};
    const std::string directory(entry);
    if (::fstatat(root, directory.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return;
    const std::string shown = quote_server_text(entry);
    if (S_ISLNK(st.st_mode)) {
        out.notes.push_back(
            fmt::format("{} is a symbolic link; it is not followed, and its mail is not copied", shown));
        return;
    }
    if (!S_ISDIR(st.st_mode)) return;
    if (::fstatat(root, (directory + "/cur").c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode)) {
        // Other programs keep folders of their own there (".spamassassin").
        if (::fstatat(root, (directory + "/maildirfolder").c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
            out.notes.push_back(fmt::format("{} has no cur/ and is no folder", shown));
        return;
    }
    if (undecodable)
        out.notes.push_back(
            fmt::format("the name of folder {} is not valid modified UTF-7; it is kept as it is", *name));
    out.folders.push_back({.handle = directory, .name = *name});
}

result<found_folders> find_folders(int root) {
    found_folders out;
    out.folders.push_back({.handle = "INBOX", .name = "INBOX"});
    auto ok = for_each_name(root, [&](std::string_view entry, unsigned char) { look_at_directory(root, entry, out); });
    if (!ok) return std::unexpected(ok.error());
    std::ranges::sort(out.folders.begin() + 1, out.folders.end(), {}, &found_folder::name);
    const std::set<std::string> subscribed = subscriptions_in(root);
    for (found_folder& f : out.folders) f.subscribed = subscribed.contains(f.name);
    return out;
}

std::uint64_t octets_of(const maildir_directories& d, const maildir_view& view) {
    std::uint64_t sum = 0;
    for (const maildir_entry& e : view.entries) {
        const message::maildir_file file = message::parse_maildir_file(e.name);
        const auto told = file.octets ? file.octets : file.stored_octets;
        struct stat st{};
        const int directory = e.in_new ? d.fresh.get() : d.cur.get();
        if (told)
            sum += *told;
        else if (::fstatat(directory, std::string(e.name).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
            sum += static_cast<std::uint64_t>(st.st_size);
    }
    return sum;
}

void add_notes(const std::string& folder, const maildir_oddities& odd, std::vector<std::string>& notes) {
    const auto say = [&](std::uint64_t n, std::string_view what) {
        if (n > 0) notes.push_back(fmt::format("{}: {} {}", folder, n, what));
    };
    say(odd.directories, "directories lie in cur/ or new/; they are no messages");
    say(odd.others, "symbolic links or special files lie in cur/ or new/; they are not followed");
    say(odd.unfinished, "files in tmp/ are deliveries that never ended; they are not copied");
    say(odd.same_unique, "files are further names of a message that counts once");
    say(odd.skipped_lines, "lines of the UID list are not readable; their messages are numbered by us");
}

} // namespace

maildir_mailbox::maildir_mailbox(maildir_options options, role as) : options_(std::move(options)), as_(as) {}
maildir_mailbox::~maildir_mailbox() = default;

task<result<std::unique_ptr<maildir_mailbox>>> maildir_mailbox::open(maildir_options options, role as) {
    std::unique_ptr<maildir_mailbox> box(new maildir_mailbox(std::move(options), as));
    const auto ok = co_await box->options_.files->run([&box] { return box->open_root(); });
    if (!ok) co_return std::unexpected(ok.error());
    co_return std::move(box);
}

result<void> maildir_mailbox::open_root() {
    const std::string shown = quote_server_text(options_.path);
    file_handle fd(::open(options_.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) {
        struct stat st{};
        const bool is_maildir = ::fstatat(fd.get(), "cur", &st, 0) == 0 && S_ISDIR(st.st_mode);
        if (as_ == role::source && !is_maildir)
            return fail(retry_class::config, phase::connect, fmt::format("{} is no Maildir: it has no cur/", shown),
                        "Name the folder that holds cur/, new/ and tmp/");
        owner_ = owner_like(fd.get());
        root_ = std::move(fd);
        return {};
    }
    const int number = errno;
    if (as_ == role::source || number != ENOENT)
        return file_failure(number, phase::connect, fmt::format("The Maildir {} cannot be opened", shown));
    const std::string above = options_.path.substr(0, std::max<std::size_t>(options_.path.rfind('/'), 1));
    const file_handle parent(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent) return {};
    error why = file_error(
        errno, phase::connect,
        fmt::format("The Maildir {} cannot be made, for {} cannot be opened", shown, quote_server_text(above)));
    if (why.cls == retry_class::config) why.advice = "Create the account, or its home folder, on this machine first";
    return std::unexpected(std::move(why));
}

error maildir_mailbox::closed_error() const {
    return {.cls = retry_class::cancelled,
            .where = phase::fetch,
            .what = "The Maildir was closed",
            .server_said = {},
            .advice = {},
            .response_code = {}};
}

std::string maildir_mailbox::name_of(std::string_view handle) const {
    bool undecodable = false;
    return handle == "INBOX" ? "INBOX"
                             : message::folder_of_directory(handle, undecodable).value_or(std::string(handle));
}

std::string maildir_mailbox::handle_of(std::string_view name) const {
    const bool inbox = iequals(name, "INBOX");
    const std::string path =
        options_.prefix.empty() || inbox ? std::string(name) : fmt::format("{}/{}", options_.prefix, name);
    const std::string directory = message::directory_of_folder(path);
    return directory.empty() ? "INBOX" : directory;
}

folder_state maildir_mailbox::state_of(const maildir_view& view) const {
    return {.uid_validity = view.uid_validity,
            .uid_next = view.uid_next,
            .messages = static_cast<std::uint32_t>(view.entries.size()),
            .modseq = view.stamp,
            .octets = {}};
}

// On a target, and where there is no name book, messages without a number go on from UIDNEXT, as the server will do it,
// and theirs last as long as this object.
void maildir_mailbox::number_here(const std::string& handle, maildir_view& view) {
    auto& numbers = own_numbers_[handle];
    const bool listed = view.numbered != maildir_view::numbering::none;
    if (!listed) view.uid_validity = 1;
    for (maildir_entry& e : view.entries) {
        if (e.uid != 0) continue;
        const std::uint32_t next = view.uid_next + static_cast<std::uint32_t>(numbers.size());
        e.uid = numbers.try_emplace(std::string(e.unique), next).first->second;
    }
    if (!listed) view.uid_next += static_cast<std::uint32_t>(numbers.size());
}

namespace {

/// Gives the numbers that the book has; what it has numbered keeps that number, even when the server has given it
/// another since. Answers what it does not know. What is gone stays in the book: a folder that is not mounted for once
/// must not have all its messages numbered anew, and copied again.
std::vector<maildir_entry*> look_up(maildir_view& view, const std::map<std::string_view, std::uint32_t>& known,
                                    std::uint32_t base) {
    std::vector<maildir_entry*> nameless;
    for (maildir_entry& e : view.entries) {
        const auto at = known.empty() ? known.end() : known.find(e.unique);
        if (at != known.end()) {
            e.uid = base + at->second;
        } else if (e.uid == 0) {
            nameless.push_back(&e);
        }
    }
    return nameless;
}

} // namespace

task<result<void>> maildir_mailbox::number(const std::string& handle, maildir_view& view, bool durable) {
    if (options_.names == nullptr || as_ == role::target) {
        number_here(handle, view);
        view.sort();
        co_return result<void>{};
    }
    // The numbers beside a list hold as long as its UIDVALIDITY.
    const bool listed = view.numbered != maildir_view::numbering::none;
    const std::string key = listed ? fmt::format("{}/beside {}", name_of(handle), view.uid_validity) : name_of(handle);
    const std::uint32_t base = listed ? book_numbers : 0;
    auto page = co_await options_.names->open(options_.place, key);
    if (!page) co_return std::unexpected(page.error());
    std::map<std::string_view, std::uint32_t> known;
    for (const name_book::entry& e : page->entries) known.emplace(e.name, e.uid);
    const std::vector<maildir_entry*> nameless = look_up(view, known, base);
    if (!listed) {
        view.uid_validity = page->uid_validity;
        view.uid_next = page->uid_next + static_cast<std::uint32_t>(nameless.size());
    }
    if (durable && !nameless.empty()) {
        std::vector<std::string> names;
        for (const maildir_entry* e : nameless) names.emplace_back(e->unique);
        const auto given = co_await options_.names->add(options_.place, key, std::move(names));
        if (!given) co_return std::unexpected(given.error());
        for (std::size_t i = 0; i < nameless.size(); ++i) nameless[i]->uid = base + (*given)[i].uid;
    }
    view.sort();
    co_return result<void>{};
}

task<result<std::shared_ptr<opened_folder>>> maildir_mailbox::view_of(std::string handle, bool durable) {
    auto out = std::make_shared<opened_folder>();
    const auto read = co_await options_.files->run([this, &handle, &out]() -> result<void> {
        auto directories = open_maildir(root_.get(), handle);
        if (!directories) return std::unexpected(directories.error());
        out->directories = std::move(*directories);
        auto view = read_maildir(*out->directories);
        if (!view) return std::unexpected(view.error());
        out->view = std::move(*view);
        return {};
    });
    if (!read) co_return std::unexpected(read.error());
    if (auto ok = co_await number(handle, out->view, durable); !ok) co_return std::unexpected(ok.error());
    co_return out;
}

task<result<listing>> maildir_mailbox::list(bool with_octets) {
    listing out;
    out.delimiter = '.';
    if (!root_) co_return out; // a target that is still to be made
    auto found = co_await options_.files->run([this] { return find_folders(root_.get()); });
    if (!found) co_return std::unexpected(found.error());
    out.notes = std::move(found->notes);
    for (found_folder& f : found->folders) {
        listed_folder l;
        l.name = std::move(f.name);
        l.handle = std::move(f.handle);
        l.subscribed = f.subscribed;
        if (!options_.prefix.empty() && l.name != "INBOX") {
            if (!l.name.starts_with(options_.prefix + "/")) continue;
            l.name.erase(0, options_.prefix.size() + 1);
        }
        auto seen = co_await view_of(l.handle, false);
        if (!seen && as_ == role::target && l.handle == "INBOX") continue; // a home folder without a Maildir in it yet
        if (seen) {
            l.state = state_of((*seen)->view);
            add_notes(l.name, (*seen)->view.odd, out.notes);
            if (with_octets)
                l.state->octets =
                    co_await options_.files->run([&seen] { return octets_of(*(*seen)->directories, (*seen)->view); });
        } else {
            out.notes.push_back(fmt::format("{}: {}", l.name, seen.error().message()));
        }
        out.folders.push_back(std::move(l));
    }
    co_return out;
}

task<result<void>> maildir_mailbox::scan(std::span<const scan_request> folders, scan_sink& sink) {
    for (std::size_t i = 0; i < folders.size(); ++i) {
        if (closed_) co_return std::unexpected(closed_error());
        const auto seen = co_await view_of(folders[i].handle, true);
        if (!seen) {
            sink.failed(i, seen.error());
            continue;
        }
        const maildir_view& view = (*seen)->view;
        uid_set present;
        for (const maildir_entry& e : view.entries) {
            present.add(e.uid);
            if (folders[i].known_uid_validity != 0)
                sink.flags(i, e.uid,
                           message::flags_of_letters(message::parse_maildir_file(e.name).letters, view.keywords));
        }
        sink.done(i, state_of(view), std::move(present));
    }
    co_return result<void>{};
}

std::vector<std::string> maildir_mailbox::take_remarks() {
    std::vector<std::string> out(remarks_.begin(), remarks_.end());
    remarks_.clear();
    return out;
}

maildir_facts look_at_maildir(const std::string& path) {
    maildir_facts out;
    const std::string above = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    struct stat st{};
    out.exists = ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    out.parent_exists = ::stat(above.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    out.is_maildir = ::stat((path + "/cur").c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    const std::string& there = out.exists ? path : above;
    const auto may = [](const std::string& place, int how) {
        return ::faccessat(AT_FDCWD, place.c_str(), how, AT_EACCESS) == 0;
    };
    for (const char* part : {"", "/cur", "/new", "/tmp"}) {
        const std::string place = there + part;
        if (::stat(place.c_str(), &st) != 0) continue;
        if (!may(place, R_OK | X_OK))
            out.unreadable =
                file_error(errno, phase::connect, fmt::format("{} may not be read", quote_server_text(place)));
        if (!may(place, W_OK | X_OK))
            out.unwritable =
                file_error(errno, phase::connect, fmt::format("{} may not be written", quote_server_text(place)));
    }
    struct statvfs fs{};
    if (::statvfs(there.c_str(), &fs) == 0) {
        out.total_octets = static_cast<std::uint64_t>(fs.f_blocks) * fs.f_frsize;
        out.free_octets = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
        out.free_inodes = fs.f_favail;
        out.counts_inodes = fs.f_files > 0;
    }
    constexpr std::array<std::pair<const char*, const char*>, 4> traces{{{"Dovecot", "dovecot-uidlist"},
                                                                         {"Courier IMAP", "courierimapuiddb"},
                                                                         {"Courier POP3", "courierpop3dsizelist"},
                                                                         {"a Maildir++ quota", "maildirsize"}}};
    for (const auto& [server, file] : traces)
        if (::stat((path + "/" + file).c_str(), &st) == 0)
            out.served_by.push_back(fmt::format("{} ({})", server, file));
    return out;
}

} // namespace postferry::mailbox
