#pragma once
// A driver's configuration as name and value, wherever it was written (docs/provisioning.md lists the names). "-" in a
// name is the same as "_"; names of tables within it are joined with ".": "columns.mailbox.username".
#include "base/secret.hpp"
#include "directory/provisioner.hpp"

#include <expected>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace postferry::directory {

class hash_pool;

struct setting {
    using list = std::vector<std::string>;
    std::string name; ///< "database", "account_create"
    std::variant<std::string, std::int64_t, bool, secret, list> value;
    std::string position = {}; ///< where it was written, for messages: "postferry.toml:12"; or empty
};
using setting_list = std::vector<setting>;

/// Never holds a secret's value.
struct setting_fault {
    std::string name;     ///< the key; empty: about all of them ("driver is missing")
    std::string position; ///< as in the setting
    std::string what;
    [[nodiscard]] std::string text() const; ///< "postferry.toml:12: quota_multiplier: must be from 1 to 1099511627776"
};

/// Makes the driver that the setting `driver` names. Reads no file and opens no connection: check() does. All faults
/// are found, not only the first: unknown names, names given twice, values out of range, names that are missing.
///
/// @param ex       what the driver needs of its own runs on strands of this
/// @param hashing  what hashes plain passwords; nothing: one for all drivers of the program that name none
[[nodiscard]] std::expected<std::unique_ptr<provisioner>, std::vector<setting_fault>>
make_provisioner(setting_list settings, executor ex, std::shared_ptr<hash_pool> hashing = nullptr);

} // namespace postferry::directory
