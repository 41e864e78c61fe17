// From two addresses to what has to be done: connect, list, map, compare with the ledger, scan what moved.
#include "net/join.hpp"
#include "transfer/detail/pass_state.hpp"
#include "transfer/flag_rules.hpp"
#include "transfer/folder_entries.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

const mailbox::listed_folder* find_by_name(const mailbox::listing& list, std::string_view name) {
    const auto at = std::ranges::find(list.folders, name, &mailbox::listed_folder::name);
    return at == list.folders.end() ? nullptr : &*at;
}

} // namespace

task<result<void>> mailbox_pass::state::connect() {
    if (auto ok = co_await unless_stopped(enter()); !ok) co_return ok;
    co_return co_await unless_stopped(connect_both());
}

task<result<void>> mailbox_pass::state::connect_both() {
    const auto begun = std::chrono::steady_clock::now();
    auto [from, to] = co_await (env_.open_source() && env_.open_target());
    connecting_ += std::chrono::steady_clock::now() - begun;
    // Both are tried before one is reported: two wrong passwords are mended in one go.
    if (from) source_ = std::move(*from);
    if (to) target_ = std::move(*to);
    if (!from && !to) {
        // What somebody must mend goes before a pause that needs no hand.
        const auto weight = [](const error& e) {
            return e.cls == retry_class::transient ? 0 : e.cls == retry_class::throttled ? 1 : 2;
        };
        error both = weight(to.error()) > weight(from.error()) ? to.error() : from.error();
        both.backoff_ms = std::max(from.error().backoff_ms, to.error().backoff_ms);
        both.what = fmt::format("source: {}; target: {}", from.error().message(), to.error().message());
        both.server_said.clear();
        both.advice.clear();
        co_return std::unexpected(both);
    }
    if (!from || !to) {
        error one = from ? to.error() : from.error();
        one.what = fmt::format("{}: {}", from ? "target" : "source", one.what);
        co_return std::unexpected(one);
    }
    ever_connected_ = true;
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::list(bool with_octets) {
    auto [from, to] = co_await (source_->list(with_octets) && target_->list(false));
    target_spoke_ = from && !to;
    if (!from) co_return std::unexpected(from.error());
    if (!to) co_return std::unexpected(to.error());
    source_list_ = std::move(*from);
    target_list_ = std::move(*to);
    co_return result<void>{};
}

void mailbox_pass::state::place_on_target(folder_work& f) {
    const auto* there = find_by_name(target_list_, f.map.target);
    f.target_handle = there != nullptr ? there->handle : target_->handle_of(f.map.target);
    f.target.reset();
    if (there != nullptr && there->selectable) f.target = there->state.value_or(mailbox::folder_state{});
}

result<void> mailbox_pass::state::map() {
    auto mapped =
        map_folders(entries_of(source_list_), entries_of(target_list_), options_.rules, naming_of(target_list_));
    if (!mapped) return std::unexpected(mapped.error());
    map_ = std::move(*mapped);
    report_.warnings = source_list_.notes;
    for (const mapped_folder& m : map_.folders) {
        folder_work f;
        f.map = m;
        f.flag_sets = flag_table(options_.flag_limits);
        if (const auto* listed = find_by_name(source_list_, m.source)) {
            f.source_handle = listed->handle;
            f.source = listed->state.value_or(mailbox::folder_state{});
        }
        if (m.what == mapped_folder::verdict::copy) place_on_target(f);
        f.memory = &memory_[m.source];
        folders_.push_back(std::move(f));
    }
    for (const collision& c : map_.collisions) {
        const std::string_view weight =
            c.fatal ? "are not copied; give one of them another name with --map" : "are both copied";
        report_.warnings.push_back(fmt::format("{} and {} become {} ({}): they {}", c.sources.front(), c.sources.back(),
                                               c.target, c.how, weight));
    }
    return {};
}

task<result<void>> mailbox_pass::state::read_ledger() {
    if (!mailbox_open_) {
        const auto opened = co_await env_.books->open_mailbox(names_.source, names_.target);
        if (!opened) co_return std::unexpected(opened.error());
        mailbox_ = *opened;
        mailbox_open_ = true;
    }
    auto books = co_await env_.books->folders(mailbox_);
    if (!books) co_return std::unexpected(books.error());
    const std::vector<ledger_folder> before = options_.delete_extra ? *books : std::vector<ledger_folder>{};
    for (folder_work& f : folders_) {
        pin_target(f, *books);
        const auto at = std::ranges::find_if(*books, [&](const ledger_folder& b) {
            return b.source_name == f.map.source && b.target_name == f.map.target;
        });
        if (at == books->end()) continue;
        f.book = std::move(*at);
        for (std::uint32_t i = 0; i < f.book.flag_sets.size(); ++i) {
            (void)f.flag_sets.add(f.book.flag_sets[i]);
            f.flag_set_ids.emplace_back(i);
        }
    }
    note_what_was(before);
    co_return result<void>{};
}

// Where a folder went once, it goes on going, unless --map says otherwise: a special-use folder that appears on the
// target between two passes must not draw a second copy of everything.
void mailbox_pass::state::pin_target(folder_work& f, const std::vector<ledger_folder>& books) {
    if (f.map.what != mapped_folder::verdict::copy || f.map.why.starts_with("--map")) return;
    if (std::ranges::any_of(books, [&](const ledger_folder& b) {
            return b.source_name == f.map.source && b.target_name == f.map.target;
        }))
        return;
    const auto at = std::ranges::find(books, f.map.source, &ledger_folder::source_name);
    if (at == books.end()) return;
    f.map.why = fmt::format("copied to {} before", at->target_name);
    f.map.target = at->target_name;
    place_on_target(f);
}

// A folder whose source looks exactly as after the last complete pass costs nothing more (docs/adr/0003).
void mailbox_pass::state::decide_moved() {
    const bool filtered = options_.since_unix || options_.max_octets;
    for (folder_work& f : folders_) {
        if (f.map.what != mapped_folder::verdict::copy) {
            f.moved = false;
            continue;
        }
        const ledger_folder& b = f.book;
        const std::uint64_t accounted = b.rows.copied + b.rows.present;
        const bool same_source = b.id != 0 && b.complete && f.source.uid_validity == b.source_uid_validity &&
                                 f.source.uid_validity != 0 && f.source.uid_next == b.source_uid_next &&
                                 f.source.messages == b.source_messages && f.source.modseq != 0 &&
                                 f.source.modseq == b.source_modseq;
        const bool same_target = f.target && f.target->uid_validity == b.target_uid_validity;
        f.moved = !(same_source && same_target &&
                    (accounted == f.source.messages || (filtered && accounted <= f.source.messages)));
        if (filtered && accounted != f.source.messages) f.moved = true;
        // Subscribing touches no message and leaves no other trace.
        if (f.map.subscribed && !b.subscribed && !only_new()) f.moved = true;
        if (options_.kind == pass_kind::final || options_.delete_extra) f.moved = true;
        if (options_.kind == pass_kind::repair) f.moved = b.id != 0 && b.rows.failed > 0;
    }
}

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
    const auto skip = [&](std::size_t k, const uid_set& found, const std::string& rule) {
        folder_work& f = folders_[which[k]];
        for (const uid_set::range& r : found.ranges()) {
            for (std::uint64_t uid = r.first; uid <= r.last; ++uid) {
                const auto u = static_cast<std::uint32_t>(uid);
                if (!f.wanted.contains(u)) continue;
                f.skipped[rule].add(u);
                f.failed.erase(u);
            }
        }
        f.wanted.remove(found);
    };
    if (largest != UINT64_MAX) {
        const auto found = co_await source_->search(requests, {.larger_than = largest, .older_than_unix = {}});
        if (!found) co_return std::unexpected(found.error());
        const bool ours = options_.max_octets && *options_.max_octets <= largest;
        for (std::size_t k = 0; k < which.size(); ++k) {
            if (ours) {
                skip(k, (*found)[k], "--max-size");
                continue;
            }
            // The target says by APPENDLIMIT that it will not take them: no need to try (RFC 7889).
            folder_work& f = folders_[which[k]];
            const error why{.cls = retry_class::permanent,
                            .where = phase::append,
                            .what = fmt::format("Larger than the target allows (APPENDLIMIT {} octets)", limit),
                            .server_said = {},
                            .advice = {},
                            .response_code = "TOOBIG"};
            uid_set too_big = f.wanted;
            uid_set fine = f.wanted;
            fine.remove((*found)[k]);
            too_big.remove(fine);
            while (!too_big.empty()) fail_message(f, too_big.take_front(1, 1).front(), 0, why);
            f.wanted = std::move(fine);
        }
    }
    if (options_.since_unix) {
        const auto found =
            co_await source_->search(requests, {.larger_than = {}, .older_than_unix = options_.since_unix});
        if (!found) co_return std::unexpected(found.error());
        for (std::size_t k = 0; k < which.size(); ++k) skip(k, (*found)[k], "--since");
    }
    co_return result<void>{};
}

