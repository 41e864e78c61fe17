#pragma once
#include <string>

namespace postferry::app {

/// postferry(1) for man, in the macros of man(7): docs/man/postferry.1 is this text.
[[nodiscard]] std::string manual_page();

} // namespace postferry::app
