#pragma once
// What the routes of domains, accounts and aliases share.
#include "api/audit.hpp"
#include "api/listing.hpp"
#include "api/routes.hpp"
#include "api/views.hpp"
#include "directory/address.hpp"
#include "jobs/directory_desk.hpp"
#include "store/refusal.hpp"

namespace postferry::api {

/// What a driver says: 409 for what is there already, is not there, or is frozen; 422 for what it cannot do.
[[nodiscard]] std::unexpected<problem> refuse_driver(const error& why);
/// 404: no drivers in this service.
[[nodiscard]] std::unexpected<problem> refuse_no_directory();

/// "provisioning" of a body.
inline constexpr input::text_rule driver_rule{.least = 1, .most = 100};

template <class Row> result<Row> or_missing(result<std::optional<Row>> row, std::string_view what) {
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such " + std::string(what));
    return std::move(**row);
}

} // namespace postferry::api
