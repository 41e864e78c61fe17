#include "mailbox/mbox_mailbox.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr int most_looks = 4; ///< at a file that is written to all the time

std::int64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

std::string with_prefix(const std::string& prefix, std::string_view name) {
    return prefix.empty() || name == "INBOX" ? std::string(name) : prefix + "/" + std::string(name);
}

} // namespace

mbox_mailbox::mbox_mailbox(mbox_options options, role as, mbox_tree tree)
    : options_(std::move(options)), as_(as), tree_(std::move(tree)) {}

error mbox_mailbox::closed_error() const {
    return {.cls = retry_class::cancelled,
            .where = phase::fetch,
            .what = "the mbox was closed",
            .server_said = {},
            .advice = {},
            .response_code = {}};
}

task<result<std::unique_ptr<mbox_mailbox>>> mbox_mailbox::open(mbox_options options, role as) {
    const auto files = options.files;
    const std::string path = options.path;
    mbox_tree tree = co_await files->run([&path] { return mbox_tree(path); });
    if (!tree.exists() && as == role::source)
        co_return fail(retry_class::config, phase::connect, fmt::format("{} is not there", quote_server_text(path)));
    const mbox_facts facts = co_await files->run([&path] { return look_at_mbox(path); });
    if (!tree.exists() && !facts.parent_exists)
        co_return fail(retry_class::config, phase::connect,
                       fmt::format("the folder above {} is not there", quote_server_text(path)), "Make it first");
    if (facts.unreadable) co_return std::unexpected(*facts.unreadable);
    if (as == role::target && facts.unwritable) co_return std::unexpected(*facts.unwritable);
    co_return std::unique_ptr<mbox_mailbox>(new mbox_mailbox(std::move(options), as, std::move(tree)));
}

task<> mbox_mailbox::leave() {
    closed_ = true;
    for (auto& [handle, f] : folders_) {
        if (!f.written) continue;
        const std::string path = f.path;
        co_await options_.files->run([this, &path] {
            bool created = false;
            std::vector<std::string> remarks;
            auto place = tree_.place_of(path, false);
            if (!place) return false;
            // Under the lock: another run may be using it.
            auto file = mbox_file::try_open(std::move(*place), false, created, remarks);
            if (file && *file) (*file)->forget_journal();
            return true;
        });
    }
}

task<result<void>> mbox_mailbox::find_folders(listing* out) {
    auto found = co_await options_.files->run([this] { return tree_.list(); });
    if (!found) co_return std::unexpected(found.error());
    if (out != nullptr) out->notes = std::move(found->notes);
    for (mbox_found& m : found->folders) {
        folder& f = folders_[m.name];
        if (f.path != m.path) f = {};
        f.path = m.path;
        if (out == nullptr) continue;
        std::string name = m.name;
        if (!options_.prefix.empty() && name != "INBOX") {
            if (!name.starts_with(options_.prefix + "/")) continue;
            name.erase(0, options_.prefix.size() + 1);
        }
        listed_folder& l = out->folders.emplace_back();
        l.name = std::move(name);
        l.handle = m.name;
        l.subscribed = m.subscribed;
    }
    co_return result<void>{};
}

task<result<listing>> mbox_mailbox::list(bool with_octets) {
    listing out;
    out.delimiter = '/';
    out.children_of_inbox = tree_.what() == mbox_tree::kind::tree;
    if (auto ok = co_await find_folders(&out); !ok) co_return std::unexpected(ok.error());
    for (listed_folder& l : out.folders) {
        if (closed_) co_return std::unexpected(closed_error());
        folder& f = folders_[l.handle];
        if (with_octets || options_.names == nullptr) {
            const auto seen = co_await look(l.handle);
            if (!seen) {
                out.notes.push_back(fmt::format("{}: {}", l.name, seen.error().message()));
                continue;
            }
            l.state = state_of(f);
            if (!with_octets) continue;
            l.state->octets = 0;
            for (const mbox_entry& e : f.index.entries) *l.state->octets += e.octets;
            continue;
        }
        // Without reading the file: what the book has, and whether anybody has written since.
        const auto page = co_await options_.names->open(options_.place, l.handle);
        if (!page) co_return std::unexpected(page.error());
        const std::string path = f.path;
        const auto stamp = co_await options_.files->run([this, &path]() -> result<mbox_stamp> {
            const auto place = tree_.place_of(path, false);
            if (!place) return std::unexpected(place.error());
            const auto fd = open_mbox(place->directory.get(), place->file);
            if (!fd) return std::unexpected(fd.error());
            return stamp_of(fd->get());
        });
        if (!stamp) {
            out.notes.push_back(fmt::format("{}: {}", l.name, stamp.error().message()));
            continue;
        }
        const auto generations =
            static_cast<std::uint32_t>(std::ranges::count(page->entries, generation_name, &name_book::entry::name));
        l.state = folder_state{.uid_validity = page->uid_validity + generations,
                               .uid_next = page->uid_next,
                               .messages = static_cast<std::uint32_t>(page->entries.size()) - generations,
                               .modseq = stamp->as_modseq(now_ns()),
                               .octets = {}};
    }
    co_return out;
}

