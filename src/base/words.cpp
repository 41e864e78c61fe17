#include "base/words.hpp"

#include <fmt/format.h>

namespace postferry {

std::string grouped(std::uint64_t n) {
    std::string text = fmt::format("{}", n);
    for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
    return text;
}

std::string counted(std::uint64_t n, std::string_view one, std::string_view many) {
    if (n == 1) return fmt::format("1 {}", one);
    return many.empty() ? fmt::format("{} {}s", grouped(n), one) : fmt::format("{} {}", grouped(n), many);
}

} // namespace postferry
