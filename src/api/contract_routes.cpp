// The contract, as it was built into the program.
#include "api/contract.hpp"
#include "api/routes.hpp"

namespace postferry::api {

namespace {

task<outcome<http::reply>> contract(context&) {
    http::reply r{.type = "application/yaml", .body = contract_text()};
    r.fields.emplace_back("Cache-Control", "no-cache");
    co_return r;
}

} // namespace

void add_contract_routes(router& to, route_parts) {
    to.add({.verb = http::method::get, .pattern = "/openapi.yaml", .needs = access::anyone, .run = contract});
}

} // namespace postferry::api
