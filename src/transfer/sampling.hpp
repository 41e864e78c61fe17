#pragma once
// Pure rules of a sampled proof: how many messages, which ones, and what they say about all the others.
#include "base/uid_set.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace postferry::transfer {

/// What was asked for: at most one of the first two; neither: everything.
struct sample_wish {
    std::optional<std::uint64_t> messages{};
    std::optional<double> share{}; ///< above 0, at most 1
    std::uint64_t seed = 0;

    [[nodiscard]] bool wanted() const noexcept { return messages || share; }
};

/// Messages to compare out of `all`; at least one where there is any.
[[nodiscard]] std::uint64_t sample_size(const sample_wish& wish, std::uint64_t all) noexcept;

/// Shares `n` out among folders with so many messages: one for each that has any, as far as they go, the rest in
/// proportion. The sum is n, or all messages where there are fewer.
[[nodiscard]] std::vector<std::uint64_t> allot(std::span<const std::uint64_t> messages, std::uint64_t n);

/// `n` of `uids`, each as likely as any other; the same for the same seed and folder, whatever else there is.
[[nodiscard]] uid_set draw(const uid_set& uids, std::uint64_t n, std::uint64_t seed, std::string_view folder);

/// The share of all messages that, with 95 % confidence, no more than differ, when `different` of `compared` drawn ones
/// did (Clopper-Pearson, one-sided; drawing without putting back only makes it safer). 600 without a difference: 0.005.
[[nodiscard]] double differs_at_most(std::uint64_t compared, std::uint64_t different) noexcept;

} // namespace postferry::transfer
