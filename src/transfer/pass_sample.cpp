// A sampled proof: every message is counted and has its partner by the ledger or by its header; the content of those
// that are drawn, and of those that only content can tell apart, is compared.
#include "message/fingerprint.hpp"
#include "transfer/detail/pass_state.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>

namespace postferry::transfer {

using namespace boost::asio::experimental::awaitable_operators;

namespace {

class head_lister final : public mailbox::message_sink {
  public:
    std::vector<match_candidate> heads;
    std::optional<error> trouble;

    void header(mailbox::message_head head, std::string_view fields) override {
        const message::fingerprint print = message::fingerprint_of(fields);
        heads.push_back({.uid = head.uid, .fingerprint = print.digest, .strong = print.strong, .octets = head.octets});
    }
    task<result<void>> begin(mailbox::message_head) override { co_return result<void>{}; }
    task<result<void>> chunk(const client::block_ref&, std::string_view) override { co_return result<void>{}; }
    task<result<void>> end() override { co_return result<void>{}; }
    void missing(std::size_t, uid_set, std::optional<error>) override {}
    void unavailable(std::size_t, error why) override { trouble = std::move(why); }
};

task<result<void>> read_heads(mailbox::source& place, mailbox::fetch_request request, head_lister& out) {
    auto ok = co_await place.fetch({&request, 1}, mailbox::fetch_part::fingerprint, out);
    if (ok && out.trouble) co_return std::unexpected(*out.trouble);
    co_return ok;
}

uid_set common(const uid_set& a, const uid_set& b) {
    uid_set without = a, out = a;
    without.remove(b);
    out.remove(without);
    return out;
}

} // namespace

/// The steps of a sampled proof over the folders `which_`.
class mailbox_pass::state::sampler {
  public:
    sampler(state& pass, const std::vector<std::size_t>& which)
        : pass_(pass), which_(which), source_(which.size()), target_(which.size()), parts_(which.size()) {}

    task<result<unclaimed_uids>> prove();

  private:
    struct part {
        partner_map partners;
        uid_set open;                    ///< of the source, without partner
        uid_set by_content;              ///< of the source: only content can tell
        uid_set candidates;              ///< of the target, for those
        std::vector<digested> unmatched; ///< certainly without partner
        uid_set drawn;
        std::unordered_map<std::uint32_t, std::uint64_t> told_octets; ///< of the source, by RFC822.SIZE
    };

    task<result<void>> list_both();
    void pair_by_ledger(std::size_t k);
    task<result<void>> pair_by_header(std::size_t k);
    void draw_sample();
    task<result<void>> read_both();
    task<result<void>> count_uncompared(std::size_t k, folder_proof& proof);
    task<result<void>> judge(std::size_t k);
    [[nodiscard]] folder_work& folder(std::size_t k) const { return pass_.folders_[which_[k]]; }

