// Proof from the servers themselves: the messages of both sides are read and their content compared (docs/report.md).
#include "transfer/detail/pass_state.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>

namespace postferry::transfer {

using namespace boost::asio::experimental::awaitable_operators;

namespace {

task<result<void>> read_side(mailbox::source& place, const std::vector<std::string>& handles,
                             std::function<void(std::uint64_t)> on_message, side_content& out) {
    uid_lister lister(handles.size());
    if (auto ok = co_await list_uids(place, handles, lister); !ok) co_return ok;
    for (std::size_t i = 0; i < handles.size(); ++i)
        out.requests.push_back({.handle = handles[i],
                                .uid_validity = lister.states[i].uid_validity,
                                .uids = std::move(lister.present[i])});
    out.states = std::move(lister.states);
    out.troubles = std::move(lister.troubles);
    co_return co_await read_digests(place, std::move(on_message), out);
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
    while (true) {
        if (tries > 0) note("the connection was lost; verifying again from the start");
        ok = co_await verify_once();
        co_await let_go(ok.has_value());
        // A budget that was spent is spent again on the same messages: verify reads them in one go.
        const bool pause = !ok && ok.error().cls == retry_class::throttled && ok.error().response_code != "BUDGET";
        if (pause && !stop_ && co_await wait_out(ok.error(), false)) continue;
        if (ok || stop_ || ok.error().cls != retry_class::transient || !ever_connected_ || ++tries >= 3) break;
    }
    admission_.reset();
    if (mailbox_open_) env_.books->close_mailbox(mailbox_);
    mailbox_open_ = false;
    if (!ok) report_.stopped_by = stop_ ? stopped() : ok.error();
    if (!report_.verify) report_.verify.emplace();
    // What somebody has accepted does not stand in the way: its folder is not failed.
    const bool proven =
        ok && std::ranges::none_of(report_.folders, [](const folder_report& f) { return f.state == "failed"; });
    report_.state = proven                                            ? mailbox_state::completed
                    : stop_ && !ok                                    ? mailbox_state::interrupted
                    : !ok && ok.error().cls == retry_class::throttled ? mailbox_state::throttled
                                                                      : mailbox_state::failed;
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    report_.mark = grade_of(report_);
    progress_now(report_.state);
    co_return report_;
}

// Books of another UIDVALIDITY prove nothing.
void mailbox_pass::state::drop_foreign_rows(folder_work& f, std::uint32_t source_uid_validity,
                                            const mailbox::folder_state& on_target) const {
    if (f.book.target_uid_validity != on_target.uid_validity || f.book.source_uid_validity != source_uid_validity) {
        f.rows.clear();
        f.book.target_mark = 0;
    }
    f.target = on_target;
}

task<result<void>> mailbox_pass::state::verify_once() {
    folders_.clear();
    report_.folders.clear();
    report_.failures.clear();
    report_.messages = report_.octets = {};
    report_.skip_rules.clear();
    report_.repairs.clear();
    report_.verify = verify_report{};
    if (auto ok = co_await unless_stopped(enter()); !ok) co_return ok;
    progress_now(mailbox_state::connecting);
    if (auto ok = co_await connect(); !ok) co_return ok;
    if (auto ok = co_await list(false); !ok) co_return ok;
    if (auto ok = map(); !ok) co_return ok;
    if (auto ok = co_await read_ledger(); !ok) co_return ok;
    progress_now(mailbox_state::scanning);
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        folder_work& f = folders_[i];
        f.moved = f.map.what == mapped_folder::verdict::copy;
        if (f.moved && f.target) which.push_back(i);
    }
    if (auto ok = co_await load_rows(); !ok) co_return ok;
    auto unclaimed = options_.sample.wanted() ? co_await prove_sample(which) : co_await prove_all(which);
    if (!unclaimed) co_return std::unexpected(unclaimed.error());
    for (const auto& [handle, uids] : *unclaimed) count_unclaimed(handle, uids);
    for (folder_work& f : folders_)
        if (f.moved && !f.target) judge_folder(f, {}, {});
    for (const folder_work& f : folders_) {
        folder_report out = f.proof;
        if (!f.moved) fill_folder(f, out);
        report_.messages += out.messages;
        report_.octets += out.octets;
        report_.folders.push_back(std::move(out));
    }
    verify_report& v = *report_.verify;
    v.compared = v.identical + v.different + v.altered_by_server + v.altered_by_repair;
    if (v.seed) v.at_most = differs_at_most(v.compared, v.different + v.altered_by_server);
    co_return result<void>{};
}

task<result<mailbox_pass::state::unclaimed_uids>>
mailbox_pass::state::prove_all(const std::vector<std::size_t>& which) {
    std::vector<std::string> from, to;
    for (const std::size_t i : which) {
        progress_.messages_total += folders_[i].source.messages;
        from.push_back(folders_[i].source_handle);
        to.push_back(folders_[i].target_handle);
    }
    const auto count = [this](std::uint64_t octets) {
        ++progress_.messages_done;
        progress_.octets_done += octets;
        progress_now(mailbox_state::copying);
    };
    side_content source, target;
    std::map<std::string, std::vector<digested>> unclaimed; // by target folder
    auto [a, b] = co_await (read_side(*source_, from, count, source) && read_side(*target_, to, {}, target));
    if (!a) co_return std::unexpected(a.error());
    if (!b) co_return std::unexpected(b.error());
    for (std::size_t k = 0; k < which.size(); ++k) {
        folder_work& f = folders_[which[k]];
        f.trouble = source.troubles[k] ? source.troubles[k] : target.troubles[k];
        f.present = source.requests[k].uids;
        drop_foreign_rows(f, source.requests[k].uid_validity, target.states[k]);
        partner_map partners;
        for (const ledger_brief& row : f.rows)
            if (row.target_uid != 0) partners.emplace(row.source_uid, row.target_uid);
        // Of a folder that several were merged into each sees what those before it have left.
        const auto [pool, first] = unclaimed.try_emplace(f.target_handle);
        if (first) pool->second = std::move(target.messages[k]);
        uid_set read;
        for (const digested& d : source.messages[k]) read.add(d.uid);
        folder_proof proof = compare(std::move(source.messages[k]), std::move(pool->second), partners);
        if (!f.trouble) {
            proof.unread = f.present;
            proof.unread.remove(read);
        }
        std::vector<match_content> left, right;
        if (!proof.only_source.empty() && !proof.only_target.empty()) {
            if (auto ok = co_await read_tolerantly(*source_, source.requests[k], proof.only_source, left); !ok)
                co_return std::unexpected(ok.error());
            if (auto ok = co_await read_tolerantly(*target_, target.requests[k], proof.only_target, right); !ok)
                co_return std::unexpected(ok.error());
        }
        content_match altered = match_by_content(left, right);
        if (auto ok = co_await prove_repaired(f, source.requests[k], proof, right, altered); !ok)
            co_return std::unexpected(ok.error());
        const std::set<std::uint32_t> claimed = judge_folder(f, proof, altered);
        pool->second = std::move(proof.only_target);
        std::erase_if(pool->second, [&claimed](const digested& t) { return claimed.contains(t.uid); });
    }
    unclaimed_uids out;
    for (const auto& [handle, messages] : unclaimed)
        for (const digested& t : messages) out[handle].add(t.uid);
    co_return out;
}

} // namespace postferry::transfer
