// What the folders that moved hold, on both ends, and what of it is wanted.
#include "transfer/detail/pass_state.hpp"
#include "transfer/flag_rules.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

using namespace boost::asio::experimental::awaitable_operators;

task<result<void>> mailbox_pass::state::scan_and_prepare() {
    if (auto ok = co_await load_rows(); !ok) co_return ok;
    std::uint64_t total = 0;
    const auto choose = [&] {
        for (folder_work& f : folders_) {
            if (f.moved && !f.trouble) choose_wanted(f);
            total += f.wanted.count();
        }
    };
    if (only_new()) {
        // Nothing is made on the target that nothing goes into: its owner may have thrown the folder away.
        if (auto ok = co_await scan(); !ok) co_return ok;
        choose();
        if (auto ok = co_await prepare(); !ok) co_return ok;
        for (folder_work& f : folders_)
            f.replanted = f.prepared && !f.new_generation && f.target->uid_validity != f.book.target_uid_validity;
    } else {
        auto [scanned, prepared] = co_await (scan() && prepare());
        if (!scanned) co_return scanned;
        if (!prepared) co_return prepared;
        choose();
    }
    judge_deletion();
    progress_.messages_total = progress_.messages_done + total;
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::load_rows() {
    for (folder_work& f : folders_) {
        if (!f.moved || f.book.id == 0) continue;
        auto rows = co_await env_.books->rows(f.book.id);
        if (!rows) co_return std::unexpected(rows.error());
        f.rows = std::move(*rows);
        if (f.book.rows.failed == 0) continue;
        auto failures = co_await env_.books->failures(f.book.id);
        if (!failures) co_return std::unexpected(failures.error());
        for (failed_item& item : *failures) f.failed.emplace(item.source_uid, std::move(item));
    }
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::scan() {
    std::vector<mailbox::scan_request> requests;
    scanned_.clear();
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        const folder_work& f = folders_[i];
        if (!f.moved || f.trouble) continue;
        const bool known = f.book.id != 0 && f.source.uid_validity == f.book.source_uid_validity;
        requests.push_back({.handle = f.source_handle,
                            .known_uid_validity = known ? f.book.source_uid_validity : 0,
                            .known_uid_next = f.rows.empty() ? 0 : f.rows.back().source_uid + 1,
                            .known_modseq = known && options_.kind != pass_kind::final ? f.book.source_modseq : 0});
        scanned_.push_back(i);
    }
    co_return co_await source_->scan(requests, *this);
}

task<result<void>> mailbox_pass::state::prepare() {
    std::vector<mailbox::folder_wish> wishes;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        const folder_work& f = folders_[i];
        if (!f.moved || f.trouble || (only_new() && f.wanted.empty())) continue;
        wishes.push_back({.handle = f.target_handle,
                          .create = !f.target.has_value(),
                          .uid_validity = f.source.uid_validity,
                          .uid_next = f.source.uid_next});
        which.push_back(i);
    }
    auto prepared = co_await target_->prepare(wishes);
    if (!prepared) co_return std::unexpected(prepared.error());
    for (std::size_t k = 0; k < which.size(); ++k) {
        folder_work& f = folders_[which[k]];
        mailbox::prepared_folder& p = (*prepared)[k];
        if (p.failure) {
            f.trouble = std::move(p.failure);
            continue;
        }
        f.target = p.state;
        f.permanent_flags = std::move(p.permanent_flags);
        f.notes.insert(f.notes.end(), p.notes.begin(), p.notes.end());
        f.prepared = true;
    }
    co_return result<void>{};
}

void mailbox_pass::state::flags(std::size_t request, std::uint32_t uid, const std::vector<std::string>& flags) {
    folder_work& f = folders_[scanned_[request]];
    const auto at = std::ranges::lower_bound(f.rows, uid, {}, &ledger_brief::source_uid);
    if (at == f.rows.end() || at->source_uid != uid || at->state == item_state::failed) return;
    const std::string now = canonical_flags(flags);
    if (at->flags < f.book.flag_sets.size() && f.book.flag_sets[at->flags] == now) return;
    const std::uint32_t index = flag_index(f, now);
    // Keywords that were left out for want of room are so again.
    if (at->flags < f.book.flag_sets.size() && f.book.flag_sets[at->flags] == f.flag_sets[index]) return;
    f.flag_updates.push_back({static_cast<std::size_t>(at - f.rows.begin()), index});
}

void mailbox_pass::state::done(std::size_t request, const mailbox::folder_state& state, uid_set present) {
    folder_work& f = folders_[scanned_[request]];
    const auto octets = f.source.octets;
    f.source = state;
    f.source.octets = octets;
    f.present = std::move(present);
    f.unlisted = state.messages - std::min<std::uint64_t>(state.messages, f.present.count());
    f.scanned = true;
}

// quirk gmail: what All Mail shares with a folder that is copied arrives there.
void mailbox_pass::state::also_in(std::size_t request, std::uint32_t uid, std::span<const std::string> handles) {
    const auto is_copied = [&](const folder_work& other) {
        return other.map.what == mapped_folder::verdict::copy &&
               std::ranges::find(handles, other.source_handle) != handles.end();
    };
    if (std::ranges::any_of(folders_, is_copied)) folders_[scanned_[request]].elsewhere.add(uid);
}

