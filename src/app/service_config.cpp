#include "app/service_config.hpp"

namespace postferry::app {

std::expected<config_file, config_faults> find_service_config(const std::filesystem::path& named) {
    constexpr const char* here = "postferry.toml";
    const config_surroundings around = config_surroundings::of_process();
    auto found = find_config(named, around);
    std::error_code ignored;
    const bool none = found && found->file.empty() && around.environment("POSTFERRY_CONFIG") == nullptr;
    if (none && std::filesystem::exists(here, ignored)) return find_config(here, around);
    return found;
}

} // namespace postferry::app