folder_state mbox_mailbox::state_of(const folder& f) const {
    return {.uid_validity = f.uid_validity,
            .uid_next = f.uid_next,
            .messages = static_cast<std::uint32_t>(f.index.entries.size()),
            .modseq = f.index.stamp.as_modseq(now_ns()),
            .octets = {}};
}

task<result<mbox_mailbox::folder*>> mbox_mailbox::look(std::string handle) {
    auto at = folders_.find(handle);
    if (at == folders_.end()) {
        if (auto ok = co_await find_folders(nullptr); !ok) co_return std::unexpected(ok.error());
        at = folders_.find(handle);
    }
    if (at == folders_.end() || at->second.path.empty())
        co_return fail(retry_class::permanent, phase::scan, fmt::format("{} is not there", quote_server_text(handle)));
    folder& f = at->second;
    if (auto ok = co_await index(handle, f); !ok) co_return std::unexpected(ok.error());
    co_return &f;
}

// Reads the file unless nobody has written to it since it was read last.
task<result<void>> mbox_mailbox::index(const std::string& handle, folder& f) {
    struct outcome {
        std::optional<mbox_index> index;
        std::vector<std::string> names;
    };
    for (int looks = 1;; ++looks) {
        auto read = co_await options_.files->run([this, &f, looks]() -> result<outcome> {
            outcome out;
            const auto place = tree_.place_of(f.path, false);
            if (!place) return std::unexpected(place.error());
            const auto fd = open_mbox(place->directory.get(), place->file);
            if (!fd) return std::unexpected(fd.error());
            const auto now = stamp_of(fd->get());
            if (!now) return std::unexpected(now.error());
            if (f.indexed && *now == f.index.stamp) return out;
            auto made = read_mbox_index(fd->get(), options_.format, out.names, closed_);
            if (!made) return std::unexpected(made.error());
            const auto after = stamp_of(fd->get());
            if (!after) return std::unexpected(after.error());
            if (*after != made->stamp && looks < most_looks)
                return fail(retry_class::transient, phase::scan, "The mbox is being written to");
            if (*after != made->stamp && (after->inode != made->stamp.inode || after->size < made->stamp.size))
                return fail(retry_class::transient, phase::scan, "The mbox was changed at every look",
                            "Stop what writes to it, or copy it aside, and run the same command again");
            out.index = std::move(*made);
            return out;
        });
        if (!read && looks < most_looks && read.error().cls == retry_class::transient) continue;
        if (!read) co_return std::unexpected(read.error());
        if (!read->index) co_return result<void>{};
        f.index = std::move(*read->index);
        f.indexed = true;
        if (as_ == role::source) f.index.times.clear(); // only appending asks for them
        co_return co_await number(handle, f, std::move(read->names));
    }
}

task<result<void>> mbox_mailbox::number(const std::string& handle, folder& f, std::vector<std::string> names) const {
    if (options_.names == nullptr) {
        f.uid_validity = 1;
        std::uint32_t uid = 0;
        for (mbox_entry& e : f.index.entries) e.uid = ++uid;
        f.uid_next = uid + 1;
        co_return result<void>{};
    }
    auto page = co_await options_.names->open(options_.place, handle);
    if (!page) co_return std::unexpected(page.error());
    std::unordered_map<std::string_view, std::uint32_t> known;
    std::uint32_t generations = 0;
    for (const name_book::entry& e : page->entries) {
        if (e.name == generation_name)
            ++generations;
        else
            known.emplace(e.name, e.uid);
    }
    f.uid_validity = page->uid_validity + generations;
    f.uid_next = page->uid_next;
    std::vector<std::string> fresh;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto at = known.find(names[i]);
        if (at != known.end()) {
            f.index.entries[i].uid = at->second;
            known.erase(at);
        } else {
            fresh.push_back(std::move(names[i]));
            which.push_back(i);
        }
    }
    std::vector<std::uint32_t> gone;
    gone.reserve(known.size());
    for (const auto& [name, uid] : known) gone.push_back(uid);
    std::ranges::sort(gone);
    if (!gone.empty())
        if (auto ok = co_await options_.names->remove(options_.place, handle, std::move(gone)); !ok) co_return ok;
    if (fresh.empty()) co_return result<void>{};
    auto given = co_await options_.names->add(options_.place, handle, std::move(fresh));
    if (!given) co_return std::unexpected(given.error());
    for (std::size_t k = 0; k < which.size(); ++k) f.index.entries[which[k]].uid = (*given)[k].uid;
    f.uid_next = given->back().uid + 1;
    co_return result<void>{};
}

