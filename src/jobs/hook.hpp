#pragma once
// The administrator's program that runs when a mailbox's migration is done.
#include "jobs/batch_settings.hpp"
#include "jobs/pass_runner.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <string>
#include <utility>
#include <vector>

namespace postferry::jobs {

struct hook_end {
    bool good = false; ///< it has ended with 0
    std::string text;  ///< for the log: how it ended, and the beginning of what it said, escaped
};

/// What the program finds in its environment, and nothing else but PATH: POSTFERRY_MAILBOX, _BATCH (ids), _BATCH_NAME,
/// _STATE (what the mailbox becomes), _SOURCE, _TARGET (URLs without users), _SOURCE_USER, _TARGET_USER, _GRADE,
/// _MESSAGES, _FAILED.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> hook_environment(const store::migration& m,
                                                                                const std::string& batch_name,
                                                                                store::mailbox_state becomes,
                                                                                const std::string& grade);

class hook_runner {
  public:
    virtual ~hook_runner() = default;
    /// Runs batch_settings::hook of the mailbox and waits for its end, `patience_seconds` at most; then it is killed.
    virtual task<hook_end> run(const work& what, store::mailbox_state becomes, std::string grade) = 0;
};

/// An argument vector, never a shell; the target's password on its standard input where that is asked for.
class command_hook final : public hook_runner {
  public:
    command_hook(store::database& db, store::vault& vault) : db_(db), vault_(vault) {}
    task<hook_end> run(const work& what, store::mailbox_state becomes, std::string grade) override;

  private:
    store::database& db_;
    store::vault& vault_;
};

} // namespace postferry::jobs
