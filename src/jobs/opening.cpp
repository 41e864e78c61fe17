#include "jobs/opening.hpp"

#include "jobs/windows.hpp"
#include "store/opening.hpp"

#include <optional>

namespace postferry::jobs {

namespace {

/// Nothing: they are open.
std::optional<unix_ms> opening(const std::vector<window>& hours, unix_ms now) {
    return is_open(hours, now) ? std::nullopt : next_change(hours, now);
}

} // namespace

result<void> follow_hours(store::tables& t, const store::batch& before, const store::batch& after) {
    auto was = parse_settings(before.settings), is = parse_settings(after.settings);
    if (!is || (was && was->windows == is->windows)) return {};
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    // Where none are left the worker knows whether those of the configuration are open.
    return store::set_opening(t, after.id, was ? opening(was->windows, *now) : std::nullopt,
                              opening(is->windows, *now).value_or(*now));
}

result<void> follow_usual_hours(store::tables& t, const std::vector<window>& usual) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto waiting = store::batches_outside_hours(t);
    if (!waiting) return std::unexpected(std::move(waiting.error()));
    for (const store::record_id id : *waiting) {
        auto batch = t.batches.find(id);
        if (!batch) return std::unexpected(std::move(batch.error()));
        const auto settings = *batch ? parse_settings((*batch)->settings) : result<batch_settings>{};
        if (!settings || !settings->windows.empty()) continue;
        auto ok = store::set_opening(t, id, std::nullopt, opening(usual, *now).value_or(*now));
        if (!ok) return ok;
    }
    return {};
}

} // namespace postferry::jobs
