#include "api/batch_view.hpp"

#include "store/refusal.hpp"

namespace postferry::api {

using store::tables;

result<boost::json::array> batch_views(tables& t, const std::vector<store::batch>& batches) {
    std::vector<store::record_id> ids;
    ids.reserve(batches.size());
    for (const store::batch& b : batches) ids.push_back(b.id);
    auto tallies = t.batches.tallies(ids);
    if (!tallies) return std::unexpected(std::move(tallies.error()));
    auto grades = t.batches.worst_grades(ids);
    if (!grades) return std::unexpected(std::move(grades.error()));
    boost::json::array out;
    out.reserve(batches.size());
    for (const store::batch& b : batches) {
        auto view = view_of(b, (*tallies)[b.id]);
        const std::string& grade = (*grades)[b.id];
        view["grade"] = grade.empty() ? boost::json::value() : boost::json::value(grade);
        view["eta"] = nullptr;
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
