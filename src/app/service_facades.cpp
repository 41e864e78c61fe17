#include "api/first_owner.hpp"
#include "api/service.hpp"
#include "app/login_check.hpp"
#include "app/report_documents.hpp"
#include "app/server_probe.hpp"
#include "app/service.hpp"
#include "directory/hash_pool.hpp"
#include "jobs/directory_desk.hpp"
#include "jobs/import.hpp"
#include "store/tables.hpp"

#include <fmt/format.h>

#include <optional>

namespace postferry::app {

namespace {

bool starts_with_https(std::string_view url) { return url.starts_with("https://"); }

api::guard_options guard_of(const config& c) {
    const config_service& s = c.service;
    return {.secure_cookies = !s.tls_certificate.empty() || s.behind_proxy || starts_with_https(s.public_url)};
}

/// How people reach the service: as it is configured, else by the first address.
/// @param address where it listens, port filled in
std::string public_url(const config_service& s, std::string_view address) {
    if (!s.public_url.empty() || s.listen.empty()) return s.public_url;
    std::string at = s.listen.front();
    if (at.ends_with(":0") && !address.empty()) at.replace(at.size() - 1, 1, address.substr(address.rfind(':') + 1));
    // All addresses of the machine: for somebody who sits at it.
    if (at.starts_with("*:")) at.replace(0, 1, "localhost");
    return fmt::format("{}://{}", s.tls_certificate.empty() ? "http" : "https", at);
}

} // namespace

/// In the order in which they are made; each may refer to those above it.
struct facades::parts {
    parts(const foundation& f, bool serves, std::string_view address)
        : on(f), commands(f.db, f.woken), reached_by(public_url(f.settings().service, address)) {
        if (!serves) return;
        hashing = directory::hash_pool::shared();
        if (on.drivers != nullptr)
            asked.emplace(on.db, *on.drivers,
                          jobs::directory_desk_options{.freeze_hook = on.settings().service.freeze_hook});
        imports.emplace(on.db, on.vault, jobs::import_options{.probe = ask_server});
        http.emplace(api::parts{.db = on.db,
                                .hashing = hashing,
                                .guard = guard_of(on.settings()),
                                .vault = &on.vault,
                                .renderer = &reports,
                                .woken = on.woken,
                                .directory = asked ? &*asked : nullptr,
                                .imports = &*imports,
                                .public_url = reached_by,
                                .old_server = &old_server,
                                .counts = on.counts,
                                .open_metrics = on.settings().service.metrics == config_metrics::open});
    }

    foundation on;
    jobs::commands commands;
    std::string reached_by; ///< how people do; the beginning of links
    std::shared_ptr<directory::hash_pool> hashing;
    report_documents reports;
    server_login_check old_server{on};
    std::optional<jobs::directory_desk> asked;
    std::optional<jobs::import_desk> imports;
    std::optional<api::service> http; ///< last: its routes refer to all of the above
};

facades::facades(const foundation& on, bool serves, std::string_view address)
    : parts_(std::make_unique<parts>(on, serves, address)) {}
facades::~facades() = default;

task<http::reply> facades::handle(http::exchange& x) { return parts_->http->handle(x); }

std::vector<background> facades::backgrounds() { return {}; }

task<std::optional<secret>> facades::first_owner_link() {
    if (parts_->reached_by.empty()) co_return std::nullopt;
    auto link = co_await api::new_first_owner_link(parts_->on.db, parts_->on.vault, parts_->reached_by);
    if (!link) co_return std::nullopt;
    co_return std::move(*link);
}

} // namespace postferry::app
