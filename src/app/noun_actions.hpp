#pragma once
// What each row of the table does (noun_table.hpp), by what it is about.
#include "app/noun_context.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace postferry::app {

struct noun_action {
    std::string_view name; ///< "batch create"
    result<int> (*does)(noun_context&);
};

[[nodiscard]] std::span<const noun_action> batch_actions() noexcept;
[[nodiscard]] std::span<const noun_action> batch_output_actions() noexcept; ///< log, report
[[nodiscard]] std::span<const noun_action> import_actions() noexcept;
[[nodiscard]] std::span<const noun_action> mailbox_actions() noexcept;
[[nodiscard]] std::span<const noun_action> account_actions() noexcept; ///< account, alias
[[nodiscard]] std::span<const noun_action> directory_actions() noexcept;
[[nodiscard]] std::span<const noun_action> service_actions() noexcept;
[[nodiscard]] std::span<const noun_action> people_actions() noexcept;
[[nodiscard]] const noun_action* find_action(std::string_view name) noexcept;

/// The batch that the word names, archived ones too.
[[nodiscard]] result<boost::json::object> find_batch(const noun_context& c, const std::string& word);
/// The mailbox: by its number, or by the user's name at either end, within --batch where it is given.
[[nodiscard]] result<boost::json::object> find_mailbox(const noun_context& c, const std::string& word);
/// The number of a project that --project names; nothing when it does not.
[[nodiscard]] result<std::optional<std::int64_t>> find_project(const noun_context& c);

/// `batch watch`: until it is done, or Ctrl-C. Answers the exit code.
[[nodiscard]] result<int> watch_batch(noun_context& c, const boost::json::object& batch);
/// 1 when a mailbox needs somebody, else 0.
[[nodiscard]] int exit_code_of_batch(const boost::json::object& batch);
/// Writes what the service sends into a file, whole or not at all.
[[nodiscard]] result<void> download(noun_context& c, const std::string& target, const std::filesystem::path& file);
/// Passes it on to standard output as it comes.
[[nodiscard]] result<void> download(noun_context& c, const std::string& target);
/// Prints the lines of a log, and with `follow` those that come, until Ctrl-C.
/// @param target "/batches/12/log"
[[nodiscard]] result<int> print_log(noun_context& c, const std::string& target, bool follow);
/// Prints what happens, until Ctrl-C.
[[nodiscard]] result<int> follow_events(noun_context& c, const std::string& query);

} // namespace postferry::app
