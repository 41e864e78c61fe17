#include "transfer/folder_entries.hpp"

namespace postferry::transfer {

std::vector<folder_entry> entries_of(const mailbox::listing& list) {
    std::vector<folder_entry> out;
    for (const mailbox::listed_folder& f : list.folders)
        out.push_back({.name = f.name,
                       .use = f.name == "INBOX" ? special_use::inbox : special_use_of(f.attributes),
                       .selectable = f.selectable,
                       .subscribed = f.subscribed,
                       .personal = f.personal,
                       .left_out = f.left_out});
    return out;
}

target_naming naming_of(const mailbox::listing& list) {
    return {.delimiter = list.delimiter,
            .utf8 = false,
            .case_insensitive = list.case_insensitive,
            .children_of_inbox = list.children_of_inbox,
            .trailing_spaces = list.trailing_spaces,
            .refused = list.refused_in_names,
            .supplementary = list.supplementary_in_names};
}

} // namespace postferry::transfer
