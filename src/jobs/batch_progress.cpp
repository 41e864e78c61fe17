#include "jobs/batch_progress.hpp"

#include "store/change_state.hpp"
#include "store/refusal.hpp"
#include "store/tables.hpp"

namespace postferry::jobs {

using store::batch_state;
using store::mailbox_state;
using store::tables;

std::optional<batch_state> next_state(batch_state now, const std::vector<store::batch_tally>& mailboxes) noexcept {
    using enum mailbox_state;
    constexpr store::mailbox_states ended{completed, completed_with_exceptions, cancelled, rolled_back};
    constexpr store::mailbox_states asks_for_somebody{failed, needs_credentials, invalid, paused};
    std::uint64_t over = 0, in_step = 0, troubled = 0, at_work = 0;
    for (const store::batch_tally& t : mailboxes) {
        if (ended.has(t.state))
            over += t.mailboxes;
        else if (asks_for_somebody.has(t.state))
            troubled += t.mailboxes;
        else if (t.state == synced)
            in_step += t.mailboxes;
        else
            at_work += t.mailboxes;
    }
    const bool cutting = now == batch_state::cutting_over;
    const bool judged =
        cutting || now == batch_state::syncing || now == batch_state::synced || now == batch_state::review_for_cutover;
    // At the cutover a mailbox in step is still to have its last pass.
    if (!judged || at_work > 0 || (cutting && in_step > 0) || over + in_step + troubled == 0) return std::nullopt;
    const batch_state to = troubled > 0   ? batch_state::review_for_cutover
                           : in_step == 0 ? batch_state::completed
                                          : batch_state::synced;
    if (to == now || !store::allowed(now, to)) return std::nullopt;
    return to;
}

namespace {

result<std::optional<batch_state>> look(tables& t, store::record_id id, const std::optional<store::batch>& batch) {
    if (!batch) return std::nullopt;
    auto tally = t.batches.tally(id);
    if (!tally) return std::unexpected(std::move(tally.error()));
    return next_state(batch->state, *tally);
}

} // namespace

task<result<void>> settle_batch(store::database& db, store::record_id id, std::string actor) {
    auto wanted = co_await db.read([id](tables& t) -> result<std::optional<batch_state>> {
        auto batch = t.batches.find(id);
        if (!batch) return std::unexpected(std::move(batch.error()));
        return look(t, id, *batch);
    });
    if (!wanted) co_return std::unexpected(std::move(wanted.error()));
    if (!*wanted) co_return result<void>{};
    auto changed = co_await db.write([id, actor = std::move(actor)](tables& t) -> result<void> {
        auto batch = t.batches.find(id);
        if (!batch) return std::unexpected(std::move(batch.error()));
        auto to = look(t, id, *batch);
        if (!to) return std::unexpected(std::move(to.error()));
        if (!*to) return {};
        auto done = store::change_state(t, id, {.to = **to, .actor = actor, .from = (*batch)->version});
        // Somebody else was quicker: it is judged again after the next pass.
        if (!done && !store::refusal::is(done.error(), store::refusal::conflict))
            return std::unexpected(std::move(done.error()));
        return {};
    });
    co_return changed;
}

} // namespace postferry::jobs
