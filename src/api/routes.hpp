#pragma once
// The routes, by what they are about; service.cpp puts them together.
#include "api/guard.hpp"
#include "api/router.hpp"
#include "store/database.hpp"

namespace postferry::api {

/// What handlers hold on to; outlives the router.
struct route_parts {
    store::database& db;
    guard& guard;
};

void add_session_routes(router& to, route_parts with); ///< /session, /me
void add_people_routes(router& to, route_parts with);  ///< /users, /tokens
void add_event_routes(router& to, route_parts with);   ///< /events

} // namespace postferry::api
