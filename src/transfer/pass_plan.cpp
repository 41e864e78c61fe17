// From two addresses to what has to be done: connect, list, map, compare with the ledger.
#include "transfer/detail/both_ends.hpp"
#include "transfer/detail/pass_state.hpp"
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
    if (!from && !to) co_return std::unexpected(of_both_ends(from.error(), to.error()));
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
