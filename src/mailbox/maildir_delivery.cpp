#include "mailbox/maildir_delivery.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::size_t copy_octets = 256U << 10U;

std::string new_name(std::uint32_t uid, std::uint32_t uid_validity) {
    static std::atomic<std::uint64_t> deliveries{0};
    struct timeval now{};
    ::gettimeofday(&now, nullptr);
    return message::to_string({.unix_seconds = now.tv_sec,
                               .microseconds = static_cast<std::uint32_t>(now.tv_usec),
                               .process = static_cast<std::uint32_t>(::getpid()),
                               .delivery = ++deliveries,
                               .uid = uid,
                               .uid_validity = uid_validity,
                               .host = host_name()});
}

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t space = std::min(text.find(' '), text.size());
        if (space > 0) out.emplace_back(text.substr(0, space));
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    return out;
}

/// A rename that never replaces; where the file system cannot promise that, the names are unique all the same.
bool move_file(int from_directory, const std::string& from, int to_directory, const std::string& to) {
    if (::renameat2(from_directory, from.c_str(), to_directory, to.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;
    return ::renameat(from_directory, from.c_str(), to_directory, to.c_str()) == 0;
}

/// The letters of each message of the batch; new keywords are entered first.
result<std::vector<std::string>> letters_for(delivery_folder& folder,
                                             const std::vector<std::shared_ptr<delivery>>& batch) {
    std::vector<std::string> needed;
    for (const auto& d : batch)
        for (std::string& flag : words(d->flags))
            if (!message::letter_of_system_flag(flag) && std::ranges::find(needed, flag) == needed.end())
                needed.push_back(std::move(flag));
    message::maildir_keywords keywords;
    if (!needed.empty()) {
        auto entered = enter_keywords(*folder.directories, needed);
        if (!entered) return std::unexpected(entered.error());
        keywords = std::move(*entered);
    }
    std::vector<std::string> out;
    for (const auto& d : batch) {
        std::string& letters = out.emplace_back();
        for (const std::string& flag : words(d->flags)) {
            if (const auto system = message::letter_of_system_flag(flag)) {
                letters += *system;
                continue;
            }
            const auto at =
                std::ranges::find_if(keywords.names, [&](const std::string& k) { return iequals(k, flag); });
            if (at != keywords.names.end())
                letters += static_cast<char>('a' + (at - keywords.names.begin()));
            else
                folder.remarks.insert(no_letter_for(flag, folder.name));
        }
    }
    return out;
}

/// Deliverers keep the sum of a Maildir++ quota there: one line each.
void count_for_quota(const delivery_folder& folder, const std::vector<std::shared_ptr<delivery>>& batch) {
    const file_handle fd(::openat(folder.root, "maildirsize", O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return;
    std::uint64_t octets = 0;
    for (const auto& d : batch) octets += d->stored_octets;
    // A sum that is not right is counted anew by the server; no delivery fails for it.
    (void)write_all(fd.get(), fmt::format("{} {}\n", octets, batch.size()), "maildirsize");
}

/// Under the lock: the list as it is now must be the one that was prepared.
result<void> look_at_list(delivery_folder& folder) {
    if (auto ok = folder.list.refresh(*folder.directories); !ok) return ok;
    if (folder.list.uid_validity() != folder.uid_validity)
        return fail(retry_class::transient, phase::append,
                    "The folder's UIDVALIDITY changed while mail was brought to it", "It is planned again");
    const std::uint64_t index = index_stamp(*folder.directories);
    if (index != folder.index_stamp) folder.rules.floor = std::max(folder.rules.floor, folder.list.uid_next());
    folder.index_stamp = index;
    return {};
}

} // namespace

delivery::delivery(std::shared_ptr<delivery_folder> where, const append_item& what)
    : folder(std::move(where)), token(what.token), batch_limit(what.batch_limit), flags(what.flags), uidl(what.uidl),
      date(what.date) {
    if (folder->rules.keep && what.source_uid <= folder->rules.highest_kept) wanted_uid = what.source_uid;
    tmp_name = new_name(wanted_uid, folder->uid_validity);
}

bool delivery::fail_with(error why) {
    if (!failure) failure = std::move(why);
    content.clear();
    return false;
}

void delivery::add(std::string_view octets) {
    octets_ += octets.size();
    if (failure) return;
    if (!as_it_came_) {
        const std::size_t taken = converter_.write(octets, content);
        if (converter_.is_reversible()) return;
        converter_.finish(content);
        std::string back;
        message::crlf_writer().write(content, back);
        content = std::move(back);
        as_it_came_ = true;
        octets.remove_prefix(taken);
    }
    content += octets;
}

bool delivery::write_piece() {
    if (failure) return false;
    if (!file_) {
        auto made = create_file(folder->directories->tmp.get(), tmp_name.c_str(), folder->directories->owner);
        if (!made) return fail_with(made.error());
        file_ = std::move(*made);
    }
    if (as_it_came_ && file_is_converted_ && !rewrite_as_it_came()) return false;
    if (auto ok = write_all(file_.get(), content, "A message"); !ok) return fail_with(ok.error());
    stored_octets += content.size();
    if (as_it_came_) bare_.add(content);
    file_is_converted_ = !as_it_came_;
    content.clear();
    content.shrink_to_fit();
    return true;
}

bool delivery::rewrite_as_it_came() {
    const int tmp = folder->directories->tmp.get();
    const file_handle before(::openat(tmp, tmp_name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!before) return fail_with(file_error(errno, phase::append, "A message in tmp/ cannot be read back"));
    const std::string other = tmp_name + "x";
    auto now = create_file(tmp, other.c_str(), folder->directories->owner);
    if (!now) return fail_with(now.error());
    message::crlf_writer writer;
    std::string in(copy_octets, '\0'), out;
    stored_octets = 0;
    while (true) {
        const ssize_t n = ::read(before.get(), in.data(), in.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_with(file_error(errno, phase::append, "A message in tmp/ cannot be read back"));
        if (n == 0) break;
        out.clear();
        writer.write(std::string_view(in).substr(0, static_cast<std::size_t>(n)), out);
        if (auto ok = write_all(now->get(), out, "A message"); !ok) return fail_with(ok.error());
        stored_octets += out.size();
    }
    bare_.add(out.empty() ? std::string_view()
                          : std::string_view(out).substr(out.size() - 1)); // what comes before the next piece
    ::unlinkat(tmp, tmp_name.c_str(), 0);
    tmp_name = other;
    file_ = std::move(*now);
    file_is_converted_ = false;
    return true;
}

bool delivery::finish() {
    if (!as_it_came_) converter_.finish(content);
    if (!write_piece()) return false;
    if (date) {
        // Dovecot's INTERNALDATE.
        const std::array<struct timespec, 2> times{
            {{.tv_sec = date->unix_seconds, .tv_nsec = 0}, {.tv_sec = date->unix_seconds, .tv_nsec = 0}}};
        if (::futimens(file_.get(), times.data()) != 0 && errno != EINVAL)
            return fail_with(file_error(errno, phase::append, "A message's date cannot be set"));
    }
    if (auto ok = sync_file(file_.get(), "A message"); !ok) return fail_with(ok.error());
    file_.reset();
    return true;
}

bool delivery::discard() {
    file_.reset();
    const int tmp = folder->directories->tmp.get();
    return ::unlinkat(tmp, tmp_name.c_str(), 0) == 0;
}

std::string delivery::unique() const {
    return fmt::format("{},S={},W={}", tmp_name, stored_octets, octets_ + bare_.count());
}

result<void> store_batch(delivery_folder& folder, const std::vector<std::shared_ptr<delivery>>& batch) {
    if (auto ok = look_at_list(folder); !ok) return ok;
    const auto letters = letters_for(folder, batch);
    if (!letters) return std::unexpected(letters.error());
    std::vector<new_record> records;
    for (const auto& d : batch) records.push_back({.wanted = d->wanted_uid, .uidl = d->uidl, .unique = d->unique()});
    uid_set taken = folder.list.taken();
    std::uint32_t uid_next = folder.list.uid_next();
    give_uids(records, folder.rules, taken, uid_next);

    const int tmp = folder.directories->tmp.get(), cur = folder.directories->cur.get();
    std::vector<std::string> names;
    result<void> ok;
    if (folder.may_store && !folder.may_store())
        return fail(retry_class::cancelled, phase::append, "nothing may be written any more");
    for (std::size_t i = 0; i < batch.size() && ok; ++i) {
        std::string name = message::maildir_file_name(records[i].unique, (*letters)[i]);
        if (move_file(tmp, batch[i]->tmp_name, cur, name))
            names.push_back(std::move(name));
        else
            ok = file_failure(errno, phase::append, "A message cannot be moved from tmp/ to cur/");
    }
    if (ok) ok = sync_file(cur, "cur/");
    if (ok) ok = folder.list.enter(*folder.directories, records, std::move(taken), uid_next);
    if (!ok) {
        // No server has numbered them, for the lock is ours; they go, so that they can be brought again.
        for (const std::string& name : names) ::unlinkat(cur, name.c_str(), 0);
        return ok;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->uid = records[i].uid;
    count_for_quota(folder, batch);
    return {};
}

} // namespace postferry::mailbox
