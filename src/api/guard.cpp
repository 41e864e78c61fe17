#include "api/guard.hpp"

#include "api/token_text.hpp"
#include "base/text.hpp"
#include "store/tables.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unistd.h>

namespace postferry::api {

using store::person_role;
using store::tables;
using store::unix_ms;

namespace {

constexpr unix_ms minute = 60'000;

/// The value of one cookie among those sent (RFC 6265, section 4.2.1).
std::string_view cookie_in(std::string_view header, std::string_view name) {
    while (!header.empty()) {
        std::string_view one = header.substr(0, header.find(';'));
        header.remove_prefix(std::min(header.size(), one.size() + 1));
        while (one.starts_with(' ')) one.remove_prefix(1);
        if (one.starts_with(name) && one.substr(name.size()).starts_with('=')) return one.substr(name.size() + 1);
    }
    return {};
}

std::unexpected<problem> not_signed_in(std::string detail) {
    auto p = refuse(401, std::move(detail));
    p.error().fields.emplace_back("WWW-Authenticate", "Bearer");
    return p;
}

caller caller_of(const store::person& p) {
    return {.actor = fmt::format("person/{}", p.id),
            .person = p.id,
            .name = p.name,
            .role = p.role,
            .most = access_of(p.role)};
}

caller caller_of(const store::held_by<store::api_token>& held) {
    caller who = caller_of(held.person);
    who.actor = fmt::format("token/{}", held.row.id);
    who.name = fmt::format("{} (token {})", held.person.name, held.row.name);
    who.most = std::min(who.most, access_of_scopes(held.row.scopes));
    who.token = held.row.hash;
    return who;
}

caller caller_of(const store::held_by<store::session>& held) {
    caller who = caller_of(held.person);
    who.csrf = held.row.csrf;
    who.session = held.row.hash;
    return who;
}

bool is_over(const store::api_token& t, unix_ms now) noexcept { return t.expires && *t.expires <= now; }
bool is_over(const store::session& s, unix_ms now) noexcept { return s.expires <= now; }
/// Its use is to be written down, once a minute.
bool is_unnoticed(const store::api_token& t, unix_ms now) noexcept { return t.used.value_or(0) + minute <= now; }
bool is_unnoticed(const store::session& s, unix_ms now) noexcept { return s.seen + minute <= now; }

/// What was shown, and what time it is.
template <class Row> struct looked_up {
    std::optional<store::held_by<Row>> held = {};
    unix_ms now = 0;
};

template <class Row> result<looked_up<Row>> at_what_time(tables& t, result<std::optional<store::held_by<Row>>> held) {
    if (!held) return std::unexpected(std::move(held.error()));
    const unix_ms told = *held ? (*held)->told : 0;
    return looked_up<Row>{.held = std::move(*held), .now = t.now_or(told)};
}

/// Whom a request waits for.
template <class Find> auto look_up(store::database& db, std::string shown, Find find) {
    return db.read_single([shown = std::move(shown), find](tables& t) { return at_what_time(t, find(t, shown)); });
}

/// Looks again, behind the back of who is known, whether they still are. Whose use is to be written down, or who is not
/// valid any more, is left to be found out in front.
template <class Find>
void look_again(store::database& db, const std::shared_ptr<known_callers>& known, std::string shown, Find find) {
    db.leave(
        [known, shown = std::move(shown), read_in = known->generation(), find](tables& t) -> result<void> {
            auto held = find(t, shown);
            if (!held) return std::unexpected(std::move(held.error()));
            if (!*held) return {};
            const unix_ms now = t.now_or((*held)->told);
            if ((*held)->person.disabled || is_over((*held)->row, now) || is_unnoticed((*held)->row, now)) return {};
            known->keep(shown, caller_of(**held), read_in);
            return {};
        },
        store::database_job::kind::single_read);
}

constexpr auto find_token = [](tables& t, const std::string& shown) { return t.people.find_token(shown); };
constexpr auto find_session = [](tables& t, const std::string& shown) { return t.people.find_session(shown); };

} // namespace

access access_of(person_role role) noexcept {
    switch (role) {
    case person_role::viewer: return access::read;
    case person_role::operator_: return access::operate;
    case person_role::admin: return access::admin;
    case person_role::owner: return access::owner;
    }
    return access::anyone;
}

access access_of_scopes(std::string_view scopes) noexcept {
    access most = access::anyone;
    while (!scopes.empty()) {
        const std::string_view word = scopes.substr(0, scopes.find(' '));
        scopes.remove_prefix(std::min(scopes.size(), word.size() + 1));
        if (word == "read") most = std::max(most, access::read);
        if (word == "operate") most = std::max(most, access::operate);
        if (word == "admin") most = std::max(most, access::admin);
    }
    return most;
}

std::string_view guard::cookie_name() const noexcept {
    // Browsers take the prefix only with Secure, and then from nobody else (RFC 6265bis, section 4.1.3.2).
    return options_.secure_cookies ? "__Host-postferry" : "postferry";
}

std::string guard::cookie_field(const secret& cookie) const {
    return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}{}", cookie_name(), cookie.reveal(),
                       options_.secure_cookies ? "; Secure" : "", cookie.empty() ? "; Max-Age=0" : "");
}

