#pragma once
// Another sealing key.
#include "store/backup.hpp"
#include "store/vault.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace postferry::store {

struct rotation {
    std::string key_id; ///< that seals from now on
    std::int64_t resealed = 0, passed_over = 0;
    std::size_t keys_left = 0;       ///< in the file
    std::vector<lost_key> lost = {}; ///< with key_lost
    int asked_again = 0;             ///< mailboxes that need credentials now
};

struct rotate_options {
    bool drop_old = false; ///< also the key before the last: whoever runs must have read the file again by now
    bool key_lost = false; ///< what is sealed with keys that are not in the file is given up
};

/// A new key, first in the key file (which is made if there is none), then everything is sealed with it anew, in bites,
/// so that a service on PostgreSQL goes on meanwhile; its workers need the file too. Killed at any moment it goes on
/// with the next run: the file has every key that anything is sealed with. The key before stays in the file, to open
/// only.
[[nodiscard]] result<rotation> rotate_key(const store_place& store, const std::filesystem::path& key_file,
                                          const rotate_options& options,
                                          const std::function<void(std::int64_t resealed)>& progress);

/// Mailboxes with a credential sealed with that key go to needs_credentials where their state allows; how many.
[[nodiscard]] result<int> ask_again(tables& t, const std::string& key_id, const std::string& actor);

} // namespace postferry::store
