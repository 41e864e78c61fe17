#include "transfer/deletion.hpp"

#include <fmt/format.h>

namespace postferry::transfer {

std::string why_not_delete(std::uint64_t now, std::uint64_t before) {
    if (now == 0) return fmt::format("the source lists no message, at the last pass it had {}", before);
    if (now < before - now && before > now)
        return fmt::format("the source lists {} messages, at the last pass it had {}: fewer than half", now, before);
    return {};
}

} // namespace postferry::transfer
