#include "api/pages.hpp"

#include "api/first_owner.hpp"
#include "api/page_html.hpp"
#include "api/person_rules.hpp"
#include "api/recredential.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

namespace postferry::api {

using store::link_kind;
using store::tables;

namespace {

constexpr std::string_view password_route = "/r/{token}", owner_route = "/first-owner/{token}";
constexpr std::size_t longest_form = 8'192;

http::reply plain(unsigned status, std::string_view title, std::string_view words, http::field_list fields = {}) {
    return reply_of(
        {.status = status, .title = title, .main = fmt::format("<p>{}</p>", words), .fields = std::move(fields)});
}

// Whatever is wrong with a link: one page, so that nobody learns what else there is.
http::reply dead_link() {
    return plain(
        404, "This link does not work (any more)",
        "It was used already, its time is over, or it was not copied as a whole. Ask whoever sent it to you for "
        "a new one.");
}

http::reply trouble() {
    return plain(503, "Not possible right now", "Something on our side does not answer. Try again in a few minutes.",
                 {{"Retry-After", "60"}});
}

/// A browser says which page sent a form. (Origin is no help: a page without referrer sends "null".)
bool comes_from_elsewhere(const http::exchange& x) {
    const std::string_view site = x.header("sec-fetch-site");
    if (!site.empty()) return site != "same-origin" && site != "none";
    const std::string_view origin = x.header("origin");
    if (origin.empty() || origin == "null") return false;
    const std::size_t scheme = origin.find("://");
    return scheme == std::string_view::npos || origin.substr(scheme + 3) != x.header("host");
}

std::string wrong_words(std::string_view words) {
    return words.empty() ? std::string() : fmt::format("<p class=\"wrong\" role=\"alert\">{}</p>\n", words);
}

http::reply password_form(const recredential& r, std::string_view wrong, unsigned status) {
    const std::string whose = r.company.empty() ? std::string() : fmt::format(" at {}", html_text(r.company));
    return reply_of(
        {.status = status,
         .title = "Your mailbox is being moved",
         .main = fmt::format(
             "<p>The mail in this mailbox is being copied to your new mail server{}. The old server has refused the "
             "password that we were given, perhaps because you have changed it.</p>\n"
             "<p>Mailbox: <span class=\"name\">{}</span></p>\n{}"
             "<form method=\"post\" autocomplete=\"off\">\n"
             "<label for=\"password\">Its password on the old server, as it is now</label>\n"
             "<input id=\"password\" name=\"password\" type=\"password\" maxlength=\"{}\" required autofocus>\n"
             "<button type=\"submit\">Go on with my mailbox</button>\n</form>\n"
             "<p>We try it on your old server, keep it encrypted, and use it for nothing but copying this mailbox.</p>",
             whose, html_text(r.mailbox.source_user), wrong_words(wrong), most_password)});
}

http::reply owner_form(std::string_view name, std::string_view wrong, unsigned status) {
    return reply_of(
        {.status = status,
         .title = "Welcome to Postferry",
         .main = fmt::format(
             "<p>Nobody can sign in here yet. Choose a name and a password: you will be the owner, and can add "
             "others.</p>\n{}<form method=\"post\">\n"
             "<label for=\"name\">Name</label>\n<input id=\"name\" name=\"name\" autocomplete=\"username\" "
             "maxlength=\"100\" value=\"{}\" required autofocus>\n"
             "<label for=\"password\">Password (at least {} characters)</label>\n<input id=\"password\" "
             "name=\"password\" "
             "type=\"password\" autocomplete=\"new-password\" minlength=\"{}\" maxlength=\"{}\" required>\n"
             "<label for=\"again\">The same password again</label>\n<input id=\"again\" name=\"again\" "
             "type=\"password\" "
             "autocomplete=\"new-password\" maxlength=\"{}\" required>\n"
             "<button type=\"submit\">Begin</button>\n</form>",
             wrong_words(wrong), html_text(name, 100), least_password, least_password, most_password, most_password)});
}

std::string_view value_of(const http::field_list& form, std::string_view name) {
    const auto at = std::ranges::find(form, name, [](const auto& field) { return std::string_view(field.first); });
    return at == form.end() ? std::string_view() : std::string_view(at->second);
}

std::optional<std::string_view> route_of(const std::vector<std::string>& path) noexcept {
    if (path.size() != 2) return std::nullopt;
    if (path[0] == "r") return password_route;
    if (path[0] == "first-owner") return owner_route;
    return std::nullopt;
}

} // namespace

struct pages::state {
    explicit state(page_parts p) : with(std::move(p)) {}

