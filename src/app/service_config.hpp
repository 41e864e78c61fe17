#pragma once
#include "app/config.hpp"

#include <filesystem>

namespace postferry::app {

/// The configuration of the service and of those who look for it: `named`, $POSTFERRY_CONFIG, the usual one, the one in
/// this folder, or none.
[[nodiscard]] std::expected<config_file, config_faults> find_service_config(const std::filesystem::path& named);

} // namespace postferry::app
