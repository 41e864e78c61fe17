#pragma once
#include "app/config.hpp"
#include "directory/settings.hpp"

#include <expected>
#include <string_view>

namespace postferry::app {

/// What directory::make_provisioner() takes: the lines of [provisioning.NAME], its driver too, with their places. The
/// KEY_file of a secret is read, and becomes KEY. A NAME that is not there: an empty list. Faults: a secret that cannot
/// be read; a number with a fraction.
[[nodiscard]] std::expected<directory::setting_list, config_faults> provisioning_settings(const config_file& file,
                                                                                          std::string_view name);

} // namespace postferry::app
