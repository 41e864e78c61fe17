#pragma once
#include <span>

namespace postferry::app {

/// `postferry store backup|restore|move|purge|rotate-key|status`; docs/store.md. Answers the exit code.
/// @param arguments without "store"
[[nodiscard]] int store_command(std::span<const char* const> arguments);

} // namespace postferry::app
