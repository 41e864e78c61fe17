#pragma once
// The routes, by what they are about; service.cpp puts them together.
#include "api/guard.hpp"
#include "api/reports.hpp"
#include "api/router.hpp"
#include "jobs/commands.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

namespace postferry::api {

/// What handlers hold on to; outlives the router.
struct route_parts {
    store::database& db;
    guard& guard;
    jobs::commands& commands;
    store::vault* vault = nullptr;             ///< none: passwords cannot be kept, and are refused
    const report_renderer* renderer = nullptr; ///< none: no reports (404)
};

void add_session_routes(router& to, route_parts with); ///< /session, /me
void add_people_routes(router& to, route_parts with);  ///< /users, /tokens
void add_event_routes(router& to, route_parts with);   ///< /events, /audit

} // namespace postferry::api