    state& pass_;
    const std::vector<std::size_t>& which_;
    uid_lister source_, target_;
    std::vector<part> parts_;
    side_content from_, to_;
    unclaimed_uids left_; ///< of each target folder, what is nobody's partner
};

task<result<mailbox_pass::state::unclaimed_uids>>
mailbox_pass::state::prove_sample(const std::vector<std::size_t>& which) {
    sampler s(*this, which);
    co_return co_await s.prove();
}

task<result<mailbox_pass::state::unclaimed_uids>> mailbox_pass::state::sampler::prove() {
    if (auto ok = co_await list_both(); !ok) co_return std::unexpected(ok.error());
    for (std::size_t k = 0; k < which_.size(); ++k) pair_by_ledger(k);
    for (std::size_t k = 0; k < which_.size(); ++k)
        if (auto ok = co_await pair_by_header(k); !ok) co_return std::unexpected(ok.error());
    draw_sample();
    if (auto ok = co_await read_both(); !ok) co_return std::unexpected(ok.error());
    for (std::size_t k = 0; k < which_.size(); ++k)
        if (auto ok = co_await judge(k); !ok) co_return std::unexpected(ok.error());
    co_return std::move(left_);
}

task<result<void>> mailbox_pass::state::sampler::list_both() {
    std::vector<std::string> from, to;
    for (std::size_t k = 0; k < which_.size(); ++k) {
        from.push_back(folder(k).source_handle);
        to.push_back(folder(k).target_handle);
    }
    auto [a, b] = co_await (list_uids(*pass_.source_, from, source_) && list_uids(*pass_.target_, to, target_));
    if (!a) co_return a;
    if (!b) co_return b;
    for (std::size_t k = 0; k < which_.size(); ++k) {
        folder_work& f = folder(k);
        f.trouble = source_.troubles[k] ? source_.troubles[k] : target_.troubles[k];
        f.present = source_.present[k];
        pass_.drop_foreign_rows(f, source_.states[k].uid_validity, target_.states[k]);
        left_.try_emplace(f.target_handle, target_.present[k]);
    }
    co_return result<void>{};
}

void mailbox_pass::state::sampler::pair_by_ledger(std::size_t k) {
    const folder_work& f = folder(k);
    part& p = parts_[k];
    p.open = f.present;
    for (const ledger_brief& row : f.rows) {
        const bool kept = row.state == item_state::copied || row.state == item_state::present;
        if (!kept || row.target_uid == 0 || !f.present.contains(row.source_uid)) continue;
        p.open.remove(row.source_uid, row.source_uid);
        if (!target_.present[k].contains(row.target_uid)) {
            p.unmatched.push_back({.uid = row.source_uid, .date = 0, .octets = 0, .content = {}});
            continue;
        }
        p.partners.emplace(row.source_uid, row.target_uid);
        left_[f.target_handle].remove(row.target_uid, row.target_uid);
    }
}

task<result<void>> mailbox_pass::state::sampler::pair_by_header(std::size_t k) {
    const folder_work& f = folder(k);
    part& p = parts_[k];
    if (p.open.empty() || f.trouble) co_return result<void>{};
    uid_set& left = left_[f.target_handle];
    head_lister from, to;
    auto [a, b] = co_await (
        read_heads(*pass_.source_,
                   {.handle = f.source_handle, .uid_validity = source_.states[k].uid_validity, .uids = p.open}, from) &&
        read_heads(*pass_.target_,
                   {.handle = f.target_handle, .uid_validity = target_.states[k].uid_validity, .uids = left}, to));
    if (!a) co_return a;
    if (!b) co_return b;
    const fingerprint_match found = match_by_fingerprint(from.heads, to.heads);
    for (const match_candidate& head : from.heads) p.told_octets.emplace(head.uid, head.octets);
    for (const matched_pair& pair : found.pairs) {
        p.partners.emplace(pair.source_uid, pair.target_uid);
        left.remove(pair.target_uid, pair.target_uid);
    }
    for (const std::uint32_t uid : found.only_on_source) {
        p.unmatched.push_back({.uid = uid, .date = 0, .octets = p.told_octets[uid], .content = {}});
    }
    for (const ambiguous_group& g : found.ambiguous) {
        for (const std::uint32_t uid : g.source_uids) p.by_content.add(uid);
        for (const std::uint32_t uid : g.target_uids) p.candidates.add(uid);
    }
    co_return result<void>{};
}

void mailbox_pass::state::sampler::draw_sample() {
    std::vector<std::uint64_t> messages;
    std::uint64_t all = 0, drawn = 0;
    for (std::size_t k = 0; k < which_.size(); ++k) {
        messages.push_back(folder(k).present.count());
        all += messages.back();
    }
    const sample_wish& wish = pass_.options_.sample;
    const auto shares = allot(messages, sample_size(wish, all));
    for (std::size_t k = 0; k < which_.size(); ++k) {
        parts_[k].drawn = draw(folder(k).present, shares[k], wish.seed, folder(k).map.source);
        parts_[k].drawn.add(parts_[k].by_content);
        drawn += parts_[k].drawn.count();
    }
    verify_report& v = *pass_.report_.verify;
    v.sampled = all == 0 ? 1 : static_cast<double>(drawn) / static_cast<double>(all);
    if (drawn < all) v.seed = wish.seed;
    pass_.progress_.messages_total = drawn;
}

task<result<void>> mailbox_pass::state::sampler::read_both() {
    for (std::size_t k = 0; k < which_.size(); ++k) {
        const folder_work& f = folder(k);
        const part& p = parts_[k];
        uid_set from = p.by_content, to = p.candidates;
        for (const auto& [source_uid, target_uid] : p.partners) {
            if (!p.drawn.contains(source_uid)) continue;
            from.add(source_uid);
            to.add(target_uid);
        }
        from_.requests.push_back({.handle = f.source_handle,
                                  .uid_validity = source_.states[k].uid_validity,
                                  .uids = common(from, f.present)});
        to_.requests.push_back({.handle = f.target_handle,
                                .uid_validity = target_.states[k].uid_validity,
                                .uids = common(to, target_.present[k])});
    }
    const auto count = [&pass = pass_](std::uint64_t octets) {
        ++pass.progress_.messages_done;
        pass.progress_.octets_done += octets;
        pass.progress_now(mailbox_state::copying);
    };
    auto [a, b] = co_await (read_digests(*pass_.source_, count, from_) && read_digests(*pass_.target_, {}, to_));
    if (!a) co_return a;
    co_return b;
}

// Their sizes are known to the ledger, or were told with their headers.
task<result<void>> mailbox_pass::state::sampler::count_uncompared(std::size_t k, folder_proof& proof) {
    constexpr std::uint32_t uids_at_once = 20'000;
    const folder_work& f = folder(k);
    const part& p = parts_[k];
    for (const auto& [source_uid, target_uid] : p.partners)
        if (!p.drawn.contains(source_uid)) ++proof.uncompared;
    for (const auto& [uid, octets] : p.told_octets)
        if (p.partners.contains(uid) && !p.drawn.contains(uid)) proof.uncompared_octets += octets;
    if (f.rows.empty()) co_return result<void>{};
    const std::uint32_t last = f.rows.back().source_uid;
    for (std::uint64_t from = f.rows.front().source_uid; from <= last; from += uids_at_once) {
        const auto to = static_cast<std::uint32_t>(std::min<std::uint64_t>(last, from + uids_at_once - 1));
        const auto rows = co_await pass_.env_.books->full_rows(f.book.id, static_cast<std::uint32_t>(from), to);
        if (!rows) co_return std::unexpected(rows.error());
        for (const ledger_row& row : *rows)
            if (p.partners.contains(row.source_uid) && !p.drawn.contains(row.source_uid) &&
                !p.told_octets.contains(row.source_uid))
                proof.uncompared_octets += row.octets;
    }
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::sampler::judge(std::size_t k) {
    folder_work& f = folder(k);
    part& p = parts_[k];
    if (from_.troubles[k] && !f.trouble) f.trouble = from_.troubles[k];
    if (to_.troubles[k] && !f.trouble) f.trouble = to_.troubles[k];
    folder_proof proof = compare(std::move(from_.messages[k]), std::move(to_.messages[k]), p.partners);
    if (auto ok = co_await count_uncompared(k, proof); !ok) co_return ok;
    std::vector<match_content> left, right;
    if (!proof.only_source.empty() && !proof.only_target.empty()) {
        if (auto ok = co_await read_tolerantly(*pass_.source_, from_.requests[k], proof.only_source, left); !ok)
            co_return ok;
        if (auto ok = co_await read_tolerantly(*pass_.target_, to_.requests[k], proof.only_target, right); !ok)
            co_return ok;
    }
    // What was told apart by content is nobody's partner any more, but for those that no one took.
    left_[f.target_handle].remove(p.candidates);
    for (const digested& t : proof.only_target)
        if (p.candidates.contains(t.uid)) left_[f.target_handle].add(t.uid);
    proof.only_source.insert(proof.only_source.end(), p.unmatched.begin(), p.unmatched.end());
    std::ranges::sort(proof.only_source, {}, &digested::uid);
    content_match altered = match_by_content(left, right);
    if (auto ok = co_await pass_.prove_repaired(f, from_.requests[k], proof, right, altered); !ok) co_return ok;
    for (const std::uint32_t uid : pass_.judge_folder(f, proof, altered)) left_[f.target_handle].remove(uid, uid);
    co_return result<void>{};
}

} // namespace postferry::transfer
