#pragma once
// How numbers are written for people.
#include <cstdint>
#include <string>
#include <string_view>

namespace postferry {

[[nodiscard]] std::string grouped(std::uint64_t n); ///< 12,345
[[nodiscard]] std::string counted(std::uint64_t n, std::string_view one,
                                  std::string_view many = {}); ///< "1 message", "12,345 messages"

} // namespace postferry
