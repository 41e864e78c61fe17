#include "accounts/account.hpp"

#include <fmt/format.h>

namespace postferry::accounts {

using mailbox::endpoint;

namespace {

std::size_t mix(std::size_t seed, std::size_t value) noexcept {
    return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}

} // namespace

bool needs_password(const endpoint& e) noexcept {
    return !mailbox::is_local(e.kind) && e.kind != mailbox::scheme::lmtp && e.auth != sasl::choice::external;
}

bool takes_token(const endpoint& e) noexcept {
    return e.auth == sasl::choice::xoauth2 || e.auth == sasl::choice::oauthbearer;
}

bool has_common_login(const endpoint& e) noexcept { return !e.admin.empty() || takes_token(e); }

std::string csv_fault::text() const {
    std::string place = row == 0 ? std::string{} : fmt::format("row {}", row);
    if (line != row) place += fmt::format(" (line {})", line);
    if (!column.empty()) return fmt::format("{}{}{}: {}", place, place.empty() ? "" : ", ", column, what);
    return place.empty() ? what : fmt::format("{}: {}", place, what);
}

account::account(std::uint64_t row, endpoint source, endpoint target) : row_(row) {
    source_ = {nullptr, std::move(source.user), std::move(source.password)};
    target_ = {nullptr, std::move(target.user), std::move(target.password)};
    source_.base = std::make_shared<const endpoint>(std::move(source));
    target_.base = std::make_shared<const endpoint>(std::move(target));
}

account::account(std::uint64_t row, std::shared_ptr<const endpoint> source, std::string source_user,
                 secret source_password, std::shared_ptr<const endpoint> target, std::string target_user,
                 secret target_password)
    : row_(row), source_{std::move(source), std::move(source_user), std::move(source_password)},
      target_{std::move(target), std::move(target_user), std::move(target_password)} {}

void account::log_in_with(std::shared_ptr<const row_token> source, std::shared_ptr<const row_token> target) noexcept {
    source_.token = std::move(source);
    target_.token = std::move(target);
}

endpoint account::end::whole() const {
    endpoint e = *base;
    e.user = user;
    e.password = password;
    return e;
}

bool account::end::same(const end& other) const noexcept {
    return user == other.user && base->where.host == other.base->where.host &&
           base->where.port == other.base->where.port && base->path == other.base->path;
}

bool account::same_mailboxes(const account& other) const noexcept {
    return source_.same(other.source_) && target_.same(other.target_);
}

bool account::same_target(const account& other) const noexcept { return target_.same(other.target_); }

bool account::onto_itself() const noexcept { return source_.same(target_); }

std::size_t account::hash() const noexcept { return mix(source_.hash(), target_.hash()); }

std::size_t account::target_hash() const noexcept { return target_.hash(); }

std::size_t account::end::hash() const noexcept {
    std::size_t h = 0;
    h = mix(h, std::hash<std::string>{}(user));
    h = mix(h, std::hash<std::string>{}(base->where.host));
    h = mix(h, base->where.port);
    h = mix(h, std::hash<std::string>{}(base->path));
    return h;
}

} // namespace postferry::accounts
