#pragma once
// Which accounts are on one side only. Memory does not grow with their number: what does not fit is sorted in runs on
// the disk, in files without a name, and merged.
#include "base/error.hpp"
#include "directory/provisioner.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace postferry::directory {

/// A list of addresses in any order, added one by one, read once in ascending order of octets, without repetitions.
/// ASCII letters are compared in lower case, as addresses are.
class sorted_list {
  public:
    static constexpr std::size_t max_entry = 512; ///< octets of one address
    static constexpr std::uint64_t max_entries = 100'000'000;

    /// @param memory octets that may be held before a run goes to the disk
    /// @param folder for the runs
    explicit sorted_list(std::size_t memory = 8U << 20U,
                         std::filesystem::path folder = std::filesystem::temp_directory_path());
    sorted_list(sorted_list&&) noexcept;
    sorted_list& operator=(sorted_list&&) noexcept;
    ~sorted_list();

    /// Class config: longer than max_entry, or empty; local: the disk. Not after next().
    [[nodiscard]] result<void> add(std::string_view address);
    [[nodiscard]] std::uint64_t added() const noexcept; ///< repetitions included
    /// The next one, valid until the next call; empty at the end.
    [[nodiscard]] result<std::string_view> next();

  private:
    class state;
    std::unique_ptr<state> state_;
};

enum class presence : std::uint8_t { both, only_left, only_right };

struct reconcile_counts {
    std::uint64_t both = 0, only_left = 0, only_right = 0;
};

/// Hands every address on either side to `take`, ascending; a failure of it ends the comparison.
[[nodiscard]] result<reconcile_counts>
reconcile(sorted_list& left, sorted_list& right,
          const std::function<result<void>(std::string_view address, presence where)>& take);

/// Adds all accounts of a domain as the driver lists them.
task<result<void>> add_accounts(sorted_list& list, provisioner& from, domain_name domain);

} // namespace postferry::directory
