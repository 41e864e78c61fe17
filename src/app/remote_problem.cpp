#include "app/remote_problem.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace postferry::app {

namespace {

namespace json = boost::json;

constexpr std::size_t most_faults = 200;

std::string text_in(const json::object& o, std::string_view name) {
    const json::value* v = o.if_contains(name);
    if (v == nullptr || !v->is_string()) return {};
    return quote_server_text(v->get_string(), 1'000);
}

/// "/settings/windows/0/from" is settings.windows[0].from to people.
std::string readable_field(std::string_view pointer) {
    std::string out;
    while (!pointer.empty()) {
        if (pointer.front() == '/') pointer.remove_prefix(1);
        const std::string_view one = pointer.substr(0, pointer.find('/'));
        pointer.remove_prefix(one.size());
        if (!one.empty() && one.find_first_not_of("0123456789") == std::string_view::npos)
            out += fmt::format("[{}]", one);
        else
            out += (out.empty() ? "" : ".") + std::string(one);
    }
    return out;
}

/// A fault as the API tells it: a field of the body, or a row and column of a CSV.
std::string fault_text(const json::object& o) {
    const std::string field = readable_field(text_in(o, "field")), reason = text_in(o, "reason");
    return field.empty() ? reason : fmt::format("{} {}", field, reason);
}

std::string faults_text(const json::object& problem) {
    const json::value* errors = problem.if_contains("errors");
    if (errors == nullptr || !errors->is_array()) return {};
    std::string out;
    std::size_t n = 0;
    for (const json::value& one : errors->get_array()) {
        if (!one.is_object()) continue;
        if (++n > most_faults) break;
        out += fmt::format("\n  {}", fault_text(one.get_object()));
    }
    if (errors->get_array().size() > most_faults) out += "\n  and more";
    return out;
}

std::string advice_of(unsigned status, bool local, std::optional<std::chrono::seconds> retry_after) {
    switch (status) {
    case 401:
        return local ? "Be root or the service's user (sudo), or give --token-file"
                     : "Give --token-file FILE; a token is made on the service's machine: postferry token create";
    case 403:
        return "Somebody with a higher role may, or a token with more scopes (postferry token create --scope ...)";
    case 412: return "Somebody has changed it in the meantime; look at it and try again";
    case 429:
    case 503: return retry_after ? fmt::format("Try again in {} s", retry_after->count()) : "Try again in a moment";
    case 507: return "Make room on the service's machine";
    default: return {};
    }
}

} // namespace

error error_of_problem(unsigned status, std::string_view body, std::string_view asked, bool local,
                       std::optional<std::chrono::seconds> retry_after) {
    const bool not_now = status == 401 || status == 403 || status == 429 || status >= 500;
    error e{.cls = status == 429 || status >= 500 ? retry_class::transient : retry_class::config,
            .where = not_now ? phase::login : phase::usage,
            .what = {},
            .server_said = {},
            .advice = advice_of(status, local, retry_after),
            .response_code = fmt::format("{}", status)};
    boost::system::error_code ec;
    const json::value parsed = json::parse(json::string_view(body.data(), body.size()), ec);
    if (ec || !parsed.is_object()) {
        e.what = fmt::format("the service answered {} with {}", asked, status);
        if (status == 404 || status == 405) e.advice = "Is there a Postferry of this version behind that address?";
        return e;
    }
    const json::object& problem = parsed.get_object();
    e.what = text_in(problem, "detail");
    const std::string faults = faults_text(problem);
    if (e.what.empty() && faults.empty()) e.what = fmt::format("{} ({})", text_in(problem, "title"), status);
    if (e.what.empty()) e.what = "this is not valid:";
    e.what += faults;
    return e;
}

} // namespace postferry::app
