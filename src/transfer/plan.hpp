#pragma once
#include "base/uid_set.hpp"
#include "transfer/folder_rules.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postferry::transfer {

/// One folder as a pass would treat it now.
struct planned_folder {
    mapped_folder folder;
    std::uint64_t messages = 0;
    std::optional<std::uint64_t> octets; ///< where the source tells (STATUS=SIZE)
    std::uint64_t known = 0;             ///< accounted for in the ledger
    std::uint64_t to_copy = 0;           ///< new, or to be matched against what the target already holds
    bool exists_on_target = false;
    std::uint64_t target_messages = 0;
    std::uint64_t to_delete = 0; ///< from the target, with --delete-extra
    uid_set delete_uids = {};    ///< the same, as the target numbers them
};

/// What a pass would do; nothing was changed to find out.
struct mailbox_plan {
    std::string source, target;
    std::vector<planned_folder> folders;
    std::vector<collision> collisions;
    std::vector<std::string> notes;
    bool deletes = false;                      ///< --delete-extra was asked for
    std::vector<std::string> not_deleted = {}; ///< mailbox_report::not_deleted
};

} // namespace postferry::transfer
