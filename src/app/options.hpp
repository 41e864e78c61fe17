#pragma once
// The command line: what was asked for, checked, in one struct; or what to print instead.
#include "app/config.hpp"
#include "app/guest_options.hpp"
#include "app/waivers.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"
#include "mailbox/endpoint.hpp"
#include "message/repair.hpp"
#include "transfer/folder_rules.hpp"
#include "transfer/report.hpp"
#include "transfer/sampling.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

enum class command : std::uint8_t { copy, migrate, plan, check, verify, report };
[[nodiscard]] std::string_view name_of(command c) noexcept;

enum class log_format : std::uint8_t { text, json };

/// Where the password of one end comes from, and once complete_passwords() has run, the password.
struct login_options {
    std::filesystem::path password_file;
    std::filesystem::path token_file;  ///< with auth=xoauth2 or oauthbearer
    secret password;                   ///< the password or token; may stay empty with ACCOUNTS.csv
    oauth_options oauth;               ///< with auth=xoauth2 or oauthbearer, where no token file is given
    std::string oauth_name = {};       ///< instead of `oauth`: an [oauth.NAME] of the configuration, which has it
    config_secret usual_password = {}; ///< of the configuration; the environment goes before it
};

struct run_options {
    command what = command::copy;

    /// Two shapes. One mailbox: `accounts` is empty and both URLs name a user. Many: `accounts` is the CSV, the URLs
    /// are the defaults for its rows and may be empty. Both URLs have been parsed once, so parse_endpoint() takes them.
    std::filesystem::path accounts;
    std::string source_url, target_url;
    login_options source, target;

    std::uint32_t jobs = 8;            ///< mailboxes at a time, 1 to 1000
    std::chrono::seconds timeout{180}; ///< a server that says nothing for so long is taken for dead; 5 s to an hour
    std::filesystem::path state = "postferry.db";
    std::vector<std::filesystem::path> reports; ///< .json, .csv, .html by their endings; of plan and check one .json
    std::filesystem::path sign_key;             ///< PEM, Ed25519; empty: reports are not signed
    bool dry_run = false;
    transfer::folder_rules rules;
    std::optional<std::chrono::sys_days> since;               ///< INTERNALDATE on or after this day (UTC)
    std::optional<std::uint64_t> max_size;                    ///< octets; larger messages are skipped and named
    message::repair_set repairs = message::repair_set::all(); ///< that may be tried after a refusal
    transfer::pass_kind pass = transfer::pass_kind::bulk;     ///< verify when `what` is verify
    bool skip_invalid = false;
    guest_options guest;
    bool no_wait = false;                  ///< end with exit code 4 rather than wait longer than a minute
    bool acl = false;                      ///< copy access rights of folders
    bool delete_extra = false;             ///< with dry_run: mark what would go
    transfer::sample_wish sample;          ///< of verify
    bool seed_given = false;               ///< else whoever runs it throws the dice
    std::filesystem::path waive;           ///< failures that were accepted
    std::shared_ptr<const waivers> waived; ///< the same, once it was read

    std::shared_ptr<const config_file> config = {}; ///< none: nobody looked for one

    std::vector<std::string> filters;                ///< `report`: mailboxes, by a part of their names
    std::string report_pass;                         ///< `report`: only this kind of pass
    std::filesystem::path make_key, check_signature; ///< `report`: do this instead
    std::filesystem::path key;                       ///< with check_signature: the public one

    std::filesystem::path log_file;
    log_format log = log_format::text;
    int verbosity = 0; ///< 0, 1 (-v: debug), 2 (-vv: and the wire, without secrets)
    bool quiet = false;
    bool json = false;

    [[nodiscard]] bool one_mailbox() const noexcept { return accounts.empty(); }
};

/// Either `run`, or a text to print (help, version: out, exit code 0; a fault: err, exit code 2).
struct command_line {
    std::optional<run_options> run;
    int exit_code = 0;
    std::string out, err;
};

/// Finds and reads the configuration: `named` by --config, or else.
using config_finder = std::function<std::expected<config_file, config_faults>(const std::filesystem::path& named)>;

/// `arguments` without the program's name. Touches neither files nor the environment, but for what `find` does; without
/// it there is no configuration. What the contract has and this
/// version has not is refused by name, never ignored.
[[nodiscard]] command_line parse_command_line(std::span<const char* const> arguments, const config_finder& find = {});

/// The sentence for a word of the command line that is not there yet ("serve", "--quota"),
/// nothing for all others.
[[nodiscard]] std::optional<std::string> not_in_this_version(std::string_view word);

} // namespace postferry::app
