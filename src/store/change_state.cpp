#include "store/change_state.hpp"

#include "store/detail/many_rows.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace postferry::store {

using detail::pass_on;
using detail::run;

using wanted_changes = std::function<changes(const migration&)>;

/// May see what the repositories keep for whoever changes states.
class state_changer {
  public:
    static result<std::vector<migration>> change(tables& t, const std::vector<record_id>& ids,
                                                 const wanted_changes& wanted);
    static result<batch> change(tables& t, record_id id, const batch_change& change);

  private:
    static result<void> may(const migration& m, const mailbox_change& change);
    static void add_time(migration& m, unix_ms now, std::uint64_t stalled_ms);
    static void apply(migration& m, const mailbox_change& change, unix_ms now);
    static event event_of(const migration& m, mailbox_state from, const mailbox_change& change, unix_ms now);
    static result<void> store(tables& t, const std::vector<migration>& all);
};

namespace {

std::unexpected<error> cannot_follow(std::string_view what, std::string_view from, std::string_view to) {
    return refusal::refuse(refusal::not_allowed, fmt::format("a {} that is {} cannot become {}", what, from, to));
}

std::unexpected<error> changed_meanwhile(std::string_view what) {
    return refusal::refuse(refusal::conflict, fmt::format("the {} has been changed by somebody else", what),
                           "Read it again and repeat the change");
}

/// {"reason": "...", ...}: what the event tells beside the two states. No library of JSON in here: five texts.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += '\\', out += c;
        else if (static_cast<unsigned char>(c) < 0x20)
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + "\"";
}

class details {
  public:
    void add(std::string_view name, std::string_view value) {
        if (value.empty()) return;
        begin(name);
        text_ += quoted(value);
    }
    void add(std::string_view name, std::optional<unix_ms> value) {
        if (!value) return;
        begin(name);
        text_ += std::to_string(*value);
    }
    [[nodiscard]] std::string done() && { return text_ + "}"; }

  private:
    void begin(std::string_view name) {
        if (text_.size() > 1) text_ += ',';
        text_ += quoted(name);
        text_ += ':';
    }
    std::string text_ = "{";
};

} // namespace

result<void> state_changer::may(const migration& m, const mailbox_change& change) {
    if (change.from && *change.from != m.version) return changed_meanwhile("mailbox");
    if (m.state != change.to && !allowed(m.state, change.to))
        return cannot_follow("mailbox", name_of(m.state), name_of(change.to));
    return {};
}

void state_changer::add_time(migration& m, unix_ms now, std::uint64_t stalled_ms) {
    const auto spent = static_cast<std::uint64_t>(std::max<unix_ms>(now - m.since, 0)); // the clock may jump back
    const std::uint64_t stalled = std::min(spent, stalled_ms);
    if (m.state == mailbox_state::queued) m.queued_ms += spent;
    if (m.state == mailbox_state::throttled) m.throttled_ms += spent;
    if (running_states.has(m.state)) {
        m.running_ms += spent - stalled;
        m.stalled_ms += stalled;
    }
    m.since = now;
}

void state_changer::apply(migration& m, const mailbox_change& change, unix_ms now) {
    if (m.state != change.to) add_time(m, now, change.stalled_ms);
    m.state = change.to;
    m.reason = change.reason;
    m.reason_class = change.reason_class;
    m.until = change.until;
    m.throttled_by = change.throttled_by;
    m.due = change.due ? std::optional(std::max<unix_ms>(*change.due, 1)) : std::nullopt;
    if (change.next_pass) m.next_pass = *change.next_pass;
    ++m.version;
}

event state_changer::event_of(const migration& m, mailbox_state from, const mailbox_change& change, unix_ms now) {
    details d;
    d.add("reason", m.reason);
    d.add("class", m.reason_class);
    d.add("until", m.until);
    d.add("by", m.throttled_by);
    return {.at = now,
            .actor = change.actor,
            .kind = "mailbox.state",
            .batch = m.batch,
            .migration = m.id,
            .before = std::string(name_of(from)),
            .after = std::string(name_of(m.state)),
            .detail = std::move(d).done()};
}

result<void> state_changer::store(tables& t, const std::vector<migration>& all) {
    using detail::typed_column;
    static constexpr std::array columns{typed_column{"id", "BIGINT"},         typed_column{"state", "TEXT"},
                                        typed_column{"reason", "TEXT"},       typed_column{"reason_class", "TEXT"},
                                        typed_column{"until", "BIGINT"},      typed_column{"throttled_by", "TEXT"},
                                        typed_column{"due", "BIGINT"},        typed_column{"next_pass", "TEXT"},
                                        typed_column{"since", "BIGINT"},      typed_column{"queued_ms", "BIGINT"},
                                        typed_column{"running_ms", "BIGINT"}, typed_column{"throttled_ms", "BIGINT"},
                                        typed_column{"stalled_ms", "BIGINT"}, typed_column{"version", "BIGINT"}};
    return detail::update_rows(
        t.db, "migration", columns, "", all, [](const migration& m, std::vector<sql::value>& values) {
            detail::put(values, m.id, name_of(m.state), m.reason, m.reason_class, m.until, m.throttled_by, m.due,
                        m.next_pass, m.since, m.queued_ms, m.running_ms, m.throttled_ms, m.stalled_ms, m.version);
        });
}

