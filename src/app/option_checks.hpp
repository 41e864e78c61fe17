#pragma once
// From words to values: what the command line says, checked as a whole.
#include "app/options.hpp"

#include <string>
#include <vector>

namespace postferry::app {

/// As typed; an empty text was not given.
struct raw_options {
    std::vector<std::string> where;
    bool acl = false, no_acl = false, delete_extra = false;
    std::string waive, sample, seed;
    std::vector<std::string> report;
    std::string sign_key, make_key, check_signature, key;
    std::string source, target;
    std::string source_password_file, target_password_file, source_token_file, target_token_file;
    std::string source_oauth, target_oauth;
    config_secret source_password, target_password; ///< of the configuration
    std::string config;                             ///< the file
    bool no_config = false;
    std::vector<std::string> include, exclude, map;
    raw_guest guest;
    std::string since, max_size, pass, repair;
    std::optional<std::uint32_t> jobs, timeout; ///< seconds
    std::string state;
    bool dry_run = false, skip_invalid = false, no_repair = false;
    std::string log, log_format;
    bool json = false, quiet = false;
    int verbosity = 0;
};

/// What the command line leaves open, from [defaults].
void complete_options(raw_options& raw, command what, const config_defaults& from);

/// Errors: class config, a sentence that says what is allowed.
/// @param known the configuration, for the names in it; may be null
[[nodiscard]] result<run_options> check_options(command what, const raw_options& raw, const config* known = nullptr);

/// `common`, with the words about folders, messages and repairs. Errors as above.
[[nodiscard]] result<run_options> check_rules(run_options common, const raw_options& raw);

/// "1", "0.5": above 0, at most 100.
[[nodiscard]] std::optional<double> parse_percent(std::string_view text);

} // namespace postferry::app
