// Knowing repaired messages again: for verify, and for a copy whose ledger is lost (docs/report.md#repairs).
#include "message/fingerprint.hpp"
#include "transfer/detail/pass_state.hpp"

#include <algorithm>
#include <bit>

namespace postferry::transfer {

namespace {

using message::repair;
using message::repair_plan;
using message::repair_set;

constexpr std::size_t most_forms = 16; ///< of one message

// One reading of messages, all through something that is made for each.
template <class Work> class reading final : public mailbox::message_sink {
  public:
    /// @param make what a message goes through, by UID  @param done is given it at the end
    reading(std::function<Work(std::uint32_t)> make, std::function<void(std::uint32_t, Work&)> done)
        : make_(std::move(make)), done_(std::move(done)) {}
    task<result<void>> begin(mailbox::message_head head) override {
        uid_ = head.uid;
        work_.emplace(make_(uid_));
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        for (auto& w : *work_) w.update(octets);
        co_return result<void>{};
    }
    task<result<void>> end() override {
        done_(uid_, *work_);
        co_return result<void>{};
    }
    void header(mailbox::message_head, std::string_view) override {}
    void missing(std::size_t, uid_set, std::optional<error>) override {} // what cannot be read has no form
    void unavailable(std::size_t, error) override {}

  private:
    std::function<Work(std::uint32_t)> make_;
    std::function<void(std::uint32_t, Work&)> done_;
    std::uint32_t uid_ = 0;
    std::optional<Work> work_;
};

class form_digest {
  public:
    explicit form_digest(const repair_plan& plan) : mend_(plan) {}
    void update(std::string_view octets) {
        text_.clear();
        mend_.update(octets, text_);
        digest_.update(text_);
    }
    sha256_digest finish() {
        text_.clear();
        mend_.finish(text_);
        digest_.update(text_);
        return digest_.finish();
    }

