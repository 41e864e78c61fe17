#include "store/name_repository.hpp"

#include "store/detail/statements.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::run;

namespace {

constexpr std::size_t longest_name = 255;
constexpr std::uint64_t last_uid = 0xffff'ffff;

sql::octets octets_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

} // namespace

result<void> may_be_named(const std::vector<std::string>& names, std::uint64_t uid_next) {
    if (std::ranges::any_of(names, [](const std::string& n) { return n.size() > longest_name; }))
        return fail(retry_class::local, phase::ledger, "a message's name is longer than the ledger takes");
    if (uid_next + names.size() > last_uid)
        return fail(retry_class::local, phase::ledger, "the ledger has no numbers left for the messages of a folder",
                    "Begin a new ledger with --state; what is on the target is found again");
    return {};
}

result<std::optional<name_repository::folder>> name_repository::find_folder(const name_key& key) {
    std::optional<folder> found;
    auto done = each_row(
        db_,
        "SELECT id, uid_validity, uid_next FROM named_folder "
        "WHERE source_key = $1 AND target_key = $2 AND place = $3 AND folder = $4",
        [&](const sql::query& q) {
            found = folder{.id = q.get<std::int64_t>(0),
                           .uid_validity = q.get<std::uint32_t>(1),
                           .uid_next = q.get<std::uint64_t>(2)};
        },
        key.source_key, key.target_key, key.place, key.folder);
    if (!done) return pass_on(done);
    return found;
}

result<name_repository::folder> name_repository::must_find(const name_key& key) {
    auto found = find_folder(key);
    if (!found) return pass_on(found);
    if (!*found)
        return fail(retry_class::local, phase::ledger,
                    fmt::format("the ledger has no numbers for {} in {}", key.folder, key.place));
    return **found;
}

result<std::optional<name_book::page>> name_repository::find(const name_key& key) {
    auto found = find_folder(key);
    if (!found) return pass_on(found);
    if (!*found) return std::nullopt;
    name_book::page page{.uid_validity = (*found)->uid_validity,
                         .uid_next = static_cast<std::uint32_t>((*found)->uid_next),
                         .entries = {}};
    auto done = each_row(
        db_, "SELECT uid, name FROM name WHERE named_folder = $1 ORDER BY uid",
        [&](const sql::query& q) {
            const sql::octets name = q.blob(1);
            page.entries.push_back({.uid = q.get<std::uint32_t>(0), .name = std::string(name.begin(), name.end())});
        },
        (*found)->id);
    if (!done) return pass_on(done);
    return page;
}

result<name_book::page> name_repository::create(const name_key& key, std::uint32_t uid_validity) {
    auto made = run(db_,
                    "INSERT INTO named_folder (source_key, target_key, place, folder, uid_validity) "
                    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                    key.source_key, key.target_key, key.place, key.folder, uid_validity);
    if (!made) return pass_on(made);
    auto page = find(key);
    if (!page) return pass_on(page);
    return std::move(*page).value_or(name_book::page{});
}

result<std::vector<name_book::entry>> name_repository::add(const name_key& key, const std::vector<std::string>& names) {
    auto found = must_find(key);
    if (!found) return pass_on(found);
    if (auto ok = may_be_named(names, found->uid_next); !ok) return pass_on(ok);
    std::vector<name_book::entry> given;
    given.reserve(names.size());
    for (const std::string& name : names) {
        const auto uid = static_cast<std::uint32_t>(found->uid_next++);
        auto put =
            run(db_, "INSERT INTO name (named_folder, uid, name) VALUES ($1, $2, $3)", found->id, uid, octets_of(name));
        if (!put) return pass_on(put);
        given.push_back({.uid = uid, .name = name});
    }
    auto moved = run(db_, "UPDATE named_folder SET uid_next = $1 WHERE id = $2", found->uid_next, found->id);
    if (!moved) return pass_on(moved);
    return given;
}

result<void> name_repository::remove(const name_key& key, const std::vector<std::uint32_t>& uids) {
    auto found = must_find(key);
    if (!found) return pass_on(found);
    for (const std::uint32_t uid : uids) {
        auto gone = run(db_, "DELETE FROM name WHERE named_folder = $1 AND uid = $2", found->id, uid);
        if (!gone) return pass_on(gone);
    }
    return {};
}

} // namespace postferry::store
