#pragma once
#include "transfer/folder_rules.hpp"

#include <span>
#include <string_view>

namespace postferry::transfer::detail {

struct special_use_name {
    std::string_view name; ///< as case_folded() leaves it
    special_use use;
};

/// Names under which clients and providers create their special folders, in no order that matters. A name that is as
/// likely an ordinary folder ("Old", "Important") is not here.
[[nodiscard]] std::span<const special_use_name> special_use_names() noexcept;

} // namespace postferry::transfer::detail
