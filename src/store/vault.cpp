#include "store/vault.hpp"

#include "store/detail/statements.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::store {

using detail::pass_on;

namespace {

std::unexpected<error> wrong_key_file(const std::filesystem::path& file, const std::string& key_id) {
    return refusal::refuse(
        refusal::no_key,
        fmt::format("the store seals with key {}, which is not in the key file {}", key_id, file.string()),
        "Copy the key file of the machine that has it. If it is lost: postferry store rotate-key --key-lost; the "
        "passwords "
        "sealed with it must then be given again, nothing else is gone");
}

} // namespace

std::string bond_of(const credential_key& key) {
    // NUL stands in none of the parts, so no two keys have one bond.
    std::string bond(name_of(key.kind));
    bond += '\0';
    bond += key.owner;
    bond += '\0';
    bond += key.purpose;
    return bond;
}

result<std::unique_ptr<vault>> vault::open(const std::filesystem::path& key_file) {
    auto keys = load_keys(key_file);
    if (!keys) return pass_on(keys);
    return std::unique_ptr<vault>(new vault(key_file, std::move(*keys)));
}

std::string vault::current() const {
    const std::lock_guard lock(mutex_);
    return keys_.front().id();
}

namespace {

// No credential's bond begins like this: none of their owners is called "token".
std::string token_bond(std::string_view purpose) { return fmt::format("token\n{}", purpose); }

} // namespace

std::vector<std::uint8_t> vault::seal_token(const secret& plain, std::string_view purpose) const {
    const std::lock_guard lock(mutex_);
    return keys_.front().seal(plain, token_bond(purpose));
}

std::optional<secret> vault::open_token(std::span<const std::uint8_t> token, std::string_view purpose) const {
    const std::lock_guard lock(mutex_);
    for (const sealing_key& key : keys_)
        if (auto plain = key.open(token, token_bond(purpose))) return plain;
    return std::nullopt;
}

std::optional<sealing_key> vault::find(const std::string& key_id) {
    const std::lock_guard lock(mutex_);
    const auto here = [&]() -> std::optional<sealing_key> {
        const auto at = std::ranges::find(keys_, key_id, &sealing_key::id);
        return at == keys_.end() ? std::nullopt : std::optional(*at);
    };
    if (auto key = here()) return key;
    auto again = load_keys(file_);
    if (!again) return std::nullopt; // what we have still opens what it opened
    keys_ = std::move(*again);
    return here();
}

/// The store's current key, if we have it; ours when the store has none yet.
result<std::optional<sealing_key>> vault::sealing(tables& t) {
    auto keys = t.credentials.keys();
    if (!keys) return pass_on(keys);
    const auto at = std::ranges::find(*keys, true, &seal_key::current);
    if (at == keys->end()) return std::nullopt;
    auto key = find(at->id);
    if (!key) return wrong_key_file(file_, at->id);
    return key;
}

result<void> vault::put(tables& t, const std::vector<credential_value>& all) {
    auto now = t.now();
    if (!now) return pass_on(now);
    auto key = sealing(t);
    if (!key) return pass_on(key);
    if (!*key)
        return refusal::refuse(refusal::no_key, "the store has no key yet", "This is a defect: attach() comes first");
    std::vector<credential> sealed;
    sealed.reserve(all.size());
    for (const credential_value& c : all)
        sealed.push_back(
            {.key = c.key, .key_id = (*key)->id(), .sealed = (*key)->seal(c.value, bond_of(c.key)), .updated = *now});
    return t.credentials.put(sealed);
}

result<std::optional<secret>> vault::get(tables& t, const credential_key& wanted) {
    auto stored = t.credentials.find(wanted);
    if (!stored) return pass_on(stored);
    if (!*stored) return std::nullopt;
    auto plain = unseal(**stored);
    if (!plain) return pass_on(plain);
    return std::optional(std::move(*plain));
}

result<secret> vault::unseal(const credential& stored) {
    const auto key = find(stored.key_id);
    if (!key)
        return refusal::refuse(refusal::no_key, "sealed with a key that is not here",
                               "Bring the key file back, or give the password again");
    auto plain = key->open(stored.sealed, bond_of(stored.key));
    if (!plain)
        return refusal::refuse(refusal::tampered, "the stored password is not as it was sealed",
                               "Give the password again; somebody or something has changed the database");
    return std::move(*plain);
}

result<std::vector<lost_key>> vault::attach(tables& t, bool take_anyway) {
    auto key = sealing(t);
    auto uses = t.credentials.keys_in_use();
    if (!uses) return pass_on(uses);
    if (!key && !refusal::is(key.error(), refusal::no_key)) return pass_on(key);
    if (!key && !take_anyway && !uses->empty()) return pass_on(key);
    if (!key || !*key) {
        auto now = t.now();
        if (!now) return pass_on(now);
        auto set = t.credentials.set_current(current(), *now);
        if (!set) return pass_on(set);
    }
    std::vector<lost_key> lost;
    for (const auto& use : *uses)
        if (!find(use.key_id)) lost.push_back({.key_id = use.key_id, .credentials = use.credentials});
    return lost;
}

result<void> vault::join(tables& t) {
    auto key = sealing(t);
    if (!key) return pass_on(key);
    return {};
}

result<vault::progress> vault::reseal(tables& t, record_id after, int limit) {
    auto key = sealing(t);
    if (!key) return pass_on(key);
    if (!*key) return progress{};
    auto page = t.credentials.not_sealed_with((*key)->id(), {.after = after, .limit = limit});
    if (!page) return pass_on(page);
    progress out{.after = after, .more = page->more};
    for (const credential& from : page->rows) {
        out.after = from.id;
        const auto old = find(from.key_id);
        auto plain = old ? old->open(from.sealed, bond_of(from.key)) : std::nullopt;
        if (!plain) {
            ++out.passed_over;
            continue;
        }
        credential to = from;
        to.key_id = (*key)->id();
        to.sealed = (*key)->seal(*plain, bond_of(from.key));
        auto done = t.credentials.reseal(from, to);
        if (!done) return pass_on(done);
        out.resealed += *done ? 1 : 0;
    }
    return out;
}

} // namespace postferry::store
