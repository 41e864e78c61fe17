// Proof from the servers themselves: every message of both sides is read and its content compared (docs/report.md).
#include "message/fingerprint.hpp"
#include "transfer/detail/pass_state.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

namespace postferry::transfer {

namespace {

using namespace boost::asio::experimental::awaitable_operators;

struct digested {
    std::uint32_t uid = 0;
    std::int64_t date = 0; ///< INTERNALDATE, seconds since 1970; 0 = none
    std::uint64_t octets = 0;
    sha256_digest content;
};

// Digests of whole folders, one list a request, by ascending UID.
template <class Hash> class digest_reader final : public mailbox::message_sink {
  public:
    digest_reader(std::size_t requests, std::function<void(std::uint64_t)> on_message)
        : found(requests), on_message_(std::move(on_message)) {}

    std::vector<std::vector<digested>> found;
    std::vector<std::pair<std::size_t, error>> troubles;

    task<result<void>> begin(mailbox::message_head head) override {
        request_ = head.request;
        found[request_].push_back(
            {.uid = head.uid, .date = head.date ? head.date->unix_seconds : 0, .octets = head.octets, .content = {}});
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        hash_.update(octets);
        co_return result<void>{};
    }
    task<result<void>> end() override {
        found[request_].back().content = hash_.finish();
        if (on_message_) on_message_(found[request_].back().octets);
        co_return result<void>{};
    }
    void header(mailbox::message_head, std::string_view) override {}
    void missing(std::size_t, uid_set, std::optional<error>) override {} // compared as not there
    void unavailable(std::size_t request, error why) override { troubles.emplace_back(request, std::move(why)); }

  private:
    std::function<void(std::uint64_t)> on_message_;
    std::size_t request_ = 0;
    Hash hash_;
};

class uid_lister final : public mailbox::scan_sink {
  public:
    explicit uid_lister(std::size_t n) : states(n), present(n), troubles(n) {}
    std::vector<mailbox::folder_state> states;
    std::vector<uid_set> present;
    std::vector<std::optional<error>> troubles;
    void flags(std::size_t, std::uint32_t, const std::vector<std::string>&) override {}
    void done(std::size_t request, const mailbox::folder_state& state, uid_set uids) override {
        states[request] = state;
        present[request] = std::move(uids);
    }
    void failed(std::size_t request, error why) override { troubles[request] = std::move(why); }
};

struct side_content {
    std::vector<mailbox::fetch_request> requests;
    std::vector<std::vector<digested>> messages;
    std::vector<std::optional<error>> troubles;
};

task<result<void>> read_side(mailbox::source& place, const std::vector<std::string>& handles,
                             std::function<void(std::uint64_t)> on_message, side_content& out) {
    std::vector<mailbox::scan_request> scans;
    for (const std::string& h : handles)
        scans.push_back({.handle = h, .known_uid_validity = 0, .known_uid_next = 0, .known_modseq = 0});
    uid_lister lister(handles.size());
    if (auto ok = co_await place.scan(scans, lister); !ok) co_return ok;
    for (std::size_t i = 0; i < handles.size(); ++i)
        out.requests.push_back({.handle = handles[i],
                                .uid_validity = lister.states[i].uid_validity,
                                .uids = std::move(lister.present[i])});
    out.troubles = std::move(lister.troubles);
    digest_reader<sha256> reader(handles.size(), std::move(on_message));
    if (auto ok = co_await place.fetch(out.requests, mailbox::fetch_part::whole, reader); !ok) co_return ok;
    out.messages = std::move(reader.found);
    for (auto& [request, why] : reader.troubles) out.troubles[request] = std::move(why);
    co_return result<void>{};
}

// The tolerant digests of the messages that did not find their equal.
task<result<void>> read_tolerantly(mailbox::source& place, const mailbox::fetch_request& folder,
                                   const std::vector<digested>& which, std::vector<match_content>& out) {
    mailbox::fetch_request request{.handle = folder.handle, .uid_validity = folder.uid_validity, .uids = {}};
    for (const digested& d : which) request.uids.add(d.uid);
    digest_reader<message::tolerant_digest> reader(1, {});
    if (auto ok = co_await place.fetch({&request, 1}, mailbox::fetch_part::whole, reader); !ok) co_return ok;
    for (const digested& d : reader.found.front()) out.push_back({.uid = d.uid, .content = d.content});
    co_return result<void>{};
}

} // namespace

/// What verify found out about one folder.
struct mailbox_pass::state::folder_proof {
    std::vector<digested> only_source, only_target;
    std::uint64_t identical = 0, identical_octets = 0, dates_differ = 0;
};

namespace {

template <class Proof>
Proof compare(std::vector<digested> source, std::vector<digested> target,
              const std::unordered_map<std::uint32_t, std::uint32_t>& mapped) {
    Proof out;
    std::unordered_map<std::uint32_t, std::size_t> target_by_uid;
    std::multimap<sha256_digest, std::size_t> target_by_content;
    for (std::size_t i = 0; i < target.size(); ++i) target_by_uid.emplace(target[i].uid, i);
    std::vector<bool> taken(target.size(), false);
    const auto pair = [&](const digested& s, std::size_t t) {
        taken[t] = true;
        ++out.identical;
        out.identical_octets += s.octets;
        if (s.date != 0 && target[t].date != 0 && s.date != target[t].date) ++out.dates_differ;
    };
    // First the partners that the ledger names, then equal content, lowest UIDs first: equal messages are a multiset.
    std::vector<digested> rest;
    for (digested& s : source) {
        const auto to = mapped.find(s.uid);
        const auto at = to == mapped.end() ? target_by_uid.end() : target_by_uid.find(to->second);
        if (at != target_by_uid.end() && !taken[at->second] && target[at->second].content == s.content)
            pair(s, at->second);
        else
            rest.push_back(s);
    }
    for (std::size_t i = 0; i < target.size(); ++i)
        if (!taken[i]) target_by_content.emplace(target[i].content, i);
    for (const digested& s : rest) {
        const auto at = target_by_content.find(s.content);
        if (at == target_by_content.end()) {
            out.only_source.push_back(s);
        } else {
            pair(s, at->second);
            target_by_content.erase(at);
        }
    }
    for (std::size_t i = 0; i < target.size(); ++i)
        if (!taken[i]) out.only_target.push_back(target[i]);
    return out;
}

} // namespace

task<mailbox_report> mailbox_pass::state::verify() {
    const auto started = std::chrono::steady_clock::now();
    report_ = {};
    report_.source = names_.source;
    report_.target = names_.target;
    report_.pass = pass_kind::verify;
    changes_nothing_ = true;
    unsigned tries = 0;
    result<void> ok;
    do {
        if (tries > 0) note("the connection was lost; verifying again from the start");
        ok = co_await verify_once();
        co_await let_go();
    } while (!ok && !stop_ && ok.error().cls == retry_class::transient && ever_connected_ && ++tries < 3);
    if (mailbox_open_) env_.books->close_mailbox(mailbox_);
    mailbox_open_ = false;
    if (!ok) report_.stopped_by = stop_ ? stopped() : ok.error();
    if (!report_.verify) report_.verify.emplace();
    const bool proven =
        ok && report_.verify->missing == 0 &&
        std::ranges::none_of(report_.folders, [](const folder_report& f) { return f.state == "failed"; });
    report_.state = proven  ? mailbox_state::completed
                    : stop_ ? mailbox_state::interrupted
                    : ok    ? mailbox_state::synced
                            : mailbox_state::failed;
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    report_.mark = grade_of(report_);
    progress_now(report_.state);
    co_return report_;
}

task<result<void>> mailbox_pass::state::verify_once() {
    folders_.clear();
    report_.folders.clear();
    report_.failures.clear();
    report_.messages = report_.octets = {};
    report_.skip_rules.clear();
    report_.verify = verify_report{};
    progress_now(mailbox_state::connecting);
    if (auto ok = co_await connect(); !ok) co_return ok;
    if (auto ok = co_await list(false); !ok) co_return ok;
    if (auto ok = map(); !ok) co_return ok;
    if (auto ok = co_await read_ledger(); !ok) co_return ok;
    progress_now(mailbox_state::scanning);
    std::vector<std::string> from, to;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        folder_work& f = folders_[i];
        f.moved = f.map.what == mapped_folder::verdict::copy;
        if (!f.moved || !f.target) continue;
        progress_.messages_total += f.source.messages;
        from.push_back(f.source_handle);
        to.push_back(f.target_handle);
        which.push_back(i);
    }
    if (auto ok = co_await load_rows(); !ok) co_return ok;
    const auto count = [this](std::uint64_t octets) {
        ++progress_.messages_done;
        progress_.octets_done += octets;
        progress_now(mailbox_state::copying);
    };
    side_content source, target;
    std::map<std::string, std::vector<digested>> unclaimed; // by target folder
    auto [a, b] = co_await (read_side(*source_, from, count, source) && read_side(*target_, to, {}, target));
    if (!a) co_return a;
    if (!b) co_return b;
    for (std::size_t k = 0; k < which.size(); ++k) {
        folder_work& f = folders_[which[k]];
        f.trouble = source.troubles[k] ? source.troubles[k] : target.troubles[k];
        f.present = source.requests[k].uids;
        // Books of another UIDVALIDITY prove nothing.
        if (f.book.target_uid_validity != target.requests[k].uid_validity ||
            f.book.source_uid_validity != source.requests[k].uid_validity)
            f.rows.clear();
        std::unordered_map<std::uint32_t, std::uint32_t> mapped;
        for (const ledger_brief& row : f.rows)
            if (row.target_uid != 0) mapped.emplace(row.source_uid, row.target_uid);
        // Of a folder that several were merged into each sees what those before it have left.
        const auto [pool, first] = unclaimed.try_emplace(f.target_handle);
        if (first) pool->second = std::move(target.messages[k]);
        folder_proof proof = compare<folder_proof>(std::move(source.messages[k]), std::move(pool->second), mapped);
        std::vector<match_content> left, right;
        if (!proof.only_source.empty() && !proof.only_target.empty()) {
            if (auto ok = co_await read_tolerantly(*source_, source.requests[k], proof.only_source, left); !ok)
                co_return ok;
            if (auto ok = co_await read_tolerantly(*target_, target.requests[k], proof.only_target, right); !ok)
                co_return ok;
        }
        const std::set<std::uint32_t> claimed = judge_folder(f, proof, match_by_content(left, right));
        pool->second = std::move(proof.only_target);
        std::erase_if(pool->second, [&claimed](const digested& t) { return claimed.contains(t.uid); });
    }
    for (const auto& [handle, messages] : unclaimed) {
        uid_set uids;
        for (const digested& t : messages) uids.add(t.uid);
        count_unclaimed(handle, uids);
    }
    for (folder_work& f : folders_)
        if (f.moved && !f.target) judge_folder(f, {}, {});
    for (const folder_work& f : folders_) {
        folder_report out = f.proof;
        if (!f.moved) fill_folder(f, out);
        report_.messages += out.messages;
        report_.octets += out.octets;
        report_.folders.push_back(std::move(out));
    }
    co_return result<void>{};
}

