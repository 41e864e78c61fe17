#pragma once
// The HTTP API (openapi.yaml is its contract; docs/api.md explains it): takes a request through sign-in, role, body and
// idempotency to its route.
#include "api/guard.hpp"
#include "api/pages.hpp"
#include "api/reports.hpp"
#include "api/request_mark.hpp"
#include "api/router.hpp"
#include "api/watch.hpp"
#include "http/server.hpp"
#include "jobs/commands.hpp"
#include "jobs/directory_desk.hpp"
#include "jobs/import.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace postferry::api {

/// What the routes reach. Outlives the service.
struct parts {
    store::database& db;
    std::shared_ptr<directory::hash_pool> hashing;
    guard_options guard = {};
    store::vault* vault = nullptr;             ///< none: passwords cannot be kept, and are refused
    const report_renderer* renderer = nullptr; ///< none: no reports
    std::function<void()> woken = {};          ///< there may be work: workers look at once
    jobs::directory_desk* directory = nullptr; ///< none: nothing is asked of the new server
    jobs::import_desk* imports = nullptr;      ///< none: no CSV is taken
    std::filesystem::path uploads = std::filesystem::temp_directory_path(); ///< where they arrive
    std::string public_url = {};             ///< how people reach the service; without a slash at its end
    jobs::login_check* old_server = nullptr; ///< none: pages take no passwords of mailboxes
    watch* counts = nullptr;                 ///< none: nobody counts, and there is no /metrics
    bool open_metrics = false;               ///< /metrics is for anybody; else for who may read
};

class service {
  public:
    explicit service(parts p);
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    /// The http::handler of the server. /api/v1/..., /healthz, /readyz, /metrics and the pages behind links
    /// (pages.hpp); all else is 404.
    task<http::reply> handle(http::exchange& x);
    [[nodiscard]] const router& routes() const noexcept { return router_; }

  private:
    task<http::reply> answer(http::exchange& x, std::string& route);
    task<outcome<http::reply>> serve(http::exchange& x, std::string& route);
    task<outcome<http::reply>> metrics(http::exchange& x);
    task<outcome<http::reply>> run(const route& to, context& with);
    task<outcome<http::reply>> run_once(const route& to, context& with, std::string key, std::string text);
    task<http::reply> health(bool ready);

    parts parts_;
    guard guard_;
    jobs::commands commands_;
    router router_;
    request_marks marks_;
    pages pages_;
};

} // namespace postferry::api
