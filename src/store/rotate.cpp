#include "store/rotate.hpp"

#include "store/change_state.hpp"
#include "store/detail/place.hpp"
#include "store/detail/statements.hpp"

#include <algorithm>

namespace postferry::store {

using detail::in_transaction;
using detail::pass_on;

namespace {

/// The file's keys with a new one in front. Nothing is written before it is clear that this is the right file.
result<key_ring> with_new_key(const std::filesystem::path& file, sql::connection& db, bool key_lost) {
    tables t(db);
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) {
        auto uses = t.credentials.keys_in_use();
        if (!uses) return pass_on(uses);
        if (!uses->empty() && !key_lost)
            return fail(retry_class::config, phase::ledger,
                        "there is no key file, but the store holds passwords that were sealed with one",
                        "Bring the key file back. If it is lost: --key-lost; these passwords must then be given again");
        return make_key_file(file);
    }
    auto opened = vault::open(file);
    if (!opened) return pass_on(opened);
    auto attached = in_transaction(db, [&] { return (*opened)->attach(t, key_lost); });
    if (!attached) return pass_on(attached);
    auto keys = load_keys(file);
    if (!keys) return keys;
    keys->insert(keys->begin(), sealing_key::random());
    if (auto saved = save_keys(file, *keys); !saved) return pass_on(saved);
    return keys;
}

result<void> seal_all(sql::connection& db, vault& keys, rotation& out,
                      const std::function<void(std::int64_t)>& progress) {
    tables t(db);
    vault::progress at{.more = true};
    while (at.more) {
        auto next = in_transaction(db, [&] { return keys.reseal(t, at.after); });
        if (!next) return pass_on(next);
        at = *next;
        out.resealed += at.resealed;
        out.passed_over += at.passed_over;
        if (progress) progress(out.resealed);
    }
    return {};
}

/// Keys that nothing is sealed with leave the file, but for the one before: somebody may be sealing with it still.
result<void> drop_unused(const std::filesystem::path& file, sql::connection& db, key_ring keys, bool drop_old,
                         rotation& out) {
    tables t(db);
    auto uses = t.credentials.keys_in_use();
    if (!uses) return pass_on(uses);
    const std::size_t stay = drop_old ? 1 : 2;
    key_ring left;
    std::vector<std::string> dropped;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const bool used = std::ranges::any_of(*uses, [&](const auto& u) { return u.key_id == keys[i].id(); });
        if (i < stay || used)
            left.push_back(keys[i]);
        else
            dropped.push_back(keys[i].id());
    }
    out.keys_left = left.size();
    if (dropped.empty()) return {};
    if (auto saved = save_keys(file, left); !saved) return saved;
    return in_transaction(db, [&]() -> result<void> {
        for (const std::string& id : dropped)
            if (auto gone = t.credentials.forget_key(id); !gone) return gone;
        return {};
    });
}

} // namespace

result<int> ask_again(tables& t, const std::string& key_id, const std::string& actor) {
    int count = 0;
    paging page{.limit = 500};
    for (bool more = true; more;) {
        auto ids = t.credentials.migrations_of_key(key_id, page);
        if (!ids) return pass_on(ids);
        if (!ids->rows.empty()) page.after = ids->rows.back();
        auto changed = change_states(t, ids->rows, [&](const migration& m) {
            if (!allowed(m.state, mailbox_state::needs_credentials)) return changes{};
            return changes{{.to = mailbox_state::needs_credentials,
                            .actor = actor,
                            .reason = "sealed with a key that is not here"}};
        });
        if (!changed) return pass_on(changed);
        count += static_cast<int>(changed->size());
        more = ids->more;
    }
    return count;
}

result<rotation> rotate_key(const store_place& place, const std::filesystem::path& key_file,
                            const rotate_options& options, const std::function<void(std::int64_t)>& progress) {
    auto store = detail::open_place(place, detail::purpose::change, "postferry store rotate-key");
    if (!store) return pass_on(store);
    sql::connection& db = *store->db;
    tables t(db);
    auto ring = with_new_key(key_file, db, options.key_lost);
    if (!ring) return pass_on(ring);
    rotation out{.key_id = ring->front().id()};
    auto done = in_transaction(db, [&]() -> result<void> {
        auto now = t.now();
        if (!now) return pass_on(now);
        return t.credentials.set_current(out.key_id, *now);
    });
    if (!done) return pass_on(done);
    auto keys = vault::open(key_file);
    if (!keys) return pass_on(keys);
    done = seal_all(db, **keys, out, progress);
    if (!done) return pass_on(done);
    if (options.key_lost) {
        done = in_transaction(db, [&]() -> result<void> {
            auto lost = (*keys)->attach(t, true);
            if (!lost) return pass_on(lost);
            out.lost = std::move(*lost);
            for (const lost_key& key : out.lost) {
                auto asked = ask_again(t, key.key_id, "system");
                if (!asked) return pass_on(asked);
                out.asked_again += *asked;
            }
            return {};
        });
        if (!done) return pass_on(done);
    }
    done = drop_unused(key_file, db, std::move(*ring), options.drop_old, out);
    if (!done) return pass_on(done);
    return out;
}

} // namespace postferry::store
