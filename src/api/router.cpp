#include "api/router.hpp"

#include <algorithm>
#include <optional>

namespace postferry::api {

namespace {

/// Calls f(segment) for each; false ends it.
template <class F> bool each_segment(std::string_view pattern, F f) {
    while (!pattern.empty()) {
        pattern.remove_prefix(1); // the slash
        const std::string_view one = pattern.substr(0, pattern.find('/'));
        pattern.remove_prefix(one.size());
        if (!f(one)) return false;
    }
    return true;
}

/// The parameters when the path is of the pattern; `literals` counts the segments that are no parameters.
std::optional<std::vector<std::string>> fit(std::string_view pattern, std::span<const std::string> path,
                                            std::size_t& literals) {
    std::vector<std::string> parameters;
    std::size_t i = 0;
    literals = 0;
    const bool fits = each_segment(pattern, [&](std::string_view segment) {
        if (i == path.size()) return false;
        if (segment.starts_with('{'))
            parameters.push_back(path[i]);
        else if (segment == path[i])
            ++literals;
        else
            return false;
        ++i;
        return true;
    });
    if (!fits || i != path.size()) return std::nullopt;
    return parameters;
}

} // namespace

void router::add(route r) { routes_.push_back(std::move(r)); }

router::match router::find(http::method verb, std::span<const std::string> path) const {
    match best;
    std::size_t most = 0;
    const http::method wanted = verb == http::method::head ? http::method::get : verb;
    for (const route& r : routes_) {
        std::size_t literals = 0;
        auto parameters = fit(r.pattern, path, literals);
        if (!parameters) continue;
        if (r.verb != wanted) {
            if (!best.allowed.empty()) best.allowed += ", ";
            best.allowed += http::name_of(r.verb);
        } else if (best.to == nullptr || literals > most) {
            best.to = &r;
            best.parameters = std::move(*parameters);
            most = literals;
        }
    }
    return best;
}

} // namespace postferry::api
