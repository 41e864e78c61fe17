#pragma once
#include <string>

namespace postferry::jobs {

/// 128 bits by lot, hexadecimal: no two processes ever bear the same.
[[nodiscard]] std::string new_worker_id();
/// As the system calls itself; "localhost" when it does not.
[[nodiscard]] std::string host_name();

} // namespace postferry::jobs
