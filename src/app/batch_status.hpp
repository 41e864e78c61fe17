#pragma once
// How a batch stands, for people: what is done, what is not, and what to do next. Pure.
#include <boost/json.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace postferry::app {

/// Of the mailboxes of a batch, by what they wait for.
struct batch_standing {
    std::uint64_t all = 0;
    std::uint64_t done = 0;     ///< synced, completed
    std::uint64_t excepted = 0; ///< completed_with_exceptions
    std::uint64_t moving = 0;   ///< at work, queued, throttled: they go on by themselves
    std::uint64_t paused = 0;
    std::uint64_t to_start = 0; ///< draft, ready
    std::uint64_t needy = 0;    ///< failed, invalid, needs_credentials
    std::uint64_t ended = 0;    ///< cancelled, rolled_back

    /// Nothing will happen any more by itself. Mailboxes that are paused go on when their window opens, unless somebody
    /// has stopped the batch.
    bool at_rest = false;
    /// Every mailbox is synced or completed, or was taken out by somebody.
    bool complete = false;
};
[[nodiscard]] batch_standing standing_of(const boost::json::object& batch);

/// "800 synced + 12 copying + 380 queued", in the order of the states.
[[nodiscard]] std::string states_text(const boost::json::object& batch);
/// A few lines with sums that add up, and an estimate.
[[nodiscard]] std::string batch_status_text(const boost::json::object& batch);
/// What to do next, a line each: a sentence, and the command for it.
[[nodiscard]] std::string batch_advice_text(const boost::json::object& batch);
/// The first line of all that is said about it: "spring-move (batch 12): syncing".
[[nodiscard]] std::string batch_headline(const boost::json::object& batch);
/// How it is written in a command: its name, or its number where the name would need more than quotes.
[[nodiscard]] std::string batch_word(const boost::json::object& batch);

} // namespace postferry::app
