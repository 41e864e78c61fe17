#include "store/adopt.hpp"

#include "base/percent.hpp"
#include "store/change_state.hpp"
#include "store/detail/counts.hpp"
#include "store/detail/statements.hpp"

namespace postferry::store {

using detail::pass_on;

namespace {

result<message_counts> counts_of(tables& t, std::int64_t mailbox) {
    message_counts counts;
    auto done = detail::each_row(
        t.db,
        "SELECT CAST(COALESCE(sum(copied + present + failed), 0) AS BIGINT), CAST(COALESCE(sum(copied), 0) AS BIGINT), "
        "CAST(COALESCE(sum(present), 0) AS BIGINT), 0, CAST(COALESCE(sum(failed), 0) AS BIGINT), "
        "CAST(COALESCE(sum(copied_octets + present_octets + failed_octets), 0) AS BIGINT), "
        "CAST(COALESCE(sum(copied_octets), 0) AS BIGINT) FROM folder WHERE mailbox = $1",
        [&](const sql::query& q) { counts = detail::read_counts(q, 0); }, mailbox);
    if (!done) return pass_on(done);
    return counts;
}

result<record_id> the_batch(tables& t, const std::string& actor, unix_ms now) {
    auto found = t.batches.find(default_project, std::string(command_line_batch));
    if (!found) return pass_on(found);
    if (*found) return (*found)->id;
    auto made = t.batches.add(
        {.name = std::string(command_line_batch), .state = batch_state::synced, .created = now, .created_by = actor});
    if (!made) return pass_on(made);
    return made->id;
}

} // namespace

key_parts split_key(std::string_view key) {
    const auto scheme = key.find("://");
    const auto at = key.rfind('@');
    if (scheme == std::string_view::npos || at == std::string_view::npos || at < scheme)
        return {.url = std::string(key), .user = {}, .server = std::string(key)};
    const auto user = key.substr(scheme + 3, at - scheme - 3);
    const auto rest = key.substr(at + 1);
    return {.url = std::string(key.substr(0, scheme + 3)) + std::string(rest),
            .user = percent_decode(user).value_or(std::string(user)),
            .server = std::string(rest.substr(0, rest.find_first_of("/?")))};
}

result<int> adopt_command_line_runs(tables& t, const std::string& actor, int limit) {
    auto strays = t.migrations.strays({.limit = limit});
    if (!strays) return pass_on(strays);
    if (strays->rows.empty()) return 0;
    auto now = t.now();
    if (!now) return pass_on(now);
    auto batch = the_batch(t, actor, *now);
    if (!batch) return pass_on(batch);
    std::vector<migration> found;
    for (const auto& s : strays->rows) {
        auto counts = counts_of(t, s.ledger_mailbox);
        if (!counts) return pass_on(counts);
        key_parts from = split_key(s.source_key), to = split_key(s.target_key);
        found.push_back({.batch = *batch,
                         .source_url = std::move(from.url),
                         .target_url = std::move(to.url),
                         .source_user = std::move(from.user),
                         .target_user = std::move(to.user),
                         .source_server = std::move(from.server),
                         .target_server = std::move(to.server),
                         .ledger_mailbox = s.ledger_mailbox,
                         .state = mailbox_state::synced,
                         .reason = "copied from the command line",
                         .next_pass = "delta",
                         .counts = *counts,
                         .since = *now,
                         .position = static_cast<std::uint32_t>(s.ledger_mailbox),
                         .created = *now});
    }
    auto ids = t.migrations.add(found);
    if (!ids) return pass_on(ids);
    int count = 0;
    for (const record_id id : *ids) count += id != 0 ? 1 : 0;
    return count;
}

} // namespace postferry::store