  private:
    message::repairer mend_;
    message::tolerant_digest digest_;
    std::string text_;
};

using plans_by_uid = std::map<std::uint32_t, std::vector<repair_plan>>;

/// Reads `which` and surveys each message for the sets that `wanted` answers.
task<result<plans_by_uid>> survey_all(mailbox::source& place, const mailbox::fetch_request& which,
                                      std::function<std::vector<repair_set>(std::uint32_t)> wanted) {
    plans_by_uid out;
    reading<std::vector<message::repair_survey>> reader(
        [&](std::uint32_t uid) {
            std::vector<message::repair_survey> surveys;
            for (const repair_set s : wanted(uid)) surveys.emplace_back(s);
            return surveys;
        },
        [&](std::uint32_t uid, std::vector<message::repair_survey>& surveys) {
            for (message::repair_survey& s : surveys) out[uid].push_back(s.finish());
        });
    if (auto ok = co_await place.fetch({&which, 1}, mailbox::fetch_part::whole, reader); !ok)
        co_return std::unexpected(ok.error());
    co_return out;
}

/// All sets that a target may have been given, those of fewest repairs first.
std::vector<repair_set> sets_within(repair_set applicable) {
    std::vector<repair_set> out;
    for (unsigned bits = 1; bits <= applicable.bits(); ++bits)
        if ((repair_set::of_bits(bits) | applicable) == applicable) out.push_back(repair_set::of_bits(bits));
    std::ranges::sort(out, {}, [](repair_set s) { return std::pair(std::popcount(s.bits()), s.bits()); });
    // Many faults in one message are rare, and then all were mended.
    if (out.size() > most_forms) {
        const repair_set all = out.back();
        out.resize(most_forms - 1);
        out.push_back(all);
    }
    return out;
}

// Books that know the message know its repairs, too; without them any form may be ours.
const ledger_brief* row_of(const folder_work& f, std::uint32_t uid) {
    const auto row = std::ranges::lower_bound(f.rows, uid, {}, &ledger_brief::source_uid);
    return row != f.rows.end() && row->source_uid == uid && row->state != item_state::failed ? &*row : nullptr;
}

} // namespace

task<result<std::vector<repaired_form>>> repaired_forms(mailbox::source& place, mailbox::fetch_request which) {
    std::vector<repaired_form> out;
    const auto singles = [](std::uint32_t) {
        std::vector<repair_set> each;
        for (const repair r : cheapest_first(repair_set::all()))
            if (r != repair::literal8) each.push_back({r});
        return each;
    };
    auto first = co_await survey_all(place, which, singles);
    if (!first) co_return std::unexpected(first.error());
    std::map<std::uint32_t, repair_set> applicable;
    which.uids = {};
    for (const auto& [uid, plans] : *first) {
        repair_set effective;
        for (const repair_plan& p : plans) effective = effective | p.effective;
        if (effective.empty()) continue;
        applicable.emplace(uid, effective);
        which.uids.add(uid);
    }
    if (which.uids.empty()) co_return out;
    auto plans = co_await survey_all(place, which, [&](std::uint32_t uid) { return sets_within(applicable[uid]); });
    if (!plans) co_return std::unexpected(plans.error());
    reading<std::vector<form_digest>> digests(
        [&](std::uint32_t uid) {
            std::vector<form_digest> all;
            for (const repair_plan& p : (*plans)[uid]) all.emplace_back(p);
            return all;
        },
        [&](std::uint32_t uid, std::vector<form_digest>& all) {
            for (std::size_t i = 0; i < all.size(); ++i)
                out.push_back({.uid = uid, .repairs = (*plans)[uid][i].effective, .content = all[i].finish()});
        });
    if (auto ok = co_await place.fetch({&which, 1}, mailbox::fetch_part::whole, digests); !ok)
        co_return std::unexpected(ok.error());
    co_return out;
}

std::vector<matched_pair> match_repaired(const std::vector<repaired_form>& forms,
                                         const std::vector<match_content>& on_target, std::set<std::uint32_t>& taken,
                                         std::map<std::uint32_t, repair_set>& repairs) {
    std::multimap<sha256_digest, std::uint32_t> free;
    for (const match_content& c : on_target)
        if (!taken.contains(c.uid)) free.emplace(c.content, c.uid);
    std::vector<matched_pair> pairs;
    std::uint32_t done = 0;
    for (const repaired_form& form : forms) {
        const auto at = free.find(form.content);
        if (form.uid == done || at == free.end()) continue;
        done = form.uid;
        pairs.push_back({.source_uid = form.uid, .target_uid = at->second});
        repairs.emplace(form.uid, form.repairs);
        taken.insert(at->second);
        free.erase(at);
    }
    return pairs;
}

// A repaired message is on the target in another form, which is no fault of it: the form is made again and compared.
// Only what a server has made of a literal8 nobody can make again; there the books are believed.
task<result<void>> mailbox_pass::state::prove_repaired(const folder_work& f, mailbox::fetch_request folder,
                                                       folder_proof& proof, const std::vector<match_content>& on_target,
                                                       content_match& altered) {
    if (proof.only_source.empty() || on_target.empty()) co_return result<void>{};
    std::map<std::uint32_t, repair_set> books;
    if (f.book.id != 0 && !f.rows.empty()) {
        const auto noted = co_await env_.books->repaired(f.book.id);
        if (!noted) co_return std::unexpected(noted.error());
        for (const auto& [uid, bits] : *noted) books.emplace(uid, repair_set::of_bits(bits));
    }
    std::set<std::uint32_t> taken;
    for (const matched_pair& p : altered.pairs) {
        taken.insert(p.target_uid);
        if (const auto at = books.find(p.source_uid); at != books.end()) proof.repaired.insert(*at);
    }
    folder.uids = {};
    for (const std::uint32_t uid : altered.only_on_source)
        if (books.contains(uid) || row_of(f, uid) == nullptr) folder.uids.add(uid);
    if (folder.uids.empty()) co_return result<void>{};
    const auto forms = co_await repaired_forms(*source_, folder);
    if (!forms) co_return std::unexpected(forms.error());
    std::vector<matched_pair> pairs = match_repaired(*forms, on_target, taken, proof.repaired);
    for (const std::uint32_t uid : altered.only_on_source) {
        const auto noted = books.find(uid);
        if (noted == books.end() || !noted->second.has(repair::literal8) || proof.repaired.contains(uid)) continue;
        const ledger_brief* row = row_of(f, uid);
        if (row == nullptr || taken.contains(row->target_uid)) continue;
        if (std::ranges::find(on_target, row->target_uid, &match_content::uid) == on_target.end()) continue;
        taken.insert(row->target_uid);
        pairs.push_back({.source_uid = uid, .target_uid = row->target_uid});
        proof.repaired.insert(*noted);
    }
    for (const matched_pair& p : pairs) std::erase(altered.only_on_source, p.source_uid);
    altered.pairs.insert(altered.pairs.end(), pairs.begin(), pairs.end());
    co_return result<void>{};
}

} // namespace postferry::transfer
