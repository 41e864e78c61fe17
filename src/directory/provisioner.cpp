#include "directory/provisioner.hpp"

#include "base/text.hpp"
#include "directory/password_hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::directory {

std::string_view name_of(verb v) noexcept {
    switch (v) {
    case verb::domain_create: return "domain-create";
    case verb::account_exists: return "account-exists";
    case verb::account_create: return "account-create";
    case verb::set_password: return "set-password";
    case verb::set_quota: return "set-quota";
    case verb::suspend: return "suspend";
    case verb::alias_create: return "alias-create";
    case verb::list_accounts: return "list-accounts";
    case verb::list_aliases: return "list-aliases";
    }
    return "unknown";
}

std::string_view name_of(change c) noexcept {
    switch (c) {
    case change::created: return "created";
    case change::existed: return "existed";
    case change::updated: return "updated";
    case change::unchanged: return "unchanged";
    }
    return "unknown";
}

bool check_report::good() const noexcept {
    return std::ranges::none_of(findings, [](const auto& f) { return f.how == check_finding::grade::fault; });
}

task<std::vector<result<outcome>>> provisioner::create_many(std::span<const account_spec> accounts, create_mode mode) {
    std::vector<result<outcome>> out;
    out.reserve(accounts.size());
    for (const account_spec& account : accounts) out.push_back(co_await account_create(account, mode));
    co_return out;
}

namespace {

constexpr std::size_t max_text = 255;
constexpr std::size_t max_targets = 1000;
constexpr std::uint64_t max_octets = std::uint64_t{1} << 62U; // fits every database's signed number

result<void> check_text(std::string_view what, std::string_view text) {
    const auto bad = [&](std::string_view why) {
        return fail(retry_class::config, phase::usage,
                    fmt::format("the {} \"{}\" {}", what, quote_server_text(text, 80), why));
    };
    if (text.size() > max_text) return bad("has more than 255 octets");
    if (!is_utf8(text)) return bad("is not UTF-8");
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return bad("has a control character");
    return {};
}

} // namespace

result<void> validate_quota(std::uint64_t octets) {
    if (octets <= max_octets) return {};
    return fail(retry_class::config, phase::usage, fmt::format("a quota of {} octets is beyond 2^62", octets));
}

result<void> validate(const new_password& password) {
    if (password.form == new_password::kind::hashed) return check_hashed(password.value);
    if (password.form == new_password::kind::none || !password.value.empty()) return {};
    return fail(retry_class::config, phase::usage, "the password is empty");
}

result<void> validate(const account_spec& account) {
    if (auto ok = check_text("name", account.name); !ok) return ok;
    if (auto ok = check_text("language", account.language); !ok) return ok;
    if (auto ok = check_text("time zone", account.time_zone); !ok) return ok;
    if (auto ok = validate_quota(account.quota.value_or(0)); !ok) return ok;
    return validate(account.password);
}

result<void> validate(const domain_spec& domain) {
    if (auto ok = check_text("description", domain.description); !ok) return ok;
    if (auto ok = check_text("language", domain.language); !ok) return ok;
    if (auto ok = check_text("time zone", domain.time_zone); !ok) return ok;
    if (auto ok = check_text("brand", domain.brand); !ok) return ok;
    if (auto ok = validate_quota(domain.max_account_quota.value_or(0)); !ok) return ok;
    return validate_quota(domain.total_quota.value_or(0));
}

result<void> validate(const alias_spec& alias) {
    const auto bad = [&](std::string_view why) {
        return fail(retry_class::config, phase::usage, fmt::format("the alias {} {}", alias.address.text(), why));
    };
    if (alias.targets.empty()) return bad("has no target");
    if (alias.targets.size() > max_targets) return bad("has more than 1000 targets");
    if (std::ranges::find(alias.targets, alias.address) != alias.targets.end()) return bad("points to itself");
    return {};
}

bool is_exists(const error& why) noexcept { return why.response_code == "ALREADYEXISTS"; }
bool is_missing(const error& why) noexcept { return why.response_code == "NONEXISTENT"; }

namespace {

error with_code(std::string_view code, std::string what, std::string advice) {
    error why = fail(retry_class::config, phase::create, std::move(what), std::move(advice)).error();
    why.response_code = code;
    return why;
}

} // namespace

error exists_error(std::string what, std::string advice) {
    return with_code("ALREADYEXISTS", std::move(what), std::move(advice));
}

error missing_error(std::string what, std::string advice) {
    return with_code("NONEXISTENT", std::move(what), std::move(advice));
}

error full_error(std::string what, std::string advice) {
    return with_code("LIMIT", std::move(what), std::move(advice));
}

error cannot_error(std::string_view driver, verb v, std::string_view advice) {
    return with_code("CANNOT", fmt::format("the driver {} cannot do {}", driver, name_of(v)), std::string(advice));
}

} // namespace postferry::directory