void mailbox_pass::state::failed(std::size_t request, error why) {
    folders_[scanned_[request]].trouble = std::move(why);
}

void mailbox_pass::state::choose_wanted(folder_work& f) {
    // After the cutover another folder on the target is its owner's doing and no reason to bring everything again.
    const bool other_target = !only_new() && f.target && f.target->uid_validity != f.book.target_uid_validity;
    f.new_generation = f.book.id == 0 || f.source.uid_validity != f.book.source_uid_validity || other_target;
    f.known_octets = f.book.rows.copied_octets + f.book.rows.present_octets;
    if (f.new_generation) {
        f.known_octets = 0;
        if (f.book.id != 0) f.notes.emplace_back("UIDVALIDITY changed; every message was matched again");
        f.rows.clear();
        f.failed.clear();
        f.flag_updates.clear();
        f.flag_sets.clear();
        f.flag_set_ids.clear();
        const unsigned replans = f.memory->replans;
        *f.memory = {}; // its UIDs name other messages now
        f.memory->replans = replans;
    }
    for (const ledger_brief& row : f.rows) {
        const bool here = f.present.contains(row.source_uid);
        if (row.state == item_state::gone || row.state == item_state::condemned)
            (here ? f.returned : f.gone).add(row.source_uid);
        else if (!here) {
            f.vanished.add(row.source_uid);
            note_adrift(f, row);
        }
        if (here && row.state != item_state::failed) f.known.add(row.source_uid);
    }
    for (const auto& [uid, item] : f.failed)
        if (!f.present.contains(uid)) f.vanished.add(uid);
    std::erase_if(f.failed, [&f](const auto& item) { return !f.present.contains(item.first); });
    f.wanted = f.present;
    f.wanted.remove(f.known);
    leave_elsewhere(f);
    limit_to_kind(f);
}

// What was copied once stays accounted for, whatever labels it has been given since.
void mailbox_pass::state::leave_elsewhere(folder_work& f) {
    if (f.elsewhere.empty()) return;
    uid_set only_here = f.wanted;
    only_here.remove(f.elsewhere);
    uid_set left = f.wanted;
    left.remove(only_here);
    if (left.empty()) return;
    for (const uid_set::range& r : left.ranges())
        for (std::uint64_t uid = r.first; uid <= r.last; ++uid) f.failed.erase(static_cast<std::uint32_t>(uid));
    f.skipped["gmail-all-mail"] = std::move(left);
    f.wanted = std::move(only_here);
}

namespace {

std::vector<std::uint32_t> both(const uid_set& wanted, const uid_set& found) {
    std::vector<std::uint32_t> out;
    for (const uid_set::range& r : found.ranges())
        for (std::uint64_t uid = r.first; uid <= r.last; ++uid)
            if (wanted.contains(static_cast<std::uint32_t>(uid))) out.push_back(static_cast<std::uint32_t>(uid));
    return out;
}

} // namespace

void mailbox_pass::state::skip_by_rule(folder_work& f, const uid_set& found, const std::string& rule) {
    for (const std::uint32_t uid : both(f.wanted, found)) {
        f.skipped[rule].add(uid);
        f.failed.erase(uid);
    }
    f.wanted.remove(found);
}

// The target says by APPENDLIMIT that it will not take them: no need to try (RFC 7889).
void mailbox_pass::state::fail_too_large(folder_work& f, const uid_set& found, std::uint64_t limit) {
    const error why{.cls = retry_class::permanent,
                    .where = phase::append,
                    .what = fmt::format("Larger than the target allows (APPENDLIMIT {} octets)", limit),
                    .server_said = {},
                    .advice = {},
                    .response_code = "TOOBIG"};
    for (const std::uint32_t uid : both(f.wanted, found)) fail_message(f, uid, 0, why);
}

task<result<void>> mailbox_pass::state::apply_limits() {
    const std::uint64_t limit = target_->append_limit();
    const std::uint64_t largest = std::min(options_.max_octets.value_or(UINT64_MAX), limit == 0 ? UINT64_MAX : limit);
    if (largest == UINT64_MAX && !options_.since_unix) co_return result<void>{};
    std::vector<mailbox::fetch_request> requests;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        const folder_work& f = folders_[i];
        if (f.trouble || f.wanted.empty()) continue;
        requests.push_back({.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = f.wanted});
        which.push_back(i);
    }
    if (requests.empty()) co_return result<void>{};
    if (largest != UINT64_MAX) {
        const auto found = co_await source_->search(requests, {.larger_than = largest, .older_than_unix = {}});
        if (!found) co_return std::unexpected(found.error());
        const bool ours = options_.max_octets && *options_.max_octets <= largest;
        for (std::size_t k = 0; k < which.size(); ++k) {
            if (ours)
                skip_by_rule(folders_[which[k]], (*found)[k], "--max-size");
            else
                fail_too_large(folders_[which[k]], (*found)[k], limit);
        }
    }
    if (options_.since_unix) {
        const auto found =
            co_await source_->search(requests, {.larger_than = {}, .older_than_unix = options_.since_unix});
        if (!found) co_return std::unexpected(found.error());
        for (std::size_t k = 0; k < which.size(); ++k) skip_by_rule(folders_[which[k]], (*found)[k], "--since");
    }
    co_return result<void>{};
}

} // namespace postferry::transfer
