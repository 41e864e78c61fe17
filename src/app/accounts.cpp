#include "app/accounts.hpp"

#include "app/credentials.hpp"

namespace postferry::app {

account_defaults with_files(account_defaults defaults) {
    defaults.read_file = [](const std::filesystem::path& file) { return read_secret_file(file, "the refresh token"); };
    return defaults;
}

} // namespace postferry::app
