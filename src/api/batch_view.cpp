#include "api/batch_view.hpp"

#include "api/context.hpp"
#include "jobs/pace_book.hpp"
#include "store/refusal.hpp"

#include <algorithm>

namespace postferry::api {

using store::tables;

namespace {

/// A pace that swings down to nothing says nothing of the end: no later than this many times the likely one.
constexpr double latest_of_likely = 10;

boost::json::value eta_view(const store::batch& b, const std::vector<store::batch_tally>& mailboxes,
                            store::unix_ms now) {
    const auto eta = jobs::pace_book::of_process().eta(b, mailboxes);
    if (!eta || eta->likely <= 0) return nullptr;
    const auto moment = [now](double seconds) {
        return rfc3339_of(now + static_cast<store::unix_ms>(seconds * 1'000));
    };
    constexpr double ten_years = 315'360'000;
    const double latest = std::min(eta->most, latest_of_likely * eta->likely);
    if (latest > ten_years) return nullptr;
    return boost::json::object{{"earliest", moment(eta->least)}, {"latest", moment(latest)}};
}

} // namespace

result<boost::json::array> batch_views(tables& t, const std::vector<store::batch>& batches) {
    std::vector<store::record_id> ids;
    ids.reserve(batches.size());
    for (const store::batch& b : batches) ids.push_back(b.id);
    auto tallies = t.batches.tallies(ids);
    if (!tallies) return std::unexpected(std::move(tallies.error()));
    auto grades = t.batches.worst_grades(ids);
    if (!grades) return std::unexpected(std::move(grades.error()));
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    boost::json::array out;
    out.reserve(batches.size());
    for (const store::batch& b : batches) {
        auto view = view_of(b, (*tallies)[b.id]);
        const std::string& grade = (*grades)[b.id];
        view["grade"] = grade.empty() ? boost::json::value() : boost::json::value(grade);
        view["eta"] = eta_view(b, (*tallies)[b.id], *now);
        out.push_back(std::move(view));
    }
    return out;
}

result<shown_batch> shown(tables& t, store::batch row) {
    auto views = batch_views(t, {row});
    if (!views) return std::unexpected(std::move(views.error()));
    return shown_batch{.row = std::move(row), .view = std::move(views->front().as_object())};
}

result<shown_batch> shown(tables& t, store::record_id id) {
    auto row = existing_batch(t, id);
    if (!row) return std::unexpected(std::move(row.error()));
    return shown(t, std::move(*row));
}

result<store::batch> existing_batch(tables& t, store::record_id id) {
    auto row = t.batches.find(id);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such batch");
    return std::move(**row);
}

result<store::migration> existing_mailbox(tables& t, store::record_id id) {
    auto row = t.migrations.find(id);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such mailbox");
    return std::move(**row);
}

} // namespace postferry::api
