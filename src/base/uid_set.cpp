#include "base/uid_set.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry {

uid_set uid_set::of(std::uint32_t first, std::uint32_t last) {
    uid_set set;
    set.add(first, last);
    return set;
}

void uid_set::add(std::uint32_t first, std::uint32_t last) {
    if (first > last) std::swap(first, last);
    if (last == 0) return;
    first = std::max(first, 1U);
    if (ranges_.empty() || std::uint64_t{ranges_.back().last} + 1 < first) {
        ranges_.push_back({first, last});
        return;
    }
    // The first range that touches or follows [first, last], and the first one beyond it.
    const auto touches = [](const range& r, std::uint64_t uid) { return std::uint64_t{r.last} + 1 < uid; };
    const auto from = std::lower_bound(ranges_.begin(), ranges_.end(), std::uint64_t{first}, touches);
    auto to = from;
    while (to != ranges_.end() && to->first <= std::uint64_t{last} + 1) {
        first = std::min(first, to->first);
        last = std::max(last, to->last);
        ++to;
    }
    if (from == to) {
        ranges_.insert(from, {first, last});
    } else {
        *from = {first, last};
        ranges_.erase(from + 1, to);
    }
}

void uid_set::remove(std::uint32_t first, std::uint32_t last) {
    if (first > last) std::swap(first, last);
    const auto from = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                                       [](const range& r, std::uint32_t uid) { return r.last < uid; });
    std::vector<range> rest;
    auto to = from;
    while (to != ranges_.end() && to->first <= last) {
        if (to->first < first) rest.push_back({to->first, first - 1});
        if (to->last > last) rest.push_back({last + 1, to->last});
        ++to;
    }
    const auto at = ranges_.erase(from, to);
    ranges_.insert(at, rest.begin(), rest.end());
}

void uid_set::add(const uid_set& other) {
    for (const range& r : other.ranges_) add(r.first, r.last);
}

void uid_set::remove(const uid_set& other) {
    if (other.ranges_.size() <= 1) {
        for (const range& r : other.ranges_) remove(r.first, r.last);
        return;
    }
    // One walk over both, so that subtracting a scattered set from another stays linear.
    std::vector<range> out;
    auto cut = other.ranges_.begin();
    for (range r : ranges_) {
        while (cut != other.ranges_.end() && cut->last < r.first) ++cut;
        bool all_gone = false;
        for (auto c = cut; c != other.ranges_.end() && c->first <= r.last; ++c) {
            if (c->first > r.first) out.push_back({r.first, c->first - 1});
            if (c->last >= r.last) {
                all_gone = true;
                break;
            }
            r.first = c->last + 1;
        }
        if (!all_gone) out.push_back(r);
    }
    ranges_ = std::move(out);
}

bool uid_set::contains(std::uint32_t uid) const noexcept {
    const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), uid,
                                     [](const range& r, std::uint32_t u) { return r.last < u; });
    return at != ranges_.end() && at->first <= uid;
}

std::uint64_t uid_set::count() const noexcept {
    std::uint64_t n = 0;
    for (const range& r : ranges_) n += std::uint64_t{r.last} - r.first + 1;
    return n;
}

uid_set uid_set::take_front(std::uint64_t n, std::size_t max_ranges) {
    uid_set out;
    auto at = ranges_.begin();
    while (n > 0 && at != ranges_.end() && out.ranges_.size() < max_ranges) {
        const std::uint64_t size = std::uint64_t{at->last} - at->first + 1;
        if (size <= n) {
            out.ranges_.push_back(*at);
            n -= size;
            ++at;
        } else {
            const auto last = static_cast<std::uint32_t>(at->first + n - 1);
            out.ranges_.push_back({at->first, last});
            at->first = last + 1;
            n = 0;
        }
    }
    ranges_.erase(ranges_.begin(), at);
    return out;
}

std::string uid_set::to_string() const {
    std::string out;
    for (const range& r : ranges_) {
        if (!out.empty()) out += ',';
        fmt::format_to(std::back_inserter(out), "{}", r.first);
        if (r.last != r.first) fmt::format_to(std::back_inserter(out), ":{}", r.last);
    }
    return out;
}

std::optional<uid_set> uid_set::parse(std::string_view text) {
    std::vector<range> ranges;
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view item = text.substr(0, comma);
        const std::size_t colon = item.find(':');
        const auto first = parse_u32(item.substr(0, colon));
        const auto last = colon == std::string_view::npos ? first : parse_u32(item.substr(colon + 1));
        if (!first || !last || *first == 0 || *last == 0) return std::nullopt;
        ranges.push_back({std::min(*first, *last), std::max(*first, *last)});
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    // Sorted first: adding a server's million UIDs in descending order one by one would take minutes.
    if (!std::ranges::is_sorted(ranges, {}, &range::first)) std::ranges::sort(ranges, {}, &range::first);
    uid_set out;
    for (const range& r : ranges) out.add(r.first, r.last);
    return out;
}

} // namespace postferry
