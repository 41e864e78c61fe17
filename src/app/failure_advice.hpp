#pragma once
#include "transfer/report.hpp"

#include <string_view>

namespace postferry::app {

/// What whoever reads the report can do about a message that did not arrive.
[[nodiscard]] std::string_view advice_for(const transfer::failure& f) noexcept;

} // namespace postferry::app