result<std::vector<migration>> state_changer::change(tables& t, const std::vector<record_id>& ids,
                                                     const wanted_changes& wanted) {
    auto now = t.now();
    if (!now) return pass_on(now);
    auto found = t.migrations.lock(ids);
    if (!found) return pass_on(found);
    std::vector<migration> changed;
    std::vector<tally_change> tallies;
    std::vector<event> events;
    for (migration& m : *found) {
        const changes steps = wanted(m);
        if (steps.empty()) continue;
        const mailbox_state first = m.state;
        for (const mailbox_change& step : steps) {
            if (auto ok = may(m, step); !ok) return pass_on(ok);
            const mailbox_state from = m.state;
            apply(m, step, *now);
            if (m.state != from) events.push_back(event_of(m, from, step, *now));
        }
        if (m.state != first) {
            tallies.push_back({.batch = m.batch, .state = first, .mailboxes = -1, .add = {}, .take = m.counts});
            tallies.push_back({.batch = m.batch, .state = m.state, .mailboxes = 1, .add = m.counts, .take = {}});
        }
        changed.push_back(std::move(m));
    }
    auto done = store(t, changed);
    if (done) done = t.batches.count(tallies);
    if (done) done = t.events.add(events);
    if (!done) return pass_on(done);
    return changed;
}

result<batch> state_changer::change(tables& t, record_id id, const batch_change& change) {
    auto now = t.now();
    if (!now) return pass_on(now);
    auto found = t.batches.lock(id);
    if (!found) return pass_on(found);
    if (!*found) return refusal::refuse(refusal::missing, "there is no such batch");
    batch& b = **found;
    if (change.from && *change.from != b.version) return changed_meanwhile("batch");
    if (b.state == change.to) return std::move(b);
    if (!allowed(b.state, change.to)) return cannot_follow("batch", name_of(b.state), name_of(change.to));
    auto done = t.batches.set_state(id, change.to);
    if (!done) return pass_on(done);
    details d;
    d.add("reason", change.reason);
    auto told = t.events.add({.at = *now,
                              .actor = change.actor,
                              .kind = "batch.state",
                              .project = b.project,
                              .batch = id,
                              .before = std::string(name_of(b.state)),
                              .after = std::string(name_of(change.to)),
                              .detail = std::move(d).done()});
    if (!told) return pass_on(told);
    if (change.to == batch_state::archived)
        if (auto gone = t.credentials.remove_of_batch(id); !gone) return pass_on(gone);
    b.state = change.to;
    ++b.version;
    return std::move(b);
}

result<std::vector<migration>> change_states(tables& t, const std::vector<record_id>& ids,
                                             const wanted_changes& wanted) {
    return state_changer::change(t, ids, wanted);
}

result<migration> change_state(tables& t, record_id id, const mailbox_change& change) {
    if (change.token) {
        // Before the mailbox itself is locked: everybody locks in this order.
        auto holds = t.leases.holds(id, *change.token);
        if (!holds) return pass_on(holds);
        if (!*holds)
            return refusal::refuse(refusal::lease_lost, "the lease on the mailbox is lost: another worker has it");
    }
    auto changed = state_changer::change(t, {id}, [&](const migration&) { return changes{change}; });
    if (!changed) return pass_on(changed);
    if (changed->empty()) return refusal::refuse(refusal::missing, "there is no such mailbox");
    return std::move(changed->front());
}

result<batch> change_state(tables& t, record_id id, const batch_change& change) {
    return state_changer::change(t, id, change);
}

namespace {

struct last_word {
    unix_ms heard = 0; ///< when nobody knows the worker, the moment when the lease ended
    bool gone = true;
};

result<last_word> last_word_of(tables& t, const lease& l) {
    last_word out{.heard = l.expires};
    auto done = detail::each_row(
        t.db, "SELECT seen, state FROM worker WHERE id = $1",
        [&](const sql::query& q) { out = {.heard = q.get<unix_ms>(0), .gone = q.text(1) == "gone"}; }, l.worker);
    if (!done) return pass_on(done);
    return out;
}

/// Whom nobody is at work on any more: why, and when its worker was last heard of.
struct left_behind {
    std::string reason;
    unix_ms heard = 0;
};

/// Those that are still at work: somebody may have been quicker, or the mailbox has ended meanwhile.
result<int> requeue(tables& t, const std::map<record_id, left_behind>& all, const std::string& actor, unix_ms now) {
    std::vector<record_id> ids;
    for (const auto& [id, _] : all) ids.push_back(id);
    auto changed = change_states(t, ids, [&](const migration& m) {
        if (!running_states.has(m.state)) return changes{};
        const left_behind& why = all.at(m.id);
        return changes{{.to = mailbox_state::queued,
                        .actor = actor,
                        .reason = why.reason,
                        .due = now,
                        .stalled_ms = static_cast<std::uint64_t>(std::max<unix_ms>(now - why.heard, 0))}};
    });
    if (!changed) return pass_on(changed);
    return static_cast<int>(changed->size());
}

} // namespace

result<int> requeue_lapsed(tables& t, const std::string& actor, const lease_watch* watch) {
    auto now = t.now();
    if (!now) return pass_on(now);
    auto lapsed = t.leases.lapsed(*now);
    if (!lapsed) return pass_on(lapsed);
    std::map<record_id, left_behind> waiting;
    for (const lease& l : *lapsed) {
        auto last = last_word_of(t, l);
        if (!last) return pass_on(last);
        if (watch != nullptr && !last->gone && !watch->silent(l)) continue;
        auto released = t.leases.release(l.migration, l.token);
        if (!released) return pass_on(released);
        waiting.insert_or_assign(
            l.migration,
            left_behind{.reason = fmt::format("worker {} was not heard of any more", l.worker), .heard = last->heard});
    }
    auto orphans = t.leases.orphans();
    if (!orphans) return pass_on(orphans);
    for (const record_id id : *orphans)
        waiting.try_emplace(id, left_behind{.reason = "no worker was at it", .heard = *now});
    return requeue(t, waiting, actor, *now);
}

} // namespace postferry::store
