#include "api/service.hpp"
#include "app/report_documents.hpp"
#include "app/service.hpp"
#include "directory/hash_pool.hpp"
#include "store/tables.hpp"

#include <optional>

namespace postferry::app {

namespace {

bool starts_with_https(std::string_view url) { return url.starts_with("https://"); }

api::guard_options guard_of(const config& c) {
    const config_service& s = c.service;
    return {.secure_cookies = !s.tls_certificate.empty() || s.behind_proxy || starts_with_https(s.public_url)};
}

} // namespace

/// In the order in which they are made; each may refer to those above it.
struct facades::parts {
    parts(const foundation& f, bool serves) : on(f), commands(f.db, f.woken) {
        if (!serves) return;
        hashing = directory::hash_pool::shared();
        http.emplace(api::parts{.db = on.db,
                                .hashing = hashing,
                                .guard = guard_of(on.settings()),
                                .vault = &on.vault,
                                .renderer = &reports,
                                .woken = on.woken});
    }

    foundation on;
    jobs::commands commands;
    std::shared_ptr<directory::hash_pool> hashing;
    report_documents reports;
    std::optional<api::service> http; ///< last: its routes refer to all of the above
};

facades::facades(const foundation& on, bool serves) : parts_(std::make_unique<parts>(on, serves)) {}
facades::~facades() = default;

task<http::reply> facades::handle(http::exchange& x) { return parts_->http->handle(x); }

std::vector<background> facades::backgrounds() { return {}; }

task<std::vector<std::string>> facades::greeting() {
    std::vector<std::string> lines;
    const auto owners = co_await parts_->on.db.read([](store::tables& t) { return t.people.owners(); });
    if (owners && *owners == 0)
        lines.emplace_back(
            "nobody can sign in yet. Make the first owner on this machine: postferry user add --owner NAME");
    co_return lines;
}

} // namespace postferry::app