/// Answers the messages of the target that belong to this folder's, though with other content.
std::set<std::uint32_t> mailbox_pass::state::judge_folder(folder_work& f, const folder_proof& proof,
                                                          const content_match& altered) {
    verify_report& v = *report_.verify;
    folder_report& out = f.proof;
    out = {
        .source = f.map.source, .target = f.map.target, .messages = {}, .octets = {}, .state = "synced", .notes = {}};
    if (!f.map.why.empty()) out.notes.push_back(f.map.why);
    out.messages.source = f.target ? f.present.count() : f.source.messages;
    out.messages.present = proof.identical + altered.pairs.size();
    out.octets.present = proof.identical_octets;
    v.identical += proof.identical;
    v.altered_by_server += altered.pairs.size();
    if (proof.dates_differ > 0)
        report_.warnings.push_back(
            fmt::format("{}: the target keeps another INTERNALDATE for {} messages", f.map.source, proof.dates_differ));

    std::set<std::uint32_t> settled, on_target;
    for (const matched_pair& p : altered.pairs) settled.insert(p.source_uid);
    for (const digested& d : proof.only_target) on_target.insert(d.uid);
    std::set<std::uint32_t> claimed;
    for (const matched_pair& p : altered.pairs) claimed.insert(p.target_uid);
    const auto fail_with = [&](const digested& s, std::string reason) {
        ++out.messages.failed;
        out.octets.failed += s.octets;
        report_.failures.push_back({.folder = f.map.source,
                                    .source_uid = s.uid,
                                    .octets = s.octets,
                                    .message_id = {},
                                    .cls = retry_class::permanent,
                                    .reason = std::move(reason)});
    };
    for (const digested& s : proof.only_source) {
        if (settled.contains(s.uid)) {
            out.octets.present += s.octets;
            continue;
        }
        const auto row = std::ranges::lower_bound(f.rows, s.uid, {}, &ledger_brief::source_uid);
        const bool known = row != f.rows.end() && row->source_uid == s.uid;
        const char* rule = options_.max_octets && s.octets > *options_.max_octets                ? "--max-size"
                           : options_.since_unix && s.date != 0 && s.date < *options_.since_unix ? "--since"
                                                                                                 : nullptr;
        if (known && row->state != item_state::failed && row->target_uid != 0 && !on_target.contains(row->target_uid)) {
            // It was there and its owner has removed or moved it since; nothing is amiss.
            ++v.changed_since;
            ++out.messages.present;
            out.octets.present += s.octets;
        } else if (known && row->state != item_state::failed && row->target_uid != 0) {
            ++v.different;
            claimed.insert(row->target_uid);
            fail_with(s, fmt::format("The target's message (UID {}) has other content", row->target_uid));
        } else if (rule != nullptr) {
            ++out.messages.skipped;
            out.octets.skipped += s.octets;
            ++report_.skip_rules[rule];
        } else {
            ++v.missing;
            const auto reason = f.failed.find(s.uid);
            fail_with(s, reason != f.failed.end() ? reason->second.reason : "It is not on the target; run copy again");
        }
    }
    if (!f.target && f.source.messages > 0) {
        v.missing += f.source.messages;
        out.notes.emplace_back("the folder is not on the target; run copy again");
    }
    out.octets.source = out.octets.present + out.octets.skipped + out.octets.failed;
    if (f.trouble) out.notes.push_back(f.trouble->message());
    if (f.trouble || out.messages.failed > 0 || out.messages.residual() != 0) out.state = "failed";
    return claimed;
}

// What came after the last pass had looked, its owner received; the rest is from elsewhere.
void mailbox_pass::state::count_unclaimed(const std::string& target_handle, const uid_set& uids) {
    std::uint32_t mark = 0;
    for (const folder_work& f : folders_)
        if (f.moved && f.target_handle == target_handle && f.book.id != 0 && f.target &&
            f.target->uid_validity == f.book.target_uid_validity)
            mark = std::max(mark, f.book.target_mark);
    uid_set extra = uids;
    if (mark != 0) extra.remove(mark, UINT32_MAX);
    report_.verify->extra += extra.count();
    report_.verify->changed_since += uids.count() - extra.count();
}

} // namespace postferry::transfer
