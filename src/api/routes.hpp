#pragma once
// The routes, by what they are about; service.cpp puts them together.
#include "api/guard.hpp"
#include "api/reports.hpp"
#include "api/router.hpp"
#include "jobs/commands.hpp"
#include "jobs/directory_desk.hpp"
#include "jobs/import.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace postferry::api {

/// What handlers hold on to; outlives the router.
struct route_parts {
    store::database& db;
    guard& guard;
    jobs::commands& commands;
    store::vault* vault = nullptr;             ///< none: passwords cannot be kept, and are refused
    const report_renderer* renderer = nullptr; ///< none: no reports (404)
    std::function<void()> woken = [] {};       ///< there may be work
    std::string public_url = {};               ///< of links for people; without a slash at its end
    jobs::directory_desk* directory = nullptr; ///< none: nothing is asked of the new server
    jobs::import_desk* imports = nullptr;      ///< none: no CSV is taken
    std::filesystem::path uploads = {};        ///< where they arrive
};

/// A handler is a function of the parts and the request.
struct bound_to {
    route_parts with;

    template <class F> [[nodiscard]] auto operator()(F f) const {
        return [parts = with, f](context& c) { return f(parts, c); };
    }
};

/// Adds routes of such handlers.
struct route_adder {
    router& to;
    bound_to bound;

    template <class F>
    void operator()(http::method verb, std::string_view pattern, access needs, F f,
                    route::takes body = route::takes::nothing) const {
        to.add({.verb = verb, .pattern = pattern, .needs = needs, .body = body, .run = bound(f)});
    }
};

void add_session_routes(router& to, route_parts with); ///< /session, /me
void add_people_routes(router& to, route_parts with);  ///< /users, /tokens
void add_event_routes(router& to, route_parts with);   ///< /events, /audit
void add_project_routes(router& to, route_parts with); ///< /projects
void add_batch_routes(router& to, route_parts with);   ///< /batches
void add_batch_action_routes(router& to, route_parts with);
void add_mailbox_routes(router& to, route_parts with); ///< /mailboxes, /batches/{batch}/mailboxes
void add_mailbox_action_routes(router& to, route_parts with);
void add_history_routes(router& to, route_parts with); ///< passes, folders, failures, events of one
void add_log_routes(router& to, route_parts with);
void add_report_routes(router& to, route_parts with);
void add_server_routes(router& to, route_parts with);       ///< /servers, /workers
void add_settings_routes(router& to, route_parts with);     ///< /settings
void add_directory_routes(router& to, route_parts with);    ///< /company, /provisioning, /domains
void add_account_routes(router& to, route_parts with);      ///< /accounts, /aliases
void add_import_routes(router& to, route_parts with);       ///< /imports
void add_contract_routes(router& to, route_parts with);     ///< /openapi.yaml
void add_recredential_routes(router& to, route_parts with); ///< /mailboxes/{mailbox}/recredential-link

} // namespace postferry::api