task<result<mailbox_plan>> mailbox_pass::state::plan() {
    changes_nothing_ = true;
    result<void> ok = co_await connect();
    if (ok) ok = co_await list(true);
    if (ok) ok = map();
    if (ok) ok = co_await read_ledger();
    if (ok) {
        decide_moved();
        ok = co_await load_rows();
    }
    if (ok) ok = co_await scan();
    if (ok) ok = co_await look_at_extras(source_list_.notes);
    mailbox_plan out{.source = names_.source,
                     .target = names_.target,
                     .folders = {},
                     .collisions = map_.collisions,
                     .notes = source_list_.notes};
    out.notes.insert(out.notes.end(), target_list_.notes.begin(), target_list_.notes.end());
    for (folder_work& f : folders_)
        if (f.moved && !f.trouble) choose_wanted(f);
    judge_deletion();
    out.deletes = options_.delete_extra;
    for (folder_work& f : folders_) {
        const std::uint64_t known = f.moved ? f.known.count() : f.book.rows.copied + f.book.rows.present;
        out.folders.push_back({.folder = f.map,
                               .messages = f.source.messages,
                               .octets = f.source.octets,
                               .known = known,
                               .to_copy = f.map.what == mapped_folder::verdict::copy && f.moved ? f.wanted.count() : 0,
                               .exists_on_target = f.target.has_value(),
                               .target_messages = f.target ? f.target->messages : 0});
        if (f.trouble) out.notes.push_back(fmt::format("{}: {}", f.map.source, f.trouble->message()));
        if (ok) ok = co_await condemn(f, out.folders.back());
    }
    out.not_deleted = report_.not_deleted;
    co_await let_go(ok.has_value());
    admission_.reset();
    if (mailbox_open_) env_.books->close_mailbox(mailbox_);
    mailbox_open_ = false;
    if (!ok) co_return std::unexpected(ok.error());
    co_return std::move(out);
}

} // namespace postferry::transfer
