#pragma once
// Aliases that the mail of a mailbox shows: what is looked for, and what of it is proposed (docs/bulk.md#aliases). On a
// database thread; transactions are the caller's.
#include "jobs/batch_settings.hpp"
#include "message/recipients.hpp"
#include "store/tables.hpp"
#include "transfer/report.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::jobs {

struct alias_search {
    std::optional<message::recipient_wish> wish = {}; ///< nothing: this pass does not look for any
    std::string why_not = {};                         ///< where it was asked for and is not possible
};

/// Once in the life of a mailbox as far as its batch (or the account's domain, or the company) wants it, and once more
/// with its final pass.
[[nodiscard]] result<alias_search> alias_search_of(store::tables& t, const store::migration& m,
                                                   const batch_settings& settings, transfer::pass_kind kind);

struct aliases_proposed {
    static constexpr std::size_t most = 50; ///< of one search
    std::vector<store::alias> fresh = {};   ///< the most messages first
    std::size_t known = 0;                  ///< proposed before: what speaks for them is as it is now
    std::size_t left_out = 0;               ///< more than `most`
};

/// Of what was found: addresses of domains that the project holds, which are neither accounts nor anybody's mailbox
/// nor aliases already; one that was refused for this account is not proposed again.
[[nodiscard]] result<aliases_proposed> propose_aliases(store::tables& t, const store::migration& m,
                                                       const message::recipient_wish& wish,
                                                       const message::recipients_found& found);

/// For the mailbox's log.
[[nodiscard]] std::string words_of(const aliases_proposed& p, const message::recipients_found& found);

} // namespace postferry::jobs
