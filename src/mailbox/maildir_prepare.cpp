// What changes a Maildir besides bringing messages: making folders, giving UIDs, subscribing, changing flags.
#include "base/deadline.hpp"
#include "base/text.hpp"
#include "mailbox/maildir_mailbox.hpp"
#include "net/join.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::chrono::milliseconds lock_pause{20};
constexpr std::size_t folders_at_once = 16; ///< each holds four file descriptors
/// New mail may come in on the source between the listing, whose UIDNEXT the wish has, and the scan.
constexpr std::uint32_t newly_arrived = 10'000;
constexpr std::uint64_t most_subscriptions = 64U << 20U;

std::vector<std::string> permanent_flags(const message::maildir_keywords& keywords) {
    std::vector<std::string> out{"\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"};
    for (const std::string& k : keywords.names)
        if (!k.empty()) out.push_back(k);
    return out;
}

/// Messages that no list names get their UIDs as a server would give them; what a run of ours left behind when it was
/// cut off, the ones that it was to get.
std::vector<new_record> unlisted(const maildir_view& view, std::uint32_t uid_validity) {
    std::vector<new_record> out;
    for (const maildir_entry& e : view.entries) {
        if (e.uid != 0) continue;
        const auto hint = message::uid_hint_of(e.unique);
        out.push_back({.wanted = hint && hint->uid_validity == uid_validity ? hint->uid : 0,
                       .uidl = {},
                       .unique = std::string(e.unique)});
    }
    std::ranges::sort(out, {}, [](const new_record& r) {
        return std::pair(r.wanted == 0 ? UINT32_MAX : r.wanted, std::string_view(r.unique));
    });
    return out;
}

/// Courier's numbers become the first ones of the new list.
void take_over_courier(const maildir_view& view, std::vector<new_record>& records) {
    if (view.numbered != maildir_view::numbering::courier) return;
    for (const maildir_entry& e : view.entries)
        if (e.uid != 0) records.push_back({.wanted = 0, .uidl = {}, .unique = std::string(e.unique), .uid = e.uid});
}

} // namespace

