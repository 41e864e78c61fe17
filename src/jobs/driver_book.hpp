#pragma once
// The provisioning drivers that the configuration names.
#include "directory/provisioner.hpp"
#include "directory/settings.hpp"
#include "net/awaitable.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::jobs {

/// The drivers of the configuration's [provisioning.NAME], made when they are first asked for. "none" is always there.
/// From any thread.
class driver_book {
  public:
    using settings_by_name = std::map<std::string, directory::setting_list, std::less<>>;
    /// @param hashing of plain passwords; nothing: one for all drivers of the program
    driver_book(executor ex, settings_by_name settings, std::shared_ptr<directory::hash_pool> hashing = nullptr);

    /// Class config: there is no such section (names those that are), or what it says is wrong.
    [[nodiscard]] result<std::shared_ptr<directory::provisioner>> find(std::string_view name);
    [[nodiscard]] std::vector<std::string> names() const; ///< with "none"
    /// In place of what the configuration says, for tests.
    void put(std::string name, std::shared_ptr<directory::provisioner> driver);

  private:
    executor ex_;
    settings_by_name settings_;
    std::shared_ptr<directory::hash_pool> hashing_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<directory::provisioner>, std::less<>> made_;
};

} // namespace postferry::jobs