task<bool> guard::stands(const caller& who) {
    if (who.session.empty() && who.token.empty()) co_return !who.actor.empty(); // the local socket knows its process
    struct shown {
        bool good = false;
    };
    auto found = co_await db_.read_single([session = who.session, token = who.token](tables& t) -> result<shown> {
        const auto look = [&t](auto held) -> result<shown> {
            if (!held) return std::unexpected(std::move(held.error()));
            return shown{.good = *held && !(*held)->person.disabled && !is_over((*held)->row, t.now_or((*held)->told))};
        };
        return session.empty() ? look(find_token(t, token)) : look(find_session(t, session));
    });
    co_return found && found->good;
}

outcome<void> guard::check(const caller& who, access needs) const {
    if (needs <= who.most) return {};
    if (who.most == access::anyone) return not_signed_in("Sign in, or send an API token");
    return refuse(
        403, fmt::format("{} may not do this; it needs more than the role {}", who.name, store::name_of(who.role)));
}

task<outcome<caller>> guard::identify(http::exchange& x) {
    if (const auto uid = x.from().uid) {
        if (*uid == 0 || *uid == ::geteuid())
            co_return caller{.actor = fmt::format("cli/{}", *uid),
                             .name = fmt::format("user {} of this machine", *uid),
                             .role = person_role::owner,
                             .most = access::owner};
    }
    const std::string_view authorization = x.header("authorization");
    constexpr std::string_view bearer = "bearer ";
    if (authorization.size() > bearer.size() && ascii_lower(authorization.substr(0, bearer.size())) == bearer)
        co_return co_await by_token(std::string(authorization.substr(bearer.size())));
    if (!authorization.empty()) co_return not_signed_in("Authorization must be: Bearer, and a token");
    const std::string_view cookie = cookie_in(x.header("cookie"), cookie_name());
    if (!cookie.empty()) co_return co_await by_cookie(x, std::string(cookie));
    co_return caller{.actor = "anyone", .name = "Somebody who is not signed in"};
}

task<outcome<caller>> guard::by_token(std::string token) {
    const std::string shown = hash_of(token);
    if (auto lately = known_->find(shown)) {
        if (lately->ages) look_again(db_, known_, shown, find_token);
        co_return std::move(lately->who);
    }
    const auto read_in = known_->generation();
    auto known = co_await look_up(db_, shown, find_token);
    if (!known) co_return refuse(known.error());
    if (!known->held || known->held->person.disabled) co_return not_signed_in("This token is not valid");
    const store::api_token& t = known->held->row;
    if (is_over(t, known->now)) co_return not_signed_in("This token has expired");
    if (is_unnoticed(t, known->now)) {
        auto touched =
            co_await db_.write([id = t.id, now = known->now](tables& all) { return all.people.touch_token(id, now); });
        if (!touched) co_return refuse(touched.error());
    }
    caller who = caller_of(*known->held);
    known_->keep(shown, who, read_in);
    co_return who;
}

task<outcome<caller>> guard::by_cookie(http::exchange& x, std::string cookie) {
    const std::string shown = hash_of(cookie);
    const auto wary = [&x](caller who) -> outcome<caller> {
        if (!http::is_safe(x.verb()) && !same(x.header("x-csrf-token"), who.csrf))
            return refuse(403, "The X-CSRF-Token of this session is missing or wrong");
        return who;
    };
    if (auto lately = known_->find(shown)) {
        if (lately->ages) look_again(db_, known_, shown, find_session);
        co_return wary(std::move(lately->who));
    }
    const auto read_in = known_->generation();
    auto known = co_await look_up(db_, shown, find_session);
    if (!known) co_return refuse(known.error());
    const bool stands = known->held && !known->held->person.disabled && !is_over(known->held->row, known->now);
    // An old cookie must not keep anybody from signing in anew.
    if (!stands) co_return caller{.actor = "anyone", .name = "Somebody whose session has ended"};
    const store::session& s = known->held->row;
    if (is_unnoticed(s, known->now)) {
        const unix_ms last = s.created + std::chrono::milliseconds(options_.longest).count();
        const unix_ms expires = std::min(known->now + std::chrono::milliseconds(options_.idle).count(), last);
        auto touched = co_await db_.write([hash = s.hash, now = known->now, expires](tables& t) {
            return t.people.touch_session(hash, now, expires);
        });
        if (!touched) co_return refuse(touched.error());
    }
    caller who = caller_of(*known->held);
    known_->keep(shown, who, read_in);
    co_return wary(std::move(who));
}