task<result<dotlock>> maildir_mailbox::lock(std::shared_ptr<maildir_directories> d, std::string name) {
    const deadline until = deadline::in(options_.lock_patience);
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (true) {
        auto got = co_await options_.files->run([&] { return dotlock::try_lock(d->folder.get(), name, d->owner); });
        if (!got) co_return std::unexpected(got.error());
        if (*got) co_return std::move(**got);
        if (until.passed())
            co_return fail(retry_class::transient, phase::append,
                           fmt::format("Another program has held {} for more than {} s", name,
                                       options_.lock_patience.count() / 1000));
        timer.expires_after(lock_pause);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

result<void> maildir_mailbox::make_root() {
    if (root_) return {};
    const std::size_t slash = options_.path.rfind('/');
    const std::string above = options_.path.substr(0, std::max<std::size_t>(slash, 1));
    const file_handle parent(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent) return file_failure(errno, phase::create, quote_server_text(above) + " cannot be opened");
    bool made = false;
    file_owner owner = owner_like(parent.get());
    owner.folder_mode = 0700; // a home folder may be open to others; mail is not
    auto fd = make_directory(parent.get(), options_.path.substr(slash + 1).c_str(), owner, made);
    if (!fd) return std::unexpected(fd.error());
    if (auto ok = sync_file(parent.get(), quote_server_text(above)); !ok) return ok;
    owner_ = owner_like(fd->get());
    root_ = std::move(*fd);
    return {};
}

namespace {

/// How a folder goes on counting.
struct count_on {
    bool taken_over = false; ///< from the source
    bool keep = false;
    std::uint32_t uid_next = 1, lowest = 1;
    std::uint64_t index = 0;
};

/// Decides about UIDVALIDITY and UIDNEXT; the view is made to look as if it had them already.
count_on decide(const maildir_directories& d, maildir_view& view, const folder_wish& wish, bool only_wish,
                bool kept_before) {
    count_on out;
    const std::uint32_t wished = only_wish ? wish.uid_validity : 0;
    out.taken_over = view.entries.empty() && wished != 0 && view.uid_validity != wished;
    if (out.taken_over) {
        view.numbered = maildir_view::numbering::none; // records of messages that were there once
        view.records.clear();
        view.uid_validity = wished;
        view.uid_next = 1;
    } else if (view.numbered == maildir_view::numbering::none) {
        view.uid_validity = static_cast<std::uint32_t>(::time(nullptr));
    }
    out.keep = wish.uid_validity == 0 ? kept_before : wished == view.uid_validity;
    // The source's UIDs are never given to other mail that arrives here: a client may know them as what they were
    // there.
    out.uid_next = std::max(view.uid_next, out.keep ? wish.uid_next : 1U);
    // A server that has seen a UIDNEXT takes what comes in below it for a mistake and numbers it anew. It has not seen
    // the one that is written now.
    out.index = index_stamp(d);
    if (out.index != 0 && !out.taken_over) out.lowest = view.uid_next;
    return out;
}

/// Gives UIDs to what has none and writes the list if it is to be another than it is. `taken` becomes all UIDs in use.
result<std::uint32_t> bring_up_to_date(const maildir_directories& d, const maildir_view& view, const count_on& how,
                                       uid_set& taken) {
    for (const message::uidlist_record& r : view.records) taken.add(r.uid);
    std::vector<new_record> records = unlisted(view, view.uid_validity);
    std::uint32_t next = how.uid_next;
    give_uids(records, {.keep = how.keep, .floor = how.lowest, .highest_kept = UINT32_MAX - 1}, taken, next);
    take_over_courier(view, records);
    const bool as_it_is = view.numbered == maildir_view::numbering::dovecot && !view.torn && next == view.uid_next;
    if (as_it_is && records.empty()) return next;
    if (auto ok = uid_list_file::rewrite(d, view, view.uid_validity, next, records); !ok)
        return std::unexpected(ok.error());
    return next;
}

} // namespace

result<maildir_mailbox::settled> maildir_mailbox::settle(const maildir_directories& d, const folder_wish& wish,
                                                         bool only_wish, const prepared* before) {
    auto read = read_maildir(d);
    if (!read) return std::unexpected(read.error());
    maildir_view view = std::move(*read);
    const count_on how = decide(d, view, wish, only_wish, before != nullptr && before->rules.keep);
    uid_set taken;
    const auto next = bring_up_to_date(d, view, how, taken);
    if (!next) return std::unexpected(next.error());

    settled out;
    out.what.uid_validity = view.uid_validity;
    out.what.index_stamp = how.index;
    uid_rules& rules = out.what.rules;
    rules.keep = how.keep;
    rules.floor = how.keep ? std::max(taken.empty() ? 1 : taken.back() + 1, how.lowest) : *next;
    if (wish.uid_next != 0)
        rules.highest_kept = std::max(wish.uid_next, wish.uid_next + newly_arrived); // no wrap
    else if (before != nullptr)
        rules.highest_kept = before->rules.highest_kept;
    if (before != nullptr && before->uid_validity == view.uid_validity)
        rules.floor = std::max(rules.floor, before->rules.floor);
    out.folder.state = {.uid_validity = view.uid_validity,
                        .uid_next = rules.floor,
                        .messages = static_cast<std::uint32_t>(view.entries.size()),
                        .modseq = 0,
                        .octets = {}};
    if (view.keywords.free_letters() == 0) out.folder.permanent_flags = permanent_flags(view.keywords);
    return out;
}

task<> maildir_mailbox::prepare_one(const folder_wish& wish, bool only_wish, prepared_folder& out) {
    out.handle = wish.handle;
    const auto directories = co_await options_.files->run([&]() -> result<std::shared_ptr<maildir_directories>> {
        if (wish.create || wish.handle == "INBOX") return make_maildir(root_.get(), wish.handle, owner_);
        auto there = open_maildir(root_.get(), wish.handle);
        if (!there) return there;
        return make_maildir(root_.get(), wish.handle, owner_); // new/ or tmp/ may be missing
    });
    if (!directories) {
        out.failure = directories.error();
        co_return;
    }
    auto held = co_await lock(*directories, "dovecot-uidlist.lock");
    if (!held) {
        out.failure = held.error();
        co_return;
    }
    const auto known = prepared_.find(wish.handle);
    const prepared* before = known == prepared_.end() ? nullptr : &known->second;
    auto done = co_await options_.files->run([&] {
        auto settled = settle(**directories, wish, only_wish, before);
        held->release();
        return settled;
    });
    if (!done) {
        out.failure = done.error();
        co_return;
    }
    out = std::move(done->folder);
    out.handle = wish.handle;
    prepared_.insert_or_assign(wish.handle, done->what);
}

// Whoever cancels waits until the folders at work are done: they refer to what belongs to us.
task<result<std::vector<prepared_folder>>> maildir_mailbox::prepare(std::span<const folder_wish> wishes) {
    const executor ex = co_await boost::asio::this_coro::executor;
    co_return co_await boost::asio::co_spawn(
        ex, prepare_all(wishes),
        boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(), boost::asio::use_awaitable));
}

task<result<std::vector<prepared_folder>>> maildir_mailbox::prepare_all(std::span<const folder_wish> wishes) {
    std::vector<prepared_folder> out(wishes.size());
    if (wishes.empty()) co_return out;
    if (auto ok = co_await options_.files->run([this] { return make_root(); }); !ok)
        co_return std::unexpected(ok.error());
    std::map<std::string_view, std::vector<std::size_t>> by_handle;
    for (std::size_t i = 0; i < wishes.size(); ++i) by_handle[wishes[i].handle].push_back(i);
    // Several folders that become one have UIDs of several kinds: none of them is kept.
    const auto settle_all = [&](const std::vector<std::size_t>& same) -> task<> {
        folder_wish wish = wishes[same.front()];
        for (const std::size_t i : same) wish.create = wish.create || wishes[i].create;
        co_await prepare_one(wish, same.size() == 1, out[same.front()]);
        for (const std::size_t i : same) out[i] = out[same.front()];
    };
    std::vector<task<>> some;
    for (const auto& [handle, same] : by_handle) {
        some.push_back(settle_all(same));
        if (some.size() == folders_at_once) co_await net::join_all(std::exchange(some, {}));
    }
    if (!some.empty()) co_await net::join_all(std::move(some));
    co_return out;
}

task<result<void>> maildir_mailbox::subscribe(std::span<const std::string> handles) {
    std::vector<std::string> names;
    for (const std::string& handle : handles) names.push_back(name_of(handle));
    const auto root = std::make_shared<maildir_directories>();
    auto opened = co_await options_.files->run([this] { return open_directory(root_.get(), ".", phase::subscribe); });
    if (!opened) co_return std::unexpected(opened.error());
    root->folder = std::move(*opened);
    root->owner = owner_;
    auto held = co_await lock(root, "subscriptions.lock");
    if (!held) co_return std::unexpected(held.error());
    co_return co_await options_.files->run([&]() -> result<void> {
        const int fd = root->folder.get();
        const auto text = read_small_file(fd, "subscriptions", most_subscriptions);
        if (!text) return std::unexpected(text.error());
        auto ok = replace_file(fd, "subscriptions", "subscriptions.tmp",
                               message::add_subscriptions(text->value_or(""), names), owner_);
        // Courier's own list only where Courier keeps one.
        const auto courier = read_small_file(fd, "courierimapsubscribed", most_subscriptions);
        if (ok && courier && *courier)
            ok = replace_file(fd, "courierimapsubscribed", "courierimapsubscribed.tmp",
                              message::add_courier_subscriptions(**courier, names), owner_);
        held->release();
        return ok;
    });
}

task<result<message::maildir_keywords>> maildir_mailbox::keywords_for(std::shared_ptr<maildir_directories> d,
                                                                      std::vector<std::string> needed) {
    auto held = co_await lock(d, "dovecot-uidlist.lock");
    if (!held) co_return std::unexpected(held.error());
    co_return co_await options_.files->run([&]() -> result<message::maildir_keywords> {
        auto out = enter_keywords(*d, needed);
        held->release();
        return out;
    });
}

namespace {

/// Renames one message's file; a server that renames it at the same moment is tried to be overtaken a few times.
result<void> change_letters(const maildir_directories& d, maildir_finder& finder, const maildir_entry& entry,
                            std::string_view add, std::string_view remove) {
    bool in_new = entry.in_new;
    std::string name(entry.name);
    for (unsigned attempt = 0; attempt < 5; ++attempt) {
        std::string letters(message::parse_maildir_file(name).letters);
        std::erase_if(letters, [&](char c) { return remove.find(c) != std::string_view::npos; });
        letters += add;
        const std::string now = message::maildir_file_name(entry.unique, letters);
        if (!in_new && now == name) return {};
        const int from = in_new ? d.fresh.get() : d.cur.get();
        if (::renameat(from, name.c_str(), d.cur.get(), now.c_str()) == 0) return {};
        if (errno != ENOENT) return file_failure(errno, phase::store_flags, "A message's flags cannot be changed");
        auto there = finder.look_for(entry.unique);
        if (!there) return std::unexpected(there.error());
        if (!*there) return {}; // its owner has deleted it
        std::tie(in_new, name) = std::move(**there);
    }
    return fail(retry_class::transient, phase::store_flags, "A message's file is renamed all the time");
}

/// The list's record stays until a server writes the list anew, so the UID is not given again.
result<void> remove_file(const maildir_directories& d, maildir_finder& finder, const maildir_entry& entry) {
    bool in_new = entry.in_new;
    std::string name(entry.name);
    for (unsigned attempt = 0; attempt < 5; ++attempt) {
        if (::unlinkat(in_new ? d.fresh.get() : d.cur.get(), name.c_str(), 0) == 0) return {};
        if (errno != ENOENT) return file_failure(errno, phase::store_flags, "A message cannot be removed");
        auto there = finder.look_for(entry.unique);
        if (!there) return std::unexpected(there.error());
        if (!*there) return {};
        std::tie(in_new, name) = std::move(**there);
    }
    return fail(retry_class::transient, phase::store_flags, "A message's file is renamed all the time");
}

bool is_known(const message::maildir_keywords& keywords, const std::string& flag) {
    return message::letter_of_system_flag(flag) ||
           std::ranges::any_of(keywords.names, [&](const std::string& k) { return iequals(k, flag); });
}

/// Letters of these flags; those that have none are left out.
std::string letters_of(const std::vector<std::string>& flags, const message::maildir_keywords& keywords) {
    std::string out;
    for (const std::string& flag : flags) {
        if (const auto letter = message::letter_of_system_flag(flag)) out += *letter;
        for (std::size_t i = 0; i < keywords.names.size(); ++i)
            if (!flag.empty() && iequals(keywords.names[i], flag)) out += static_cast<char>('a' + i);
    }
    return out;
}

} // namespace

task<result<void>> maildir_mailbox::change_flags(std::string_view handle, std::span<const flag_change> changes) {
    const auto seen = co_await view_of(std::string(handle), true);
    if (!seen) co_return std::unexpected(seen.error());
    maildir_view& view = (*seen)->view;
    std::vector<std::string> needed;
    for (const flag_change& c : changes) {
        if (c.uid_validity != 0 && c.uid_validity != view.uid_validity)
            co_return fail(retry_class::transient, phase::store_flags, "The folder's UIDVALIDITY has changed");
        for (const std::string& flag : c.add)
            if (!is_known(view.keywords, flag)) needed.push_back(flag);
    }
    if (!needed.empty()) {
        auto known = co_await keywords_for((*seen)->directories, needed);
        if (!known) co_return std::unexpected(known.error());
        view.keywords = std::move(*known);
        for (const std::string& flag : needed)
            if (!is_known(view.keywords, flag)) remarks_.insert(no_letter_for(flag, name_of(handle)));
    }
    co_return co_await options_.files->run([&]() -> result<void> {
        maildir_finder finder((*seen)->directories);
        for (const flag_change& c : changes) {
            const std::string add = letters_of(c.add, view.keywords);
            std::string remove = letters_of(c.remove, view.keywords);
            if (std::ranges::any_of(c.remove, [](const std::string& f) { return iequals(f, "$Forwarded"); }))
                remove += 'P';
            for (const maildir_entry& e : view.entries)
                if (c.uids.contains(e.uid))
                    if (auto ok = change_letters(*(*seen)->directories, finder, e, add, remove); !ok) return ok;
        }
        return sync_file((*seen)->directories->cur.get(), "cur/");
    });
}

task<result<void>> maildir_mailbox::remove(std::string_view handle, std::uint32_t uid_validity, uid_set uids) {
    const auto seen = co_await view_of(std::string(handle), true);
    if (!seen) co_return std::unexpected(seen.error());
    const opened_folder& folder = **seen;
    if (folder.view.uid_validity != uid_validity)
        co_return fail(retry_class::transient, phase::store_flags, "The folder's UIDVALIDITY has changed");
    co_return co_await options_.files->run([&]() -> result<void> {
        maildir_finder finder(folder.directories);
        for (const maildir_entry& e : folder.view.entries)
            if (uids.contains(e.uid))
                if (auto ok = remove_file(*folder.directories, finder, e); !ok) return ok;
        if (folder.directories->fresh)
            if (auto ok = sync_file(folder.directories->fresh.get(), "new/"); !ok) return ok;
        return sync_file(folder.directories->cur.get(), "cur/");
    });
}

} // namespace postferry::mailbox
