#include "store/change_state.hpp"

#include "store/detail/statements.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::store {

using detail::pass_on;
using detail::run;

/// May see what the repositories keep for whoever changes states.
class state_changer {
  public:
    static result<migration> change(tables& t, record_id id, const mailbox_change& change);
    static result<batch> change(tables& t, record_id id, const batch_change& change);

  private:
    static result<void> may(const migration& m, const mailbox_change& change);
    static void add_time(migration& m, unix_ms now, std::uint64_t stalled_ms);
    static result<void> store(tables& t, const migration& m);
    static result<void> tell(tables& t, const migration& before, const migration& m, const mailbox_change& change,
                             unix_ms now);
    static result<void> move_tally(tables& t, const migration& m, mailbox_state from);
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

result<void> state_changer::store(tables& t, const migration& m) {
    auto done = run(t.db,
                    "UPDATE migration SET state = $1, reason = $2, reason_class = $3, until = $4, throttled_by = $5, "
                    "due = $6, next_pass = $7, since = $8, queued_ms = $9, running_ms = $10, throttled_ms = $11, "
                    "stalled_ms = $12, version = $13 WHERE id = $14",
                    name_of(m.state), m.reason, m.reason_class, m.until, m.throttled_by, m.due, m.next_pass, m.since,
                    m.queued_ms, m.running_ms, m.throttled_ms, m.stalled_ms, m.version, m.id);
    if (!done) return pass_on(done);
    return {};
}

result<void> state_changer::move_tally(tables& t, const migration& m, mailbox_state from) {
    // In the order of the states, whichever way it goes: two that move opposite ways must not wait for each other.
    tally_change out{.batch = m.batch, .state = from, .mailboxes = -1, .add = {}, .take = m.counts};
    tally_change in{.batch = m.batch, .state = m.state, .mailboxes = 1, .add = m.counts, .take = {}};
    const bool out_first = name_of(from) < name_of(m.state);
    auto done = t.batches.count(out_first ? out : in);
    return done ? t.batches.count(out_first ? in : out) : done;
}

result<void> state_changer::tell(tables& t, const migration& before, const migration& m, const mailbox_change& change,
                                 unix_ms now) {
    details d;
    d.add("reason", m.reason);
    d.add("class", m.reason_class);
    d.add("until", m.until);
    d.add("by", m.throttled_by);
    auto told = t.events.add({.at = now,
                              .actor = change.actor,
                              .kind = "mailbox.state",
                              .batch = m.batch,
                              .migration = m.id,
                              .before = std::string(name_of(before.state)),
                              .after = std::string(name_of(m.state)),
                              .detail = std::move(d).done()});
    if (!told) return pass_on(told);
    return {};
}

result<migration> state_changer::change(tables& t, record_id id, const mailbox_change& change) {
    auto now = t.now();
    if (!now) return pass_on(now);
    if (change.token) {
        // Before the mailbox itself is locked: everybody locks in this order.
        auto holds = t.leases.holds(id, *change.token);
        if (!holds) return pass_on(holds);
        if (!*holds)
            return refusal::refuse(refusal::lease_lost, "the lease on the mailbox is lost: another worker has it");
    }
    auto found = t.migrations.lock(id);
    if (!found) return pass_on(found);
    if (!*found) return refusal::refuse(refusal::missing, "there is no such mailbox");
    const migration before = **found;
    if (auto ok = may(before, change); !ok) return pass_on(ok);
    const bool moves = before.state != change.to;
    migration& m = **found;
    if (moves) add_time(m, *now, change.stalled_ms);
    m.state = change.to;
    m.reason = change.reason;
    m.reason_class = change.reason_class;
    m.until = change.until;
    m.throttled_by = change.throttled_by;
    m.due = change.due ? std::optional(std::max<unix_ms>(*change.due, 1)) : std::nullopt;
    if (change.next_pass) m.next_pass = *change.next_pass;
    ++m.version;
    auto done = store(t, m);
    if (done && moves) done = move_tally(t, m, before.state);
    if (done && moves) done = tell(t, before, m, change, *now);
    if (!done) return pass_on(done);
    return std::move(m);
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

result<migration> change_state(tables& t, record_id id, const mailbox_change& change) {
    return state_changer::change(t, id, change);
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

result<bool> requeue(tables& t, record_id id, const std::string& actor, const std::string& reason, unix_ms now,
                     unix_ms heard) {
    auto m = t.migrations.find(id);
    if (!m) return pass_on(m);
    if (!*m || !running_states.has((*m)->state)) return false;
    auto changed =
        change_state(t, id,
                     mailbox_change{.to = mailbox_state::queued,
                                    .actor = actor,
                                    .reason = reason,
                                    .due = now,
                                    .stalled_ms = static_cast<std::uint64_t>(std::max<unix_ms>(now - heard, 0)),
                                    .from = (*m)->version});
    // Somebody else was quicker, or the mailbox has ended meanwhile: nothing is left to do.
    if (!changed &&
        (refusal::is(changed.error(), refusal::conflict) || refusal::is(changed.error(), refusal::not_allowed)))
        return false;
    if (!changed) return pass_on(changed);
    return true;
}

} // namespace

result<int> requeue_lapsed(tables& t, const std::string& actor, const lease_watch* watch) {
    auto now = t.now();
    if (!now) return pass_on(now);
    auto lapsed = t.leases.lapsed(*now);
    if (!lapsed) return pass_on(lapsed);
    int count = 0;
    for (const lease& l : *lapsed) {
        auto last = last_word_of(t, l);
        if (!last) return pass_on(last);
        if (watch != nullptr && !last->gone && !watch->silent(l)) continue;
        auto released = t.leases.release(l.migration, l.token);
        if (!released) return pass_on(released);
        auto back = requeue(t, l.migration, actor, fmt::format("worker {} was not heard of any more", l.worker), *now,
                            last->heard);
        if (!back) return pass_on(back);
        count += *back ? 1 : 0;
    }
    auto orphans = t.leases.orphans();
    if (!orphans) return pass_on(orphans);
    for (const record_id id : *orphans) {
        auto back = requeue(t, id, actor, "no worker was at it", *now, *now);
        if (!back) return pass_on(back);
        count += *back ? 1 : 0;
    }
    return count;
}

} // namespace postferry::store
