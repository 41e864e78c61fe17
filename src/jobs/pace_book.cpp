#include "jobs/pace_book.hpp"

#include "store/tables.hpp"

#include <set>
#include <vector>

namespace postferry::jobs {

using store::tables;

namespace {

constexpr store::batch_states moving{store::batch_state::syncing, store::batch_state::cutting_over};

struct seen {
    unix_ms at = 0;
    std::vector<std::pair<store::record_id, std::uint64_t>> octets;
};

result<seen> look(tables& t) {
    seen out;
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    out.at = *now;
    auto batches = t.batches.list({.states = moving}, {.limit = 500});
    if (!batches) return std::unexpected(std::move(batches.error()));
    for (const store::batch& b : batches->rows) {
        auto tally = t.batches.tally(b.id);
        if (!tally) return std::unexpected(std::move(tally.error()));
        std::uint64_t octets = 0;
        for (const store::batch_tally& one : *tally) octets += one.counts.octets_copied;
        out.octets.emplace_back(b.id, octets);
    }
    return out;
}

} // namespace

pace_book& pace_book::of_process() {
    static pace_book book;
    return book;
}

task<result<void>> pace_book::sample(store::database& db) {
    auto now = co_await db.read(look);
    if (!now) co_return std::unexpected(std::move(now.error()));
    std::set<store::record_id> still;
    for (const auto& [batch, octets] : now->octets) {
        add(batch, now->at, octets);
        still.insert(batch);
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(meters_, [&](const auto& entry) { return !still.contains(entry.first); });
    co_return result<void>{};
}

void pace_book::add(store::record_id batch, unix_ms at, std::uint64_t octets) {
    const std::lock_guard lock(mutex_);
    meters_[batch].add(at, octets);
}

std::optional<eta_band> pace_book::eta(const store::batch& b, const std::vector<store::batch_tally>& mailboxes) const {
    if (!moving.has(b.state)) return std::nullopt;
    std::optional<pace> how_fast;
    {
        const std::lock_guard lock(mutex_);
        if (const auto at = meters_.find(b.id); at != meters_.end()) how_fast = at->second.now();
    }
    return eta_of(left_of(mailboxes), how_fast);
}

} // namespace postferry::jobs
