#include "api/audit.hpp"
#include "api/routes.hpp"
#include "api/views.hpp"

namespace postferry::api {

using store::tables;

namespace {

task<outcome<http::reply>> sign_in(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    auto name = body.required("name").text("name", {.least = 1, .most = 200});
    auto password = body.required("password").password("password");
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto in = co_await with.guard.sign_in(c.request, std::move(*name), std::move(*password));
    if (!in) co_return std::unexpected(std::move(in.error()));
    boost::json::object answer{
        {"person", view_of(in->person)}, {"csrf", in->session.csrf}, {"expires", rfc3339_of(in->session.expires)}};
    http::reply r = json_reply(std::move(answer), 201);
    r.fields.emplace_back("Set-Cookie", with.guard.cookie_field(in->cookie));
    co_return r;
}

task<outcome<http::reply>> sign_out(route_parts with, context& c) {
    if (auto ok = co_await with.guard.sign_out(c.who); !ok) co_return std::unexpected(std::move(ok.error()));
    http::reply r = http::reply::empty();
    r.fields.emplace_back("Set-Cookie", with.guard.cookie_field({}));
    co_return r;
}

std::string_view word_of(access a) noexcept {
    static constexpr std::array<std::string_view, 5> words{"anyone", "read", "operate", "admin", "owner"};
    return words[static_cast<std::size_t>(a)];
}

task<outcome<http::reply>> me(context& c) {
    boost::json::object answer{{"actor", c.who.actor}, {"name", c.who.name}, {"role", store::name_of(c.who.role)}};
    answer["scope"] = word_of(c.who.most);
    if (c.who.csrf.empty())
        answer["csrf"] = nullptr;
    else
        answer["csrf"] = c.who.csrf;
    co_return json_reply(std::move(answer));
}

} // namespace

void add_session_routes(router& to, route_parts with) {
    to.add({.verb = http::method::post,
            .pattern = "/session",
            .needs = access::anyone,
            .body = route::takes::json,
            .run = [with](context& c) { return sign_in(with, c); }});
    to.add({.verb = http::method::del, .pattern = "/session", .needs = access::anyone, .run = [with](context& c) {
                return sign_out(with, c);
            }});
    to.add(
        {.verb = http::method::get, .pattern = "/me", .needs = access::read, .run = [](context& c) { return me(c); }});
}

} // namespace postferry::api
