#pragma once
// Pure rules of --delete-extra (docs/adr/0009): when a source is not to be believed.
#include <cstdint>
#include <string>

namespace postferry::transfer {

/// Why nothing may be deleted when the source lists `now` messages and had `before` at the last pass; empty: it may.
/// A source that lists nothing, or fewer than half, is more likely broken than emptied.
[[nodiscard]] std::string why_not_delete(std::uint64_t now, std::uint64_t before);

} // namespace postferry::transfer
