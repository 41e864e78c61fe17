// What the nouns about projects and about the new server's accounts take.
#include "app/noun_rows.hpp"

namespace postferry::app {

std::vector<noun_verb> directory_rows() {
    return {
        {.noun = "project", .verb = "list", .summary = "list projects"},
        {.noun = "project", .verb = "create", .summary = "make a project", .arguments = {{"NAME"}}},
        {.noun = "project", .verb = "rename", .summary = "give it another name", .arguments = {{"PROJECT"}, {"NAME"}}},
        {.noun = "project",
         .verb = "delete",
         .summary = "delete a project that has neither batches nor domains",
         .arguments = {{"PROJECT"}}},
    };
}

} // namespace postferry::app