task<outcome<std::string>> guard::hash_password(secret password) {
    auto hashed = co_await hashing_->hash(std::move(password), directory::password_scheme::argon2id);
    if (!hashed) co_return refuse(hashed.error());
    co_return std::string(hashed->reveal());
}

task<result<bool>> guard::matches(secret password, std::string hash) {
    co_return co_await hashing_->verify(std::move(password), secret(std::move(hash)));
}

/// Two who come first at once make two; either serves.
task<outcome<std::string>> guard::decoy() {
    {
        const std::lock_guard lock(mutex_);
        if (!decoy_.empty()) co_return decoy_;
    }
    auto made = co_await hash_password(new_token(""));
    if (!made) co_return made;
    const std::lock_guard lock(mutex_);
    decoy_ = *made;
    co_return made;
}

/// Guessing one name from many addresses is made slow, for whoever it is, and never refused: a refusal would let
/// anybody keep somebody out.
task<> guard::slow_down(const std::string& name) {
    constexpr unsigned unnoticed = 20;
    constexpr std::chrono::milliseconds step{100}, most{3'000};
    const unsigned failures = throttle_.failures(name);
    if (failures <= unnoticed) co_return;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                    std::min(most, step * static_cast<int>(std::min(failures - unnoticed, 1'000U))));
    co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

task<outcome<guard::signed_in>> guard::sign_in(http::exchange& x, std::string name, secret password) {
    name = ascii_lower(name);
    const std::string from = http::network_of(x.from().address);
    const std::string by_name = "name " + name;
    const std::array<std::string, 2> keys{"address " + from, fmt::format("name {} from {}", name, from)};
    const auto wait = throttle_.enter(keys);
    if (wait.count() > 0) {
        auto p = refuse(429, fmt::format("Too many wrong passwords; try again in {} seconds", wait.count()));
        p.error().fields.emplace_back("Retry-After", std::to_string(wait.count()));
        co_return p;
    }
    const auto not_checked = [&](problem why) {
        for (const std::string& key : keys) throttle_.undo(key);
        return std::unexpected(std::move(why));
    };
    co_await slow_down(by_name);
    auto known = co_await db_.read([name](tables& t) { return t.people.find(name); });
    if (!known) co_return not_checked(problem_of(known.error()));
    const bool can = *known && !(*known)->disabled && !(*known)->password.empty();
    std::string hash = can ? (*known)->password : std::string();
    if (!can) {
        auto other = co_await decoy();
        if (!other) co_return not_checked(std::move(other.error()));
        hash = std::move(*other);
    }
    const auto right = co_await matches(std::move(password), std::move(hash));
    if (!right) co_return not_checked(refuse(503, "Passwords cannot be checked right now; try again").error());
    if (!can || !*right) {
        throttle_.failed(by_name);
        co_return not_signed_in("Name or password is wrong");
    }
    // The address keeps what it has failed before: else one good login would pay for any number of guesses.
    throttle_.succeeded(by_name);
    throttle_.succeeded(keys[1]);
    throttle_.undo(keys[0]);
    signed_in done{.session = {}, .person = **known, .cookie = new_token("")};
    store::session& s = done.session;
    s.hash = hash_of(done.cookie.reveal());
    s.person = done.person.id;
    s.csrf = std::string(new_token("").reveal());
    s.address = x.from().address;
    s.agent = quote_server_text(x.header("user-agent"), 200);
    auto kept = co_await db_.synced([s, idle = options_.idle](tables& t) -> result<store::session> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        store::session row = s;
        row.created = row.seen = *now;
        row.expires = *now + std::chrono::milliseconds(idle).count();
        if (auto ok = t.people.add(row); !ok) return std::unexpected(std::move(ok.error()));
        return row;
    });
    if (!kept) co_return refuse(kept.error());
    s = *kept;
    co_return done;
}

task<outcome<void>> guard::sign_out(const caller& who) {
    if (who.session.empty()) co_return outcome<void>{};
    auto gone = co_await db_.write([hash = who.session](tables& t) { return t.people.remove_session(hash); });
    if (!gone) co_return refuse(gone.error());
    co_return outcome<void>{};
}

} // namespace postferry::api
