#pragma once
#include "app/noun_table.hpp"

namespace postferry::app {

/// Options that stand for a batch's settings (openapi.yaml, BatchSettings); remote_settings.hpp reads them.
[[nodiscard]] std::vector<noun_option> settings_options();

/// Of what reads a CSV. @param writes not a preview
[[nodiscard]] std::vector<noun_option> import_options(bool writes);

} // namespace postferry::app
