#pragma once
// Pure rules: which messages of two folders are the same, where the ledger does not know. Matching is of multisets:
// two equal source messages need two equal target messages.
#include "base/digest.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace postferry::transfer {

/// A message as a header fetch shows it. UIDs of one side are distinct.
struct match_candidate {
    std::uint32_t uid = 0;
    sha256_digest fingerprint;
    bool strong = false;      ///< has a Message-ID
    std::uint64_t octets = 0; ///< RFC822.SIZE; 0 = unknown
};

struct matched_pair {
    std::uint32_t source_uid = 0;
    std::uint32_t target_uid = 0;
    bool operator==(const matched_pair&) const = default;
};

/// Messages with one fingerprint that it cannot tell apart. Neither list is empty; both ascend.
struct ambiguous_group {
    std::vector<std::uint32_t> source_uids, target_uids;
};

struct fingerprint_match {
    std::vector<matched_pair> pairs;           ///< certain; by ascending source UID
    std::vector<std::uint32_t> only_on_source; ///< certainly no partner; ascending
    std::vector<ambiguous_group>
        ambiguous; ///< to be decided by content (match_by_content); by ascending first source UID
};

/// Every source UID is in exactly one of the three. A fingerprint decides alone only where exactly one message on
/// each side bears it, it is strong, and the sizes are alike (sizes_are_alike). O((n+m) log(n+m)).
[[nodiscard]] fingerprint_match match_by_fingerprint(std::span<const match_candidate> source,
                                                     std::span<const match_candidate> target);

/// Whether two RFC822.SIZEs may be of one message: they differ by no more than 64 octets plus 2 % of the larger one.
/// That covers servers that count LF for CRLF (one octet a line: 1.3 % of base64, about 2 % of text), that add or drop
/// a Status field or the last line end. An unknown size (0) is like no other. A narrow bound costs only a look at the
/// content, a wide one could take a draft for its later version; RFC822.SIZE is a hint and decides nothing alone.
[[nodiscard]] bool sizes_are_alike(std::uint64_t a, std::uint64_t b) noexcept;

struct match_content {
    std::uint32_t uid = 0;
    sha256_digest content;      ///< message::tolerant_digest, of BODY.PEEK[]
    std::int64_t date_unix = 0; ///< INTERNALDATE; 0 = not known
    std::string flags{};        ///< canonical
};

struct content_match {
    std::vector<matched_pair> pairs;           ///< by ascending source UID
    std::vector<std::uint32_t> only_on_source; ///< ascending
};

/// The final pairing of any two sets: of equal contents those pair first that share date and flags, then those that
/// share the date, then the lowest UIDs; as many as the side that has fewer of them. (Two messages of one content may
/// well have different dates and flags: paired crosswise, one of them would be missing with what is its own.) Every
/// source UID given is in exactly one of the two.
[[nodiscard]] content_match match_by_content(std::span<const match_content> source,
                                             std::span<const match_content> target);

} // namespace postferry::transfer
