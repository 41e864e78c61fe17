// What verify says about each message that has no equal, and about what only the target has (docs/report.md).
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

/// Answers the messages of the target that belong to this folder's, though with other content.
std::set<std::uint32_t> mailbox_pass::state::judge_folder(folder_work& f, const folder_proof& proof,
                                                          const content_match& altered) {
    verify_report& v = *report_.verify;
    folder_report& out = f.proof;
    out = {
        .source = f.map.source, .target = f.map.target, .messages = {}, .octets = {}, .state = "synced", .notes = {}};
    if (!f.map.why.empty()) out.notes.push_back(f.map.why);
    out.messages.source = f.target ? f.present.count() : f.source.messages;
    out.messages.present = proof.identical + proof.uncompared + altered.pairs.size();
    out.octets.present = proof.identical_octets + proof.uncompared_octets;
    v.identical += proof.identical;
    v.altered_by_repair += proof.repaired.size();
    v.altered_by_server += altered.pairs.size() - proof.repaired.size();
    std::map<std::string, std::uint64_t> repairs;
    for (const auto& [uid, set] : proof.repaired)
        for (const message::repair r : cheapest_first(set)) ++repairs[std::string(name_of(r))];
    for (const auto& [name, n] : repairs) {
        out.notes.push_back(fmt::format("on the target in a repaired form: {} in {} messages", name, n));
        report_.repairs[name] += n;
    }
    if (proof.dates_differ > 0)
        report_.warnings.push_back(
            fmt::format("{}: the target keeps another INTERNALDATE for {} messages", f.map.source, proof.dates_differ));

    std::set<std::uint32_t> settled, on_target;
    for (const matched_pair& p : altered.pairs) settled.insert(p.source_uid);
    for (const digested& d : proof.only_target) on_target.insert(d.uid);
    std::set<std::uint32_t> claimed;
    for (const matched_pair& p : altered.pairs) claimed.insert(p.target_uid);
    std::uint64_t waived = 0;
    const auto known_id = [&f](std::uint32_t uid) {
        const auto item = f.failed.find(uid);
        return item == f.failed.end() ? std::string{} : item->second.message_id;
    };
    const auto fail_with = [&](const digested& s, std::string reason) {
        ++out.messages.failed;
        out.octets.failed += s.octets;
        waived += is_waived(f.map.source, s.uid) ? 1U : 0U;
        report_.failures.push_back({.folder = f.map.source,
                                    .source_uid = s.uid,
                                    .octets = s.octets,
                                    .message_id = known_id(s.uid),
                                    .cls = retry_class::permanent,
                                    .reason = std::move(reason),
                                    .waived = is_waived(f.map.source, s.uid)});
    };
    // Messages without an octet, above all: copy has failed them for the same reason.
    for (const uid_set::range& r : proof.unread.ranges()) {
        for (std::uint64_t uid = r.first; uid <= r.last; ++uid) {
            const auto known = f.failed.find(static_cast<std::uint32_t>(uid));
            ++v.missing;
            fail_with({.uid = static_cast<std::uint32_t>(uid), .date = 0, .octets = 0, .content = {}},
                      known != f.failed.end() ? known->second.reason : "The source lists it, but sends nothing of it");
        }
    }
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
        const bool told = known && row->state != item_state::failed && row->target_uid != 0;
        // A target that said OK and never gave the number away has never held the message.
        const bool never_there = told && f.target && f.target->uid_next != 0 && row->target_uid >= f.target->uid_next;
        if (told && !never_there && !on_target.contains(row->target_uid)) {
            // It was there and its owner has removed or moved it since; nothing is amiss.
            ++v.changed_since;
            ++out.messages.present;
            out.octets.present += s.octets;
        } else if (told && !never_there) {
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
    if (f.trouble || out.messages.failed > waived || out.messages.residual() != 0) out.state = "failed";
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
    for (const folder_work& f : folders_) {
        if (!f.moved || f.target_handle != target_handle) continue;
        for (const ledger_brief& row : f.rows) {
            const bool gone = row.state == item_state::gone || row.state == item_state::condemned;
            if (!gone || !extra.contains(row.target_uid)) continue;
            extra.remove(row.target_uid, row.target_uid);
            ++report_.verify->kept;
        }
    }
    const std::uint64_t foreign = extra.count();
    if (mark != 0) extra.remove(mark, UINT32_MAX);
    report_.verify->extra += extra.count();
    report_.verify->changed_since += foreign - extra.count();
}

} // namespace postferry::transfer
