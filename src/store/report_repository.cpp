#include "store/report_repository.hpp"

#include "store/detail/statements.hpp"

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::run;

result<void> report_repository::keep(transfer::mailbox_id mailbox, const transfer::kept_report& report) {
    auto kept = run(db_,
                    "INSERT INTO report (mailbox, pass, ended, body) VALUES ($1, $2, $3, $4) "
                    "ON CONFLICT (mailbox, pass) DO UPDATE SET ended = excluded.ended, body = excluded.body",
                    mailbox, report.pass, report.ended, report.body);
    if (!kept) return pass_on(kept);
    return {};
}

result<std::vector<transfer::kept_report>> report_repository::all() {
    std::vector<transfer::kept_report> out;
    auto done = each_row(db_,
                         "SELECT m.source_key, m.target_key, r.pass, r.ended, r.body FROM report r "
                         "JOIN mailbox m ON m.id = r.mailbox ORDER BY m.id, r.ended, r.pass",
                         [&](const sql::query& q) {
                             out.push_back({.source_key = std::string(q.text(0)),
                                            .target_key = std::string(q.text(1)),
                                            .pass = std::string(q.text(2)),
                                            .ended = std::string(q.text(3)),
                                            .body = std::string(q.text(4))});
                         });
    if (!done) return pass_on(done);
    return out;
}

} // namespace postferry::store
