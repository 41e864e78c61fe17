// Reading both sides for verify, and comparing what was read.
#include "message/fingerprint.hpp"
#include "transfer/detail/proof.hpp"

#include <map>

namespace postferry::transfer {

task<result<void>> list_uids(mailbox::source& place, const std::vector<std::string>& handles, uid_lister& out) {
    std::vector<mailbox::scan_request> scans;
    for (const std::string& h : handles)
        scans.push_back({.handle = h, .known_uid_validity = 0, .known_uid_next = 0, .known_modseq = 0});
    co_return co_await place.scan(scans, out);
}

task<result<void>> read_digests(mailbox::source& place, std::function<void(std::uint64_t)> on_message,
                                side_content& out) {
    digest_reader<sha256> reader(out.requests.size(), std::move(on_message));
    if (auto ok = co_await place.fetch(out.requests, mailbox::fetch_part::whole, reader); !ok) co_return ok;
    out.messages = std::move(reader.found);
    out.troubles.resize(out.requests.size());
    for (auto& [request, why] : reader.troubles) out.troubles[request] = std::move(why);
    co_return result<void>{};
}

task<result<void>> read_tolerantly(mailbox::source& place, const mailbox::fetch_request& folder,
                                   const std::vector<digested>& which, std::vector<match_content>& out) {
    mailbox::fetch_request request{.handle = folder.handle, .uid_validity = folder.uid_validity, .uids = {}};
    for (const digested& d : which) request.uids.add(d.uid);
    digest_reader<message::tolerant_digest> reader(1, {});
    if (auto ok = co_await place.fetch({&request, 1}, mailbox::fetch_part::whole, reader); !ok) co_return ok;
    for (const digested& d : reader.found.front()) out.push_back({.uid = d.uid, .content = d.content});
    co_return result<void>{};
}

folder_proof compare(std::vector<digested> source, std::vector<digested> target, const partner_map& partners) {
    folder_proof out;
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
    std::vector<digested> rest;
    for (digested& s : source) {
        const auto to = partners.find(s.uid);
        const auto at = to == partners.end() ? target_by_uid.end() : target_by_uid.find(to->second);
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

} // namespace postferry::transfer
