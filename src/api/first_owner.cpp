#include "api/first_owner.hpp"

#include "api/audit.hpp"
#include "api/views.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::link_kind;
using store::tables;

namespace {

constexpr store::unix_ms lifetime = 24LL * 3'600'000;
constexpr std::string_view subject = "installation";

/// False: there is an owner already.
result<bool> put_link(tables& t, const std::string& nonce_hash) {
    auto owners = t.people.owners();
    if (!owners) return std::unexpected(std::move(owners.error()));
    if (*owners > 0) return false;
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto gone = t.requests.remove_links(link_kind::first_owner, std::string(subject));
    if (!gone) return std::unexpected(std::move(gone.error()));
    auto made = t.requests.add(store::one_time_link{.kind = link_kind::first_owner,
                                                    .subject = std::string(subject),
                                                    .nonce_hash = nonce_hash,
                                                    .created = *now,
                                                    .expires = *now + lifetime});
    if (!made) return std::unexpected(std::move(made.error()));
    return true;
}

} // namespace

task<result<std::optional<secret>>> new_first_owner_link(store::database& db, const store::vault& keys,
                                                         std::string public_url) {
    const link_token token = new_link_token(keys, link_kind::first_owner);
    auto made = co_await db.synced([hash = token.nonce_hash](tables& t) { return put_link(t, hash); });
    if (!made) co_return std::unexpected(std::move(made.error()));
    if (!*made) co_return std::nullopt;
    co_return secret(fmt::format("{}/first-owner/{}", public_url, token.text.reveal()));
}

result<bool> find_first_owner_link(tables& t, const std::string& nonce_hash) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto link = t.requests.find_link(nonce_hash);
    if (!link) return std::unexpected(std::move(link.error()));
    if (!*link || (*link)->kind != link_kind::first_owner || (*link)->used || (*link)->expires <= *now) return false;
    auto owners = t.people.owners();
    if (!owners) return std::unexpected(std::move(owners.error()));
    return *owners == 0;
}

result<std::optional<store::person>> take_first_owner(tables& t, const std::string& nonce_hash, store::person who) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    // Used first: of two that come together on PostgreSQL the second waits here, and finds it used.
    auto used = t.requests.use_link(nonce_hash, *now);
    if (!used) return std::unexpected(std::move(used.error()));
    auto owners = t.people.owners();
    if (!owners) return std::unexpected(std::move(owners.error()));
    auto link = t.requests.find_link(nonce_hash);
    if (!link) return std::unexpected(std::move(link.error()));
    if (!*used || *owners > 0 || !*link || (*link)->kind != link_kind::first_owner) return std::nullopt;
    who.role = store::person_role::owner;
    who.created = *now;
    auto made = t.people.add(who);
    if (!made) return std::unexpected(std::move(made.error()));
    auto kept = audit(t, fmt::format("link/{}", (*link)->id),
                      {.what = "user.create", .after = view_of(*made), .detail = {{"user", made->id}}});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return *made;
}

} // namespace postferry::api
