#include "transfer/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <utility>

namespace postferry::transfer {

namespace {

// SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output.
std::uint64_t mixed(std::uint64_t x) noexcept {
    x += 0x9e37'79b9'7f4a'7c15;
    x = (x ^ (x >> 30U)) * 0xbf58'476d'1ce4'e5b9;
    x = (x ^ (x >> 27U)) * 0x94d0'49bb'1331'11eb;
    return x ^ (x >> 31U);
}

std::uint64_t key_of(std::uint64_t seed, std::string_view folder) noexcept {
    std::uint64_t key = mixed(seed);
    for (const char c : folder) key = mixed(key ^ static_cast<unsigned char>(c));
    return key;
}

/// ln P(at most k of n), each with probability p; by the sum of its terms, largest first taken out.
double log_at_most(std::uint64_t k, std::uint64_t n, double p) noexcept {
    const double trials = static_cast<double>(n);
    double sum = 0, largest = -HUGE_VAL;
    for (std::uint64_t i = 0; i <= k; ++i) {
        const double hits = static_cast<double>(i);
        const double term = std::lgamma(trials + 1) - std::lgamma(hits + 1) - std::lgamma(trials - hits + 1) +
                            hits * std::log(p) + (trials - hits) * std::log1p(-p);
        if (term > largest) {
            sum = sum * std::exp(largest - term) + 1;
            largest = term;
        } else {
            sum += std::exp(term - largest);
        }
    }
    return largest + std::log(sum);
}

} // namespace

std::uint64_t sample_size(const sample_wish& wish, std::uint64_t all) noexcept {
    if (all == 0) return 0;
    std::uint64_t n = all;
    if (wish.messages) n = *wish.messages;
    if (wish.share) n = static_cast<std::uint64_t>(std::ceil(*wish.share * static_cast<double>(all)));
    return std::clamp<std::uint64_t>(n, 1, all);
}

std::vector<std::uint64_t> allot(std::span<const std::uint64_t> messages, std::uint64_t n) {
    std::vector<std::uint64_t> out(messages.size(), 0);
    const auto all = std::accumulate(messages.begin(), messages.end(), std::uint64_t{0});
    n = std::min(n, all);
    // The largest first: where there are fewer than folders, the small ones go without.
    std::vector<std::size_t> order(messages.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
        return messages[a] != messages[b] ? messages[a] > messages[b] : a < b;
    });
    for (const std::size_t i : order) {
        if (n == 0 || messages[i] == 0) break;
        out[i] = 1;
        --n;
    }
    if (n == 0) return out;
    std::uint64_t left_over = all;
    for (const std::uint64_t given : out) left_over -= given;
    std::vector<std::pair<double, std::size_t>> fractions;
    std::uint64_t given = 0;
    for (const std::size_t i : order) {
        const double exact = static_cast<double>(n) * static_cast<double>(messages[i] - out[i]) /
                             static_cast<double>(std::max<std::uint64_t>(left_over, 1));
        const auto whole = std::min(static_cast<std::uint64_t>(exact), messages[i] - out[i]);
        out[i] += whole;
        given += whole;
        fractions.emplace_back(exact - static_cast<double>(whole), i);
    }
    std::ranges::sort(fractions, std::greater{});
    while (given < n) {
        for (const auto& [fraction, i] : fractions) {
            if (given == n) break;
            if (out[i] == messages[i]) continue;
            ++out[i];
            ++given;
        }
    }
    return out;
}

uid_set draw(const uid_set& uids, std::uint64_t n, std::uint64_t seed, std::string_view folder) {
    if (n >= uids.count()) return uids;
    // Those whose numbers, shuffled by the seed, are the lowest.
    const std::uint64_t key = key_of(seed, folder);
    std::priority_queue<std::pair<std::uint64_t, std::uint32_t>> lowest;
    for (const uid_set::range& r : uids.ranges()) {
        for (std::uint64_t uid = r.first; uid <= r.last && n > 0; ++uid) {
            lowest.emplace(mixed(key ^ mixed(uid)), static_cast<std::uint32_t>(uid));
            if (lowest.size() > n) lowest.pop();
        }
    }
    std::vector<std::uint32_t> drawn;
    for (; !lowest.empty(); lowest.pop()) drawn.push_back(lowest.top().second);
    std::ranges::sort(drawn);
    uid_set out;
    for (const std::uint32_t uid : drawn) out.add(uid);
    return out;
}

double differs_at_most(std::uint64_t compared, std::uint64_t different) noexcept {
    if (compared == 0 || different >= compared) return 1;
    const double doubt = std::log(0.05);
    double low = 0, high = 1;
    for (int i = 0; i < 60; ++i) {
        const double p = (low + high) / 2;
        (log_at_most(different, compared, p) > doubt ? low : high) = p;
    }
    return high;
}

} // namespace postferry::transfer
