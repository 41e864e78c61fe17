#pragma once
#include <string_view>

namespace postferry::app {

/// Writes to standard output, at once. What goes wrong is kept for output_trouble(): the work goes on without a reader.
void to_stdout(std::string_view text) noexcept;

/// Writes to standard error, at once. Never throws as fmt::print does: a terminal that was closed takes no last words.
void to_stderr(std::string_view text) noexcept;

/// Nobody reads standard output any more (`| head`): what goes on for its sake may end.
[[nodiscard]] bool reader_has_left() noexcept;

/// The errno of the first write that failed; 0 when everything arrived, or the reader had seen enough (`| head`).
[[nodiscard]] int output_trouble() noexcept;

} // namespace postferry::app
