#pragma once
// What verify reads and compares: digests of messages, by folder.
#include "base/digest.hpp"
#include "mailbox/mailbox.hpp"
#include "message/repair.hpp"
#include "transfer/match.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postferry::transfer {

struct digested {
    std::uint32_t uid = 0;
    std::int64_t date = 0; ///< INTERNALDATE, seconds since 1970; 0 = none
    std::uint64_t octets = 0;
    sha256_digest content;
};

using partner_map = std::unordered_map<std::uint32_t, std::uint32_t>; ///< source UID -> target UID

/// What verify found out about one folder.
struct folder_proof {
    std::vector<digested> only_source, only_target;
    std::uint64_t identical = 0, identical_octets = 0, dates_differ = 0;
    uid_set unread{};                                        ///< listed by the source, which sent nothing of them
    std::uint64_t uncompared = 0, uncompared_octets = 0;     ///< on both sides, but not drawn
    std::map<std::uint32_t, message::repair_set> repaired{}; ///< source UID of what is there in a form that we made
};

/// What a repair makes of a message: message::tolerant_digest of it.
struct repaired_form {
    std::uint32_t uid = 0;
    message::repair_set repairs;
    sha256_digest content;
};

/// What each set of repairs that would change them makes of these messages, those of fewest repairs first. Reads them
/// two or three times.
[[nodiscard]] task<result<std::vector<repaired_form>>> repaired_forms(mailbox::source& place,
                                                                      mailbox::fetch_request which);

/// Pairs messages with what is on the target in one of their forms and not in `taken`, which grows by it; `repairs` is
/// told by source UID in which.
[[nodiscard]] std::vector<matched_pair> match_repaired(const std::vector<repaired_form>& forms,
                                                       const std::vector<match_content>& on_target,
                                                       std::set<std::uint32_t>& taken,
                                                       std::map<std::uint32_t, message::repair_set>& repairs);

/// Pairs the partners that are named where their content is equal, then equal content, lowest UIDs first: equal
/// messages are a multiset.
[[nodiscard]] folder_proof compare(std::vector<digested> source, std::vector<digested> target,
                                   const partner_map& partners);

/// Digests of messages, one list a request, by ascending UID.
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

/// Which messages are in each folder, and its state.
[[nodiscard]] task<result<void>> list_uids(mailbox::source& place, const std::vector<std::string>& handles,
                                           uid_lister& out);

struct side_content {
    std::vector<mailbox::folder_state> states;
    std::vector<mailbox::fetch_request> requests;
    std::vector<std::vector<digested>> messages;
    std::vector<std::optional<error>> troubles;
};

/// Reads the messages that `out.requests` names.
[[nodiscard]] task<result<void>> read_digests(mailbox::source& place, std::function<void(std::uint64_t)> on_message,
                                              side_content& out);
/// The tolerant digests of the messages that did not find their equal.
[[nodiscard]] task<result<void>> read_tolerantly(mailbox::source& place, const mailbox::fetch_request& folder,
                                                 const std::vector<digested>& which, std::vector<match_content>& out);

} // namespace postferry::transfer
