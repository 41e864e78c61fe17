#pragma once
// The routes, by what they are about; service.cpp puts them together.
#include "api/guard.hpp"
#include "api/reports.hpp"
#include "api/router.hpp"
#include "jobs/commands.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <string>

namespace postferry::api {

/// What handlers hold on to; outlives the router.
struct route_parts {
    store::database& db;
    guard& guard;
    jobs::commands& commands;
    store::vault* vault = nullptr;             ///< none: passwords cannot be kept, and are refused
    const report_renderer* renderer = nullptr; ///< none: no reports (404)
    std::string public_url = {};               ///< of links for people; without a slash at its end
};

void add_session_routes(router& to, route_parts with);      ///< /session, /me
void add_people_routes(router& to, route_parts with);       ///< /users, /tokens
void add_event_routes(router& to, route_parts with);        ///< /events, /audit
void add_recredential_routes(router& to, route_parts with); ///< /mailboxes/{mailbox}/recredential-link

} // namespace postferry::api
