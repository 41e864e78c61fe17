// What the ledger does not know but the target may already hold: found again by fingerprint, and by content where the
// fingerprint cannot tell (docs/adr/0003).
#include "message/fingerprint.hpp"
#include "message/repair.hpp"
#include "net/join.hpp"
#include "transfer/detail/pass_state.hpp"
#include "transfer/flag_rules.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace postferry::transfer {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

// A target is at rest when nothing has come in for two seconds (after a COPY that was slow: for longer); one that never
// is, because mail arrives there all the time, is waited for twenty. In halves of a first pause of one second.
constexpr std::chrono::milliseconds quiet_step{500};
constexpr unsigned most_steps = 40;

// Reads heads or contents of one folder into match candidates.
class candidate_reader final : public mailbox::message_sink {
  public:
    std::vector<match_candidate> heads;
    std::unordered_map<std::uint32_t, std::string> flags; ///< canonical, by UID; only where asked for
    std::vector<match_content> contents;
    std::vector<std::pair<std::uint32_t, sha256_digest>> mended; ///< of headers that repair::header_8bit would change
    std::optional<error> trouble;
    bool keep_flags = false;

    void header(mailbox::message_head head, std::string_view fields) override {
        const message::fingerprint print = message::fingerprint_of(fields);
        heads.push_back({.uid = head.uid, .fingerprint = print.digest, .strong = print.strong, .octets = head.octets});
        if (std::ranges::any_of(fields, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
            mended.emplace_back(
                head.uid, message::fingerprint_of(message::repaired(fields, {message::repair::header_8bit})).digest);
        if (keep_flags) flags.emplace(head.uid, canonical_flags(head.flags));
    }
    task<result<void>> begin(mailbox::message_head head) override {
        uid_ = head.uid;
        date_unix_ = head.date ? head.date->unix_seconds : 0;
        flags_ = canonical_flags(head.flags);
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        digest_.update(octets);
        co_return result<void>{};
    }
    task<result<void>> end() override {
        contents.push_back({.uid = uid_, .content = digest_.finish(), .date_unix = date_unix_, .flags = flags_});
        co_return result<void>{};
    }
    void missing(std::size_t, uid_set, std::optional<error>) override {} // gone or unreadable: it matches nothing
    void unavailable(std::size_t, error why) override { trouble = std::move(why); }

  private:
    std::uint32_t uid_ = 0;
    std::int64_t date_unix_ = 0;
    std::string flags_;
    message::tolerant_digest digest_;
};

task<result<void>> read_into(mailbox::source& place, std::string handle, std::uint32_t uid_validity, uid_set uids,
                             mailbox::fetch_part part, candidate_reader& reader) {
    const mailbox::fetch_request request{
        .handle = std::move(handle), .uid_validity = uid_validity, .uids = std::move(uids)};
    auto ok = co_await place.fetch({&request, 1}, part, reader);
    if (ok && reader.trouble) co_return std::unexpected(*reader.trouble);
    co_return ok;
}

// What was repaired at the copy may have another fingerprint now: its 8-bit header fields were encoded.
void suspect_repaired(const candidate_reader& on_source, const candidate_reader& on_target, fingerprint_match& found) {
    if (on_source.mended.empty()) return;
    std::set<std::uint32_t> ours, theirs;
    for (const matched_pair& p : found.pairs) {
        ours.insert(p.source_uid);
        theirs.insert(p.target_uid);
    }
    std::multimap<sha256_digest, std::uint32_t> free;
    for (const match_candidate& c : on_target.heads)
        if (!theirs.contains(c.uid)) free.emplace(c.fingerprint, c.uid);
    for (const auto& [uid, digest] : on_source.mended) {
        ambiguous_group group{.source_uids = {uid}, .target_uids = {}};
        for (auto [at, end] = free.equal_range(digest); at != end; ++at) group.target_uids.push_back(at->second);
        if (!ours.contains(uid) && !group.target_uids.empty()) found.ambiguous.push_back(std::move(group));
    }
}

uid_set set_of(const std::vector<std::uint32_t>& uids) {
    uid_set out;
    for (const std::uint32_t uid : uids) out.add(uid);
    return out;
}

} // namespace

task<result<void>> mailbox_pass::state::open_books(folder_work& f, std::uint32_t mark) const {
    auto book = co_await env_.books->begin_folder(mailbox_, f.map.source, f.map.target, f.source.uid_validity,
                                                  f.target->uid_validity, mark);
    if (!book) co_return std::unexpected(book.error());
    const ledger_folder::totals rows = book->rows;
    f.book = std::move(*book);
    f.opened = true;
    f.book.rows = rows;
    if (f.memory->first_mark == 0) f.memory->first_mark = mark;
    // Flag sets that this attempt met before the folder was opened keep their local index; the ledger's own come by
    // name.
    for (std::uint32_t i = 0; i < f.book.flag_sets.size(); ++i) {
        const std::uint32_t local = f.flag_sets.add(f.book.flag_sets[i]);
        f.flag_set_ids.resize(f.flag_sets.size());
        f.flag_set_ids[local] = i;
    }
    co_return result<void>{};
}

// A dead line is no dead server: it may go on storing what it was given, and buffers on the way may go on giving. What
// arrives after we have looked would be there twice. So nothing is decided before the target has come to rest.
task<result<void>> mailbox_pass::state::wait_for_quiet() {
    std::vector<mailbox::folder_wish> wishes;
    std::vector<folder_work*> which;
    const auto was_refused = [](const folder_work& f, const uid_set::range& r) {
        return r.first == r.last && f.failed.contains(r.first);
    };
    for (folder_work& f : folders_) {
        if (!f.moved || !f.prepared || f.trouble || f.book.id == 0 || f.book.complete) continue;
        if (std::ranges::all_of(f.wanted.ranges(), [&](const uid_set::range& r) { return was_refused(f, r); }))
            continue;
        wishes.push_back({.handle = f.target_handle});
        which.push_back(&f);
    }
    if (!std::exchange(target_owes_, false) || wishes.empty()) co_return result<void>{};
    note("an earlier copy was cut off; waiting until the target has stored what it was given");
    const auto quiet_steps = static_cast<unsigned>((rest_ + quiet_step - std::chrono::milliseconds(1)) / quiet_step);
    const unsigned limit = std::max(most_steps, quiet_steps * 2);
    for (unsigned quiet = 0, steps = 0; quiet < quiet_steps && steps < limit; ++quiet, ++steps) {
        if (auto ok = co_await wait(options_.first_pause / 2); !ok) co_return ok;
        auto states = co_await target_->prepare(wishes);
        target_owes_ = !states;
        if (!states) co_return std::unexpected(states.error());
        for (std::size_t k = 0; k < which.size(); ++k) {
            const mailbox::folder_state& now = (*states)[k].state;
            mailbox::folder_state& before = *which[k]->target;
            if ((*states)[k].failure || now.uid_validity != before.uid_validity) continue;
            if (now.uid_next != before.uid_next || now.messages != before.messages) quiet = 0;
            before = now;
        }
    }
    rest_ = std::chrono::milliseconds(2'000);
    co_return result<void>{};
}

task<> mailbox_pass::state::open_for_copy(folder_work& f, std::uint32_t mark, std::optional<error>& first) const {
    const auto ok = co_await open_books(f, mark);
    if (!ok && !first) first = ok.error();
}

// What on the target may be a message of the folder that is not settled.
task<result<uid_set>> mailbox_pass::state::candidates_for(const folder_work& f, std::uint32_t mark) {
    uid_set out;
    if (f.wanted.empty() && f.skipped.empty() && f.held_back.empty()) co_return out;
    if (f.target->messages > 0) {
        const std::uint32_t from = f.adrift_untold.empty() ? mark : std::min(mark, f.memory->first_mark);
        auto there = co_await on_target_from(f, from);
        if (!there) co_return std::unexpected(there.error());
        out = std::move(*there);
    }
    if (!out.empty()) {
        if (auto ok = co_await claim_known(f); !ok) co_return std::unexpected(ok.error());
        out.remove(claimed_[f.target_handle]);
    }
    for (const auto& [target_uid, source_uid] : f.adrift) out.add(target_uid);
    co_return out;
}

task<result<void>> mailbox_pass::state::match_all(folder_work& f, std::uint32_t mark, bool new_book) {
    auto candidates = co_await candidates_for(f, mark);
    if (!candidates) co_return std::unexpected(candidates.error());
    if (f.replanted)
        if (auto ok = co_await replant(f, mark); !ok) co_return ok;
    if (candidates->empty()) co_return result<void>{};
    if (new_book && !f.opened)
        if (auto ok = co_await open_books(f, mark); !ok) co_return ok;
    co_return co_await match(f, std::move(*candidates));
}

task<result<void>> mailbox_pass::state::match_and_open() {
    claimed_.clear();
    if (auto ok = co_await wait_for_quiet(); !ok) co_return ok;
    std::vector<task<>> openings;
    std::optional<error> first;
    for (folder_work& f : folders_) {
        if (!f.moved || !f.prepared || f.trouble) continue;
        const bool new_book = f.book.id == 0 || f.new_generation || f.replanted;
        if (f.wanted.empty() && f.held_back.empty() && (!new_book || only_new())) continue;
        const std::uint32_t mark = new_book ? 1 : std::max(f.book.target_mark, 1U);
        if (auto ok = co_await match_all(f, mark, new_book); !ok) co_return ok;
        // From here on, what lies below the target's UIDNEXT is known; what a crash leaves behind lies above it.
        // Not so what was held back: it may still show, wherever it is.
        openings.push_back(open_for_copy(f, f.held_back.empty() ? std::max(f.target->uid_next, 1U) : mark, first));
    }
    if (!openings.empty()) co_await net::join_all(std::move(openings));
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

// Numbers without a message cost commands: where the server does not tell UIDNEXT (Courier), or has given away many
// more numbers than it holds messages, what is there is listed first.
task<result<uid_set>> mailbox_pass::state::on_target_from(const folder_work& f, std::uint32_t mark) {
    constexpr std::uint64_t few = 200;
    const std::uint32_t next = f.target->uid_next;
    if (next != 0 && next <= mark) co_return uid_set{};
    if (next != 0 && next - mark <= f.target->messages + few) co_return uid_set::of(mark, next - 1);
    uid_lister there(1);
    if (auto ok = co_await list_uids(*target_, {f.target_handle}, there); !ok) co_return std::unexpected(ok.error());
    if (there.troubles[0]) co_return std::unexpected(*there.troubles[0]);
    if (mark > 1) there.present[0].remove(1, mark - 1);
    co_return std::move(there.present[0]);
}

task<result<void>> mailbox_pass::state::match(folder_work& f, uid_set candidates) {
    candidate_reader on_target;
    auto read = co_await read_into(*target_, f.target_handle, f.target->uid_validity, std::move(candidates),
                                   mailbox::fetch_part::fingerprint, on_target);
    if (!read) co_return read;
    if (on_target.heads.empty()) co_return result<void>{};
    candidate_reader on_source;
    on_source.keep_flags = true;
    // What a rule leaves out may be there as well, from another tool: a later pass without the rule looks only at what
    // came since this one.
    uid_set open = f.wanted;
    open.add(f.held_back); // they may have shown late
    for (const auto& [rule, uids] : f.skipped) open.add(uids);
    read = co_await read_into(*source_, f.source_handle, f.source.uid_validity, std::move(open),
                              mailbox::fetch_part::fingerprint, on_source);
    if (!read) co_return read;

    fingerprint_match found = match_by_fingerprint(on_source.heads, on_target.heads);
    if (!found.pairs.empty() || !found.ambiguous.empty()) {
        const std::size_t before = on_target.heads.size();
        if (auto ok = co_await leave_out_untold(f, on_target.heads); !ok) co_return ok;
        if (on_target.heads.size() < before) found = match_by_fingerprint(on_source.heads, on_target.heads);
    }
    suspect_repaired(on_source, on_target, found);
    if (auto ok = co_await decide_by_content(f, found.ambiguous, found.pairs); !ok) co_return ok;
    std::unordered_map<std::uint32_t, std::uint64_t> sizes;
    for (const match_candidate& c : on_source.heads) sizes.emplace(c.uid, c.octets);
    std::vector<std::uint32_t> renamed; // rows of numbers that are gone
    for (const matched_pair& pair : found.pairs) {
        const std::uint32_t flags = flag_index(f, on_source.flags[pair.source_uid]);
        if (const auto before = take_match(f, pair, sizes[pair.source_uid], flags)) renamed.push_back(*before);
    }
    if (!found.pairs.empty())
        note(fmt::format("{}: {} messages were on the target already", f.map.source, found.pairs.size()));
    // First the old rows: were they to outlive a kill, --delete-extra would take the copies of messages that are there.
    if (!renamed.empty())
        if (auto ok = co_await env_.books->forget(f.book.id, std::move(renamed)); !ok) co_return ok;
    co_return co_await record(f);
}

// Settles a message that is on the target. What it answers is the number under which this run has settled it before.
std::optional<std::uint32_t> mailbox_pass::state::take_match(folder_work& f, const matched_pair& pair,
                                                             std::uint64_t octets, std::uint32_t flags) {
    const std::optional<std::uint32_t> before = moor(f, pair.target_uid);
    const bool copied_before = before && f.memory->copied.contains(*before);
    // What this very run brought before a line died was copied, not found.
    const bool ours = copied_before || f.memory->unanswered.contains(pair.source_uid);
    const auto form = f.found_repaired.find(pair.source_uid);
    const message::repair_set repairs = form == f.found_repaired.end() ? message::repair_set{} : form->second;
    f.to_record.push_back({.source_uid = pair.source_uid,
                           .target_uid = pair.target_uid,
                           .octets = octets,
                           .flags = flags_kept(f, pair.source_uid, pair.target_uid, flags),
                           .state = ours ? item_state::copied : item_state::present,
                           .digest = {},
                           .repairs = repairs.bits()});
    f.known.add(pair.source_uid);
    if (!before) f.known_octets += octets;
    f.wanted.remove(pair.source_uid, pair.source_uid);
    f.failed.erase(pair.source_uid);
    for (auto& [rule, uids] : f.skipped) uids.remove(pair.source_uid, pair.source_uid);
    f.held_back.remove(pair.source_uid, pair.source_uid);
    claimed_[f.target_handle].add(pair.target_uid);
    if (ours) {
        if (!repairs.empty())
            f.memory->repaired.insert_or_assign(pair.source_uid, repaired_message{.repairs = repairs});
        f.memory->copied.add(pair.source_uid);
        if (!copied_before) f.memory->copied_octets += octets;
    }
    if (copied_before) f.memory->copied.remove(*before, *before);
    ++progress_mark_;
    ++progress_.messages_done;
    return before;
}

// Whether the books of `other` tell what lies in the target folder of `f`: --map may send several folders to one.
bool mailbox_pass::state::knows_target_of(const folder_work& other, const folder_work& f) {
    return other.map.what == mapped_folder::verdict::copy && other.target_handle == f.target_handle &&
           other.book.id != 0 && !other.new_generation && other.target &&
           other.target->uid_validity == other.book.target_uid_validity;
}

// What the books of any folder name on the target is no candidate for another message.
task<result<void>> mailbox_pass::state::claim_known(const folder_work& f) {
    if (claimed_.contains(f.target_handle)) co_return result<void>{};
    uid_set& claimed = claimed_[f.target_handle];
    for (folder_work& other : folders_) {
        if (!knows_target_of(other, f)) continue;
        if (!other.moved && other.rows.empty()) {
            auto rows = co_await env_.books->rows(other.book.id);
            if (!rows) co_return std::unexpected(rows.error());
            other.rows = std::move(*rows);
        }
        for (const ledger_brief& row : other.rows) claimed.add(row.target_uid);
    }
    co_return result<void>{};
}

// A row without target UID (no UIDPLUS) has its copy somewhere on the target, perhaps among the candidates. An equal
// message that is still to be copied must not be taken for it: then one of the two would be lost. The copies of earlier
// passes lie lowest, so all of the target is looked at.
task<result<void>> mailbox_pass::state::leave_out_untold(folder_work& f, std::vector<match_candidate>& on_target) {
    std::optional<candidate_reader> unnamed;
    for (folder_work& other : folders_) {
        if (!knows_target_of(other, f)) continue;
        uid_set untold;
        for (const ledger_brief& row : other.rows)
            if (row.target_uid == 0 && row.state != item_state::failed &&
                (!other.moved || other.known.contains(row.source_uid)))
                untold.add(row.source_uid);
        if (untold.empty()) continue;
        if (!unnamed) {
            auto there = co_await on_target_from(f, 1);
            if (!there) co_return std::unexpected(there.error());
            uid_set uids = std::move(*there);
            uids.remove(claimed_[f.target_handle]);
            auto read = co_await read_into(*target_, f.target_handle, f.target->uid_validity, std::move(uids),
                                           mailbox::fetch_part::fingerprint, unnamed.emplace());
            if (!read) co_return read;
        }
        candidate_reader on_source;
        auto read = co_await read_into(*source_, other.source_handle, other.source.uid_validity, std::move(untold),
                                       mailbox::fetch_part::fingerprint, on_source);
        if (!read) co_return read;
        fingerprint_match found = match_by_fingerprint(on_source.heads, unnamed->heads);
        if (auto ok = co_await decide_by_content(other, found.ambiguous, found.pairs); !ok) co_return ok;
        uid_set theirs;
        for (const matched_pair& pair : found.pairs) theirs.add(pair.target_uid);
        const auto taken = [&theirs](const match_candidate& c) { return theirs.contains(c.uid); };
        std::erase_if(unnamed->heads, taken);
        std::erase_if(on_target, taken);
    }
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::decide_by_content(folder_work& f, const std::vector<ambiguous_group>& groups,
                                                          std::vector<matched_pair>& pairs) {
    if (groups.empty()) co_return result<void>{};
    uid_set source_uids, target_uids;
    for (const ambiguous_group& g : groups) {
        source_uids.add(set_of(g.source_uids));
        target_uids.add(set_of(g.target_uids));
    }
    candidate_reader on_source, on_target;
    auto [a, b] = co_await (read_into(*source_, f.source_handle, f.source.uid_validity, std::move(source_uids),
                                      mailbox::fetch_part::whole, on_source) &&
                            read_into(*target_, f.target_handle, f.target->uid_validity, std::move(target_uids),
                                      mailbox::fetch_part::whole, on_target));
    if (!a) co_return a;
    if (!b) co_return b;
    // All groups at once: what has equal content has equal fingerprints.
    const content_match decided = match_by_content(on_source.contents, on_target.contents);
    pairs.insert(pairs.end(), decided.pairs.begin(), decided.pairs.end());
    if (decided.only_on_source.empty() || decided.pairs.size() == on_target.contents.size()) co_return result<void>{};
    std::set<std::uint32_t> taken;
    for (const matched_pair& p : decided.pairs) taken.insert(p.target_uid);
    const auto forms = co_await repaired_forms(
        *source_,
        {.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = set_of(decided.only_on_source)});
    if (!forms) co_return std::unexpected(forms.error());
    const auto found = match_repaired(*forms, on_target.contents, taken, f.found_repaired);
    pairs.insert(pairs.end(), found.begin(), found.end());
    co_return result<void>{};
}

} // namespace postferry::transfer
