#include "jobs/credentials_given.hpp"

#include "jobs/batch_settings.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"

#include <algorithm>

namespace postferry::jobs {

using store::batch_state;
using store::mailbox_state;

namespace {

constexpr store::batch_states at_work{
    batch_state::syncing,      batch_state::synced,  batch_state::ready_for_cutover, batch_state::review_for_cutover,
    batch_state::cutting_over, batch_state::soaking, batch_state::completed};

} // namespace

result<store::migration> credentials_given(store::tables& t, store::record_id id, const std::string& actor) {
    namespace refusal = store::refusal;
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto m = t.migrations.find(id);
    if (!m) return std::unexpected(std::move(m.error()));
    if (!*m) return refusal::refuse(refusal::missing, "There is no such mailbox");
    if ((*m)->state != mailbox_state::needs_credentials)
        return refusal::refuse(refusal::not_allowed, "The mailbox does not wait for a password");
    auto batch = t.batches.find((*m)->batch);
    if (!batch) return std::unexpected(std::move(batch.error()));
    store::mailbox_change change{.to = mailbox_state::ready, .actor = actor, .from = (*m)->version};
    if (*batch && at_work.has((*batch)->state)) {
        auto settings = parse_settings((*batch)->settings);
        if (!settings) return std::unexpected(std::move(settings.error()));
        const unix_ms from = std::max(*now, (*batch)->start_at.value_or(*now));
        change.to = mailbox_state::queued;
        change.due = is_open(settings->windows, from) ? from : next_change(settings->windows, from).value_or(from);
    }
    return store::change_state(t, id, change);
}

} // namespace postferry::jobs
