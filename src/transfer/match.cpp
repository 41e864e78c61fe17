#include "transfer/match.hpp"

#include <algorithm>
#include <functional>
#include <tuple>

namespace postferry::transfer {

namespace {

constexpr std::uint64_t alike_octets = 64;
constexpr std::uint64_t alike_share = 50; // one in so many: 2 %

/// Copies, sorted by key, then UID.
template <class T, class K> std::vector<T> sorted_by(std::span<const T> items, K T::* key) {
    std::vector<T> out(items.begin(), items.end());
    std::ranges::sort(out, std::less{}, [key](const T& item) { return std::tie(item.*key, item.uid); });
    return out;
}

/// The items from `rest`'s front that share its key; taken off `rest`.
template <class T, class K> std::span<const T> take_group(std::span<const T>& rest, K T::* key) {
    std::size_t n = 1;
    while (n < rest.size() && rest[n].*key == rest[0].*key) ++n;
    const std::span<const T> group = rest.first(n);
    rest = rest.subspan(n);
    return group;
}

/// Calls `decide(source group, target group)` for each key of the source; the target's group may be empty.
template <class T, class K, class F>
void for_each_group(std::span<const T> source, std::span<const T> target, K T::* key, F decide) {
    const std::vector<T> sorted_source = sorted_by(source, key);
    const std::vector<T> sorted_target = sorted_by(target, key);
    std::span<const T> left(sorted_source);
    std::span<const T> right(sorted_target);
    while (!left.empty()) {
        const std::span<const T> group = take_group(left, key);
        while (!right.empty() && right[0].*key < group[0].*key) right = right.subspan(1);
        if (right.empty() || right[0].*key != group[0].*key)
            decide(group, std::span<const T>{});
        else
            decide(group, take_group(right, key));
    }
}

using side = std::vector<const match_content*>;

side pointers_to(std::span<const match_content> items) {
    side out;
    for (const match_content& c : items) out.push_back(&c);
    return out;
}

/// Pairs what has equal keys, the lowest UIDs first. The unpaired stay.
template <class F> void pair_equal(side& ours, side& theirs, std::vector<matched_pair>& pairs, F key) {
    if (ours.empty() || theirs.empty()) return;
    const auto sort_key = [key](const match_content* c) { return std::tuple_cat(key(*c), std::tie(c->uid)); };
    std::ranges::sort(ours, {}, sort_key);
    std::ranges::sort(theirs, {}, sort_key);
    side left, right;
    std::size_t j = 0;
    for (const match_content* c : ours) {
        while (j < theirs.size() && key(*theirs[j]) < key(*c)) right.push_back(theirs[j++]);
        if (j < theirs.size() && key(*theirs[j]) == key(*c))
            pairs.push_back({c->uid, theirs[j++]->uid});
        else
            left.push_back(c);
    }
    right.insert(right.end(), theirs.begin() + static_cast<std::ptrdiff_t>(j), theirs.end());
    ours = std::move(left);
    theirs = std::move(right);
}

template <class T> std::vector<std::uint32_t> uids_of(std::span<const T> items) {
    std::vector<std::uint32_t> out;
    for (const T& item : items) out.push_back(item.uid);
    return out;
}

} // namespace

bool sizes_are_alike(std::uint64_t a, std::uint64_t b) noexcept {
    if (a == 0 || b == 0) return false;
    const auto [smaller, larger] = std::minmax(a, b);
    return larger - smaller <= alike_octets + larger / alike_share;
}

fingerprint_match match_by_fingerprint(std::span<const match_candidate> source,
                                       std::span<const match_candidate> target) {
    using group = std::span<const match_candidate>;
    fingerprint_match out;
    for_each_group(source, target, &match_candidate::fingerprint, [&](group ours, group theirs) {
        if (theirs.empty()) {
            for (const match_candidate& c : ours) out.only_on_source.push_back(c.uid);
        } else if (ours.size() == 1 && theirs.size() == 1 && ours[0].strong && theirs[0].strong &&
                   sizes_are_alike(ours[0].octets, theirs[0].octets)) {
            out.pairs.push_back({ours[0].uid, theirs[0].uid});
        } else {
            out.ambiguous.push_back({uids_of(ours), uids_of(theirs)});
        }
    });
    std::ranges::sort(out.pairs, {}, &matched_pair::source_uid);
    std::ranges::sort(out.only_on_source);
    std::ranges::sort(out.ambiguous, {}, [](const ambiguous_group& g) { return g.source_uids.front(); });
    return out;
}

content_match match_by_content(std::span<const match_content> source, std::span<const match_content> target) {
    using group = std::span<const match_content>;
    content_match out;
    for_each_group(source, target, &match_content::content, [&](group ours, group theirs) {
        side left = pointers_to(ours), right = pointers_to(theirs);
        pair_equal(left, right, out.pairs, [](const match_content& c) { return std::tie(c.date_unix, c.flags); });
        pair_equal(left, right, out.pairs, [](const match_content& c) { return std::tie(c.date_unix); });
        pair_equal(left, right, out.pairs, [](const match_content&) { return std::tuple<>(); });
        for (const match_content* c : left) out.only_on_source.push_back(c->uid);
    });
    std::ranges::sort(out.pairs, {}, &matched_pair::source_uid);
    std::ranges::sort(out.only_on_source);
    return out;
}

} // namespace postferry::transfer
