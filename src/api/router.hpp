#pragma once
#include "api/context.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::api {

struct route {
    enum class takes : std::uint8_t {
        nothing,
        json, ///< an object of at most 1 MB, parsed before the handler runs
        raw,  ///< the handler reads the body itself
    };

    http::method verb = http::method::get;
    /// Below /api/v1: "/batches/{batch}/start". A literal segment goes before a parameter.
    std::string_view pattern;
    access needs = access::read;
    takes body = takes::nothing;
    bool holds_secret = false; ///< its answer is shown once and kept nowhere, not even for an Idempotency-Key
    std::function<task<outcome<http::reply>>(context&)> run = {};
};

/// Every route of the API, once. Tests walk over them: each must be in openapi.yaml, and asks for its role.
class router {
  public:
    void add(route r);

    struct match {
        const route* to = nullptr; ///< none: `allowed` says which methods there are, or nothing is there at all
        std::vector<std::string> parameters = {};
        std::string allowed = {}; ///< "GET, POST"
    };
    /// @param path below /api/v1. HEAD finds the route of GET.
    [[nodiscard]] match find(http::method verb, std::span<const std::string> path) const;
    [[nodiscard]] const std::vector<route>& routes() const noexcept { return routes_; }

  private:
    std::vector<route> routes_;
};

} // namespace postferry::api
