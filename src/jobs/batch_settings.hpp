#pragma once
// What somebody has set for a batch (store::batch::settings), as a value. Pure.
#include "directory/company_defaults.hpp"
#include "input/fields.hpp"
#include "jobs/windows.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postferry::jobs {

/// Which folders and messages, and how: the words of the command line's options of the same names (docs/cli.md).
struct copy_settings {
    std::vector<std::string> map, include, exclude;
    std::optional<std::string> since;     ///< "2020-01-31"
    std::optional<std::int64_t> max_size; ///< octets
    std::optional<std::string> repair;    ///< as --repair; "none" as --no-repair
    bool acl = false;
    std::optional<int> sample_percent; ///< of verify: 1..100; none: everything
};

/// A program that runs when a mailbox is completed: an argument vector, never a shell.
struct hook_settings {
    std::vector<std::string> command; ///< empty: none
    bool with_password = false;       ///< the target's, on its standard input
    int patience_seconds = 60;
};

struct batch_settings {
    int mailboxes_at_a_time = 0;            ///< of this batch, over all workers; 0: no own limit
    int priority = 0;                       ///< -100..100; of its mailboxes, when they are added
    std::vector<window> windows;            ///< none: always
    std::optional<int> delta_every_minutes; ///< 5..10080; 0: no passes by themselves; none: as the configuration says
    int retries = 5;                        ///< after transient failures, with growing pauses; 0..100
    std::string provisioning = "none";      ///< name of a [provisioning.NAME], or "none"
    /// upsert: what becomes of an account that is on the new server already: it gets what is named, is left as it is,
    /// or is an error.
    enum class existing_account : std::uint8_t { update, keep, refuse };
    existing_account existing = existing_account::update;
    std::optional<directory::alias_discovery> alias_discovery = {}; ///< none: as the account's domain says
    copy_settings copy;
    hook_settings hook;
};

/// Faults are added with their fields; what is wrong reads as its default.
[[nodiscard]] batch_settings read_settings(input::fields from);
/// Of what the store keeps. Class local when it is none of ours.
[[nodiscard]] result<batch_settings> parse_settings(const store::json_text& text);
[[nodiscard]] boost::json::object json_of(const batch_settings& s);

} // namespace postferry::jobs
