#pragma once
// The reports of mailboxes that have ended, until all have: mailboxes end in any order and stand in the report in the
// order of the accounts file. They wait on disk, so that memory does not grow with the run.
#include "base/error.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace postferry::app {

/// Hands out every mailbox's JSON (an element of the report's "mailboxes"), in order; stops at the first failure.
using mailbox_walk = std::function<result<void>(const std::function<result<void>(std::string_view json)>&)>;

class report_spool {
  public:
    /// A file without a name in this folder, or where temporary files go. Errors: class local.
    [[nodiscard]] static result<report_spool> open(const std::filesystem::path& folder);
    report_spool(report_spool&& other) noexcept;
    report_spool& operator=(report_spool&&) = delete;
    ~report_spool();

    /// @param number of the mailbox in the accounts file; one that is added again takes the place of the first
    [[nodiscard]] result<void> add(std::uint64_t number, std::string_view json);
    /// Many times if need be. The spool must live as long.
    [[nodiscard]] mailbox_walk walk() const;
    [[nodiscard]] bool empty() const noexcept { return places_.empty(); }

  private:
    explicit report_spool(int fd) noexcept : fd_(fd) {}
    [[nodiscard]] result<std::string> read(std::uint64_t at, std::uint64_t octets) const;

    int fd_;
    std::uint64_t end_ = 0;
    std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> places_; ///< number -> offset, octets
};

} // namespace postferry::app
