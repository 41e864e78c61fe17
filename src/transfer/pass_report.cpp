// What a pass has done, folder by folder, from what it knows and from the books.
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

// A repair pass does not look into folders without failures: what came there since is for another pass.
void mailbox_pass::state::leave_for_another_pass(balance& m) {
    m.present = std::min(m.present, m.source - std::min(m.source, m.copied));
    m.skipped = m.source - std::min(m.source, m.copied + m.present);
    if (m.skipped > 0) report_.skip_rules["repair"] += m.skipped;
}

namespace {

// quirk empty-body: those of them that were copied.
uid_set joined_of(const folder_memory& memory) {
    uid_set others = memory.joined;
    others.remove(memory.copied);
    uid_set out = memory.joined;
    out.remove(others);
    return out;
}

} // namespace

void mailbox_pass::state::note_oddities(const folder_work& f, folder_report& out) {
    if (!f.map.why.empty()) out.notes.push_back(f.map.why);
    out.notes.insert(out.notes.end(), f.notes.begin(), f.notes.end());
    if (f.flag_sets.left_keywords_out())
        out.notes.emplace_back("its messages bear more different sets of keywords than are kept; the others' were left "
                               "out, the messages were not");
    for (const std::string& k : f.keywords_dropped) {
        out.notes.push_back(fmt::format("keyword {} cannot be kept on the target", quote_server_text(k, 100)));
        if (std::ranges::find(report_.keywords_dropped, k) == report_.keywords_dropped.end())
            report_.keywords_dropped.push_back(k);
    }
    for (const auto& [name, n] : repairs_of(f)) {
        out.notes.push_back(fmt::format("repaired after a refusal: {} in {} messages", name, n));
        report_.repairs[name] += n;
    }
    if (const uid_set joined = joined_of(*f.memory); !joined.empty())
        out.notes.push_back(fmt::format("{} messages were put together from header and text, because the source does "
                                        "not give them whole: UID {}",
                                        joined.count(), quote_server_text(joined.to_string(), 200)));
}

// What an attempt did not come to see is told from the listing and the books.
void mailbox_pass::state::count_unseen(const folder_work& f, folder_report& out) {
    balance &m = out.messages, &o = out.octets;
    m.source = f.source.messages;
    if (f.map.what == mapped_folder::verdict::copy) {
        // Books of another UIDVALIDITY tell nothing.
        const bool books_hold = f.book.id != 0 && f.book.source_uid_validity == f.source.uid_validity;
        const ledger_folder::totals rows = books_hold ? f.book.rows : ledger_folder::totals{};
        m.present = rows.copied + rows.present - std::min(m.copied, rows.copied);
        o.present = rows.copied_octets + rows.present_octets - std::min(o.copied, rows.copied_octets);
        if (options_.kind == pass_kind::repair) leave_for_another_pass(m);
    } else if (!f.map.selectable) {
        m.source = 0;
    } else if (f.map.what != mapped_folder::verdict::impossible && m.source > 0) {
        // What cannot be copied under any name is no rule of the user's: it stays open in the balance.
        m.skipped = m.source;
        report_.skip_rules[std::string(name_of(f.map.what))] += m.source;
    }
}

void mailbox_pass::state::count_seen(const folder_work& f, folder_report& out) {
    balance &m = out.messages, &o = out.octets;
    uid_set earlier = f.known;
    earlier.remove(f.memory->copied);
    // What nobody can ask for stays open in the balance.
    m.source = f.present.count() + f.unlisted;
    if (f.unlisted > 0)
        out.notes.push_back(fmt::format("the source says to hold {} more messages than it lists", f.unlisted));
    // What an earlier attempt copied may have vanished before this one looked.
    uid_set gone = f.memory->copied;
    gone.remove(f.present);
    m.copied -= gone.count();
    m.present = earlier.count();
    o.present = f.known_octets -
                std::min(f.known_octets, f.known.empty() ? 0 : (f.known.count() == earlier.count() ? 0 : o.copied));
    for (const auto& [rule, uids] : f.skipped) {
        m.skipped += uids.count();
        if (!uids.empty()) report_.skip_rules[rule] += uids.count();
    }
    o.skipped = f.skipped_octets;
    for (const auto& [uid, item] : f.failed) {
        ++m.failed;
        o.failed += item.octets;
        report_.failures.push_back({.folder = f.map.source,
                                    .source_uid = uid,
                                    .octets = item.octets,
                                    .message_id = item.message_id,
                                    .cls = item.cls,
                                    .reason = item.reason,
                                    .waived = is_waived(f.map.source, uid)});
    }
    report_.vanished += f.vanished.count();
}

void mailbox_pass::state::fill_folder(const folder_work& f, folder_report& out) {
    out.source = f.map.source;
    out.target = f.map.target;
    note_oddities(f, out);
    balance &m = out.messages, &o = out.octets;
    out.deleted = f.memory->deleted;
    m.copied = f.memory->copied.count();
    o.copied = f.memory->copied_octets;
    std::uint64_t waived = 0;
    if (f.moved && f.scanned) {
        count_seen(f, out);
        for (const auto& [uid, item] : f.failed) waived += is_waived(f.map.source, uid) ? 1U : 0U;
    } else {
        count_unseen(f, out);
    }
    o.source = o.copied + o.present + o.skipped + o.failed;
    out.state = f.map.what != mapped_folder::verdict::copy
                    ? "skipped"
                    : (f.trouble || m.residual() != 0 || m.failed > waived ? "failed" : "synced");
    if (f.trouble) {
        out.notes.push_back(f.trouble->message());
        // A folder that could not be opened has no count of its own; the listing's stands for it.
        if (m.source == 0) m.source = f.source.messages;
        report_.warnings.push_back(fmt::format("{}: {}", f.map.source, f.trouble->message()));
    }
}

void mailbox_pass::state::fill_report() {
    if (folders_.empty()) return; // an attempt that did not come so far must not hide what an earlier one found
    report_.messages = {};
    report_.octets = {};
    report_.folders.clear();
    report_.failures.clear();
    report_.skip_rules.clear();
    report_.vanished = 0;
    report_.repairs.clear();
    report_.deleted = 0;
    for (const folder_work& f : folders_) {
        folder_report& out = report_.folders.emplace_back();
        fill_folder(f, out);
        report_.messages += out.messages;
        report_.octets += out.octets;
        report_.deleted += out.deleted;
    }
    if (dates_from_header_ > 0)
        report_.warnings.push_back(fmt::format(
            "{} messages have no usable INTERNALDATE; their date was taken from Received or Date", dates_from_header_));
}

} // namespace postferry::transfer