task<result<void>> mbox_mailbox::scan(std::span<const scan_request> folders, scan_sink& sink) {
    for (std::size_t i = 0; i < folders.size(); ++i) {
        if (closed_) co_return std::unexpected(closed_error());
        const auto seen = co_await look(folders[i].handle);
        if (!seen) {
            sink.failed(i, seen.error());
            continue;
        }
        const folder& f = **seen;
        const folder_state state = state_of(f);
        const bool known = folders[i].known_uid_validity == f.uid_validity;
        const bool same = folders[i].known_modseq != 0 && folders[i].known_modseq == state.modseq;
        uid_set present;
        std::vector<const mbox_entry*> by_uid;
        by_uid.reserve(f.index.entries.size());
        for (const mbox_entry& e : f.index.entries) by_uid.push_back(&e);
        std::ranges::sort(by_uid, {}, &mbox_entry::uid);
        for (const mbox_entry* e : by_uid) {
            present.add(e->uid);
            if (known && !same && e->uid < folders[i].known_uid_next)
                sink.flags(i, e->uid, f.index.flag_sets[e->flags]);
        }
        sink.done(i, state, std::move(present));
    }
    co_return result<void>{};
}

task<result<std::vector<uid_set>>> mbox_mailbox::search(std::span<const fetch_request> requests,
                                                        search_criterion what) {
    std::vector<uid_set> out(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto seen = co_await look(requests[i].handle);
        if (!seen || (*seen)->uid_validity != requests[i].uid_validity) continue;
        for (const mbox_entry& e : (*seen)->index.entries) {
            if (!requests[i].uids.contains(e.uid)) continue;
            const bool larger = what.larger_than && e.octets > *what.larger_than;
            const bool older = what.older_than_unix && e.dated && e.date < *what.older_than_unix;
            if (larger || older) out[i].add(e.uid);
        }
    }
    co_return out;
}

std::string mbox_mailbox::handle_of(std::string_view name) const { return with_prefix(options_.prefix, name); }

std::vector<std::string> mbox_mailbox::take_remarks() {
    std::vector<std::string> out(remarks_.begin(), remarks_.end());
    remarks_.clear();
    return out;
}

mbox_facts look_at_mbox(const std::string& path) {
    mbox_facts out;
    const std::string above = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    struct stat st{};
    out.exists = ::stat(path.c_str(), &st) == 0;
    out.is_file = out.exists && !S_ISDIR(st.st_mode);
    out.parent_exists = ::stat(above.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    const auto refuse = [](std::optional<error>& to, const std::string& place, int how, std::string_view what) {
        if (!to && ::faccessat(AT_FDCWD, place.c_str(), how, AT_EACCESS) != 0)
            to = file_error(errno, phase::connect, fmt::format("{} may not be {}", quote_server_text(place), what));
    };
    if (out.exists) {
        refuse(out.unreadable, path, out.is_file ? R_OK : R_OK | X_OK, "read");
        refuse(out.unwritable, path, out.is_file ? W_OK : W_OK | X_OK, "written");
    }
    // Lock and journal stand beside the file.
    if (out.parent_exists && (out.is_file || !out.exists)) refuse(out.unwritable, above, W_OK | X_OK, "written");
    struct statvfs fs{};
    if (::statvfs((out.exists ? path : above).c_str(), &fs) == 0) {
        out.free_octets = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
        out.total_octets = static_cast<std::uint64_t>(fs.f_blocks) * fs.f_frsize;
    }
    return out;
}

} // namespace postferry::mailbox