    task<http::reply> password_page(http::exchange& x, std::string hash);
    task<http::reply> take_password(http::exchange& x, std::string hash, secret password);
    task<http::reply> try_password(const recredential& r, std::string address, std::string hash, secret password);
    task<http::reply> owner_page(http::exchange& x, std::string hash);
    task<http::reply> take_owner(std::string hash, std::string name, secret password);
    task<std::expected<http::field_list, http::reply>> form_of(http::exchange& x);
    [[nodiscard]] std::optional<http::reply> must_wait(const std::string& address, const std::string& link);

    /// One try at a time of each link, so that nobody tries more passwords than a link has tries.
    class turn {
      public:
        turn(state& of, const std::string& hash) : of_(of), hash_(hash) {
            const std::lock_guard lock(of_.mutex);
            taken_ = of_.busy.insert(hash_).second;
        }
        ~turn() {
            const std::lock_guard lock(of_.mutex);
            if (taken_) of_.busy.erase(hash_);
        }
        turn(const turn&) = delete;
        turn& operator=(const turn&) = delete;
        [[nodiscard]] bool taken() const noexcept { return taken_; }

      private:
        state& of_;
        std::string hash_;
        bool taken_ = false;
    };

    page_parts with;
    login_throttle throttle;
    std::mutex mutex;
    std::set<std::string> busy;
};

pages::pages(page_parts p) : state_(std::make_unique<state>(std::move(p))) {}
pages::~pages() = default;

std::optional<std::string_view> pages::route_of(const http::exchange& x) noexcept { return api::route_of(x.path()); }

task<http::reply> pages::handle(http::exchange& x) {
    const auto route = route_of(x);
    if (!route || state_->with.vault == nullptr) co_return dead_link();
    if (!http::is_safe(x.verb()) && x.verb() != http::method::post)
        co_return plain(405, "Not possible", "This page can be read and its form sent, nothing else.",
                        {{"Allow", "GET, HEAD, POST"}});
    const std::string address = "address " + x.from().address;
    if (auto later = state_->must_wait(address, {})) co_return std::move(*later);
    const bool owner = *route == owner_route;
    auto hash =
        open_link_token(*state_->with.vault, owner ? link_kind::first_owner : link_kind::recredential, x.path()[1]);
    if (!hash) {
        state_->throttle.failed(address);
        co_return dead_link();
    }
    co_return owner ? co_await state_->owner_page(x, std::move(*hash))
                    : co_await state_->password_page(x, std::move(*hash));
}

std::string shown_path(std::string_view path) {
    const auto segments = http::parse_path(path); // as the server reads it, however it is spelled
    const auto route = segments ? route_of(*segments) : std::nullopt;
    return std::string(route.value_or(path));
}

std::optional<http::reply> pages::state::must_wait(const std::string& address, const std::string& link) {
    auto wait = throttle.wait(address);
    if (!link.empty()) wait = std::max(wait, throttle.wait(link));
    if (wait.count() == 0) return std::nullopt;
    return plain(429, "Please wait a moment",
                 fmt::format("There were too many tries. Try again in {} seconds.", wait.count()),
                 {{"Retry-After", std::to_string(wait.count())}});
}

task<std::expected<http::field_list, http::reply>> pages::state::form_of(http::exchange& x) {
    if (comes_from_elsewhere(x))
        co_return std::unexpected(
            plain(403, "Not possible", "The form was sent from another page. Open the link itself and try again."));
    if (!x.header("content-type").starts_with("application/x-www-form-urlencoded"))
        co_return std::unexpected(plain(415, "Not possible", "Send the form of this page."));
    auto body = co_await x.body(longest_form);
    if (!body) co_return std::unexpected(plain(413, "Not possible", "The form is too long."));
    auto form = http::parse_query(*body);
    if (!form) co_return std::unexpected(plain(400, "Not possible", "The form is damaged."));
    co_return std::move(*form);
}

task<http::reply> pages::state::password_page(http::exchange& x, std::string hash) {
    if (!http::is_safe(x.verb())) {
        auto form = co_await form_of(x);
        if (!form) co_return std::move(form.error());
        co_return co_await take_password(x, std::move(hash), secret(std::string(value_of(*form, "password"))));
    }
    auto found = co_await with.db.read([hash](tables& t) { return find_recredential(t, hash); });
    if (!found) co_return trouble();
    if (!*found) co_return dead_link();
    co_return password_form(**found, {}, 200);
}

task<http::reply> pages::state::take_password(http::exchange& x, std::string hash, secret password) {
    const std::string address = "address " + x.from().address, link = "link " + hash;
    if (auto later = must_wait(address, link)) co_return std::move(*later);
    const turn mine(*this, hash);
    if (!mine.taken())
        co_return plain(409, "Please wait a moment", "A password is being tried for this link right now.");
    auto found = co_await with.db.read([hash](tables& t) { return find_recredential(t, hash); });
    if (!found) co_return trouble();
    if (!*found) co_return dead_link();
    if (password.empty()) co_return password_form(**found, "Enter the password.", 422);
    if (password.reveal().size() > most_password) co_return password_form(**found, "The password is too long.", 422);
    // Line ends and NUL have no way through a login.
    if (std::ranges::any_of(password.reveal(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }))
        co_return password_form(**found, "The password has a line break in it.", 422);
    if (with.old_server == nullptr) co_return trouble();
    co_return co_await try_password(**found, address, std::move(hash), std::move(password));
}

task<http::reply> pages::state::try_password(const recredential& r, std::string address, std::string hash,
                                             secret password) {
    auto answer = co_await with.old_server->lets_in(r.mailbox, password);
    if (!answer)
        co_return password_form(r,
                                "Your old server does not answer right now, so we could not try the password. Nothing "
                                "is lost: try again in a few minutes.",
                                503);
    if (!*answer) {
        throttle.failed(address);
        throttle.failed("link " + hash);
        auto left = co_await with.db.synced([hash](tables& t) { return refuse_recredential(t, hash); });
        if (!left) co_return trouble();
        if (*left <= 0) co_return dead_link();
        const std::string words = fmt::format(
            "Your old server has refused this password. Mind capital letters and the keyboard's language. You can try "
            "{} more time{}.",
            *left, *left == 1 ? "" : "s");
        co_return password_form(r, words, 422);
    }
    auto taken = co_await with.db.synced(
        [keys = with.vault, hash, password](tables& t) { return take_recredential(t, *keys, hash, password); });
    if (!taken) co_return trouble();
    if (!*taken) co_return dead_link();
    throttle.succeeded(address);
    if (with.woken) with.woken();
    co_return plain(200, "Thank you",
                    "Your old server has taken the password, and the copying of your mailbox goes on. You need to do "
                    "nothing else, and may close this page.");
}

task<http::reply> pages::state::owner_page(http::exchange& x, std::string hash) {
    auto valid = co_await with.db.read([hash](tables& t) { return find_first_owner_link(t, hash); });
    if (!valid) co_return trouble();
    if (!*valid) co_return dead_link();
    if (http::is_safe(x.verb())) co_return owner_form({}, {}, 200);
    auto form = co_await form_of(x);
    if (!form) co_return std::move(form.error());
    const std::string_view given = value_of(*form, "name");
    auto name = login_name_of(given);
    secret password{std::string(value_of(*form, "password"))};
    if (!name) co_return owner_form(given, fmt::format("The name {}.", login_name_rule), 422);
    if (password.reveal().size() < least_password || password.reveal().size() > most_password)
        co_return owner_form(given, fmt::format("The password must have at least {} characters.", least_password), 422);
    if (password.reveal() != value_of(*form, "again"))
        co_return owner_form(given, "The two passwords are not the same.", 422);
    co_return co_await take_owner(std::move(hash), std::move(*name), std::move(password));
}

task<http::reply> pages::state::take_owner(std::string hash, std::string name, secret password) {
    auto hashed = co_await with.hashing.hash_password(std::move(password));
    if (!hashed) co_return trouble();
    auto made = co_await with.db.synced([hash, who = store::person{.name = name, .password = *hashed}](tables& t) {
        return take_first_owner(t, hash, who);
    });
    if (!made && store::refusal::is(made.error(), store::refusal::duplicate))
        co_return owner_form(name, "There is a person of that name already; choose another one.", 422);
    if (!made) co_return trouble();
    if (!*made) co_return dead_link();
    co_return plain(
        201, "You can sign in now",
        fmt::format("The owner <span class=\"name\">{}</span> is there. <a href=\"/\">Sign in</a>.", html_text(name)));
}

} // namespace postferry::api
