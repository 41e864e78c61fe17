#include "store/traffic_repository.hpp"

#include "store/detail/statements.hpp"

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::run;

result<std::vector<net::traffic>> traffic_repository::since(std::int64_t first_hour) {
    std::vector<net::traffic> out;
    auto done = each_row(
        db_, "SELECT place, direction, hour, octets FROM traffic WHERE hour >= $1 ORDER BY place, direction, hour",
        [&](const sql::query& q) {
            out.push_back({.place = std::string(q.text(0)),
                           .sent = q.get<int>(1) != 0,
                           .hour = q.get<std::int64_t>(2),
                           .octets = q.get<std::uint64_t>(3)});
        },
        first_hour);
    if (!done) return pass_on(done);
    return out;
}

result<void> traffic_repository::add(const std::vector<net::traffic>& more, std::int64_t first_hour) {
    auto gone = run(db_, "DELETE FROM traffic WHERE hour < $1", first_hour);
    if (!gone) return pass_on(gone);
    for (const net::traffic& t : more) {
        auto put = run(db_,
                       "INSERT INTO traffic (place, direction, hour, octets) VALUES ($1, $2, $3, $4) "
                       "ON CONFLICT (place, direction, hour) DO UPDATE SET octets = traffic.octets + excluded.octets",
                       t.place, t.sent ? 1 : 0, t.hour, t.octets);
        if (!put) return pass_on(put);
    }
    return {};
}

} // namespace postferry::store
