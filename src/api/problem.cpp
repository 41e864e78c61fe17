#include "api/problem.hpp"

#include "store/refusal.hpp"

#include <boost/json.hpp>

namespace postferry::api {

namespace refusal = store::refusal;

std::string_view title_of(unsigned status) noexcept {
    switch (status) {
    case 400: return "Bad request";
    case 401: return "Not signed in";
    case 403: return "Not allowed";
    case 404: return "Not found";
    case 405: return "Method not allowed";
    case 409: return "Conflict";
    case 412: return "Changed meanwhile";
    case 413: return "Too large";
    case 415: return "Not JSON";
    case 422: return "Not valid";
    case 428: return "If-Match is missing";
    case 429: return "Too many requests";
    case 503: return "Not available";
    case 507: return "No space";
    default: return "Internal error";
    }
}

std::unexpected<problem> refuse(unsigned status, std::string detail) {
    return std::unexpected(
        problem{.status = status, .title = std::string(title_of(status)), .detail = std::move(detail)});
}

std::unexpected<problem> invalid(std::vector<field_fault> faults) {
    auto p = refuse(422, "Some fields are not as they must be; nothing was changed");
    p.error().errors = std::move(faults);
    return p;
}

std::unexpected<problem> invalid(std::string field, std::string reason) {
    std::vector<field_fault> one;
    one.push_back({.field = std::move(field), .reason = std::move(reason)});
    return invalid(std::move(one));
}

problem problem_of(const error& why) {
    unsigned status = 500;
    if (refusal::is(why, refusal::missing))
        status = 404;
    else if (refusal::is(why, refusal::conflict))
        status = 412;
    else if (refusal::is(why, refusal::duplicate) || refusal::is(why, refusal::not_allowed))
        status = 409;
    else if (why.response_code == "413")
        status = 413;
    else if (why.cls == retry_class::transient || why.cls == retry_class::throttled)
        status = 503;
    else if (why.cls == retry_class::local)
        status = 507;
    else if (why.cls == retry_class::config)
        status = 422;
    problem p{.status = status, .title = std::string(title_of(status)), .detail = why.message()};
    if (status == 503) p.fields.emplace_back("Retry-After", "5");
    return p;
}

std::unexpected<problem> refuse(const error& why) { return std::unexpected(problem_of(why)); }

http::reply reply_of(const problem& p) {
    boost::json::object body{{"type", "about:blank"}, {"title", p.title}, {"status", p.status}};
    if (!p.detail.empty()) body["detail"] = p.detail;
    if (!p.errors.empty()) {
        boost::json::array all;
        for (const field_fault& f : p.errors)
            all.push_back(boost::json::object{{"field", f.field}, {"reason", f.reason}});
        body["errors"] = std::move(all);
    }
    http::reply r{.status = p.status, .type = "application/problem+json", .body = boost::json::serialize(body)};
    r.fields = p.fields;
    return r;
}

} // namespace postferry::api
