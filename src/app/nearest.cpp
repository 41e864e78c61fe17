#include "app/nearest.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace postferry::app {

namespace {

constexpr std::size_t longest = 64; // of a word that is compared at all

/// Optimal string alignment: insert, delete, replace, swap two neighbours. Case costs nothing, nor does "-" for "_".
std::size_t distance(std::string_view a, std::string_view b) {
    const auto folded = [](char c) { return c == '-' ? '_' : ascii_lower(c); };
    std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = folded(a[i - 1]) == folded(b[j - 1]);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0U : 1U)});
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(above);
        above.swap(row);
    }
    return above.back();
}

} // namespace

std::string_view nearest_word(std::string_view typed, std::span<const std::string_view> known) {
    std::string_view best;
    std::size_t least = typed.size() <= 4 ? 2 : 1 + typed.size() / 3; // the first that is too much
    if (typed.size() > longest) return best;
    for (const std::string_view word : known) {
        const std::size_t d = distance(typed, word);
        if (d >= least) continue;
        least = d;
        best = word;
    }
    return best;
}

} // namespace postferry::app
