#pragma once
#include "base/secret.hpp"

#include <filesystem>
#include <optional>

namespace postferry::app {

/// Says how the first owner is made. The link goes to standard output when that is a terminal, else into a file beside
/// the key file that only this user can read: logs are read by others. None: there is an owner, and the file goes.
void show_first_owner_link(const std::optional<secret>& link, const std::filesystem::path& key_file);

} // namespace postferry::app
