#pragma once
// --waive FILE: failures that the administrator has accepted.
#include "base/error.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace postferry::app {

using waived_messages = std::set<std::pair<std::string, std::uint32_t>>; ///< source folder, UID

/// One line a message: FOLDER, a tab, UID; or MAILBOX, a tab, FOLDER, a tab, UID, where MAILBOX is the report's
/// "source". Empty lines and lines that begin with # are comments. UTF-8.
class waivers {
  public:
    static constexpr std::size_t max_octets = 16U << 20U;

    /// Errors: class config with the line that is wrong. `several`: there is more than one mailbox, so that each line
    /// must name its own.
    [[nodiscard]] static result<waivers> parse(std::string_view text, std::string_view name, bool several);
    [[nodiscard]] static result<waivers> read(const std::filesystem::path& file, bool several);

    /// Of the only mailbox that there is.
    [[nodiscard]] static waivers of_one(waived_messages messages);

    /// Null: nothing is waived there.
    [[nodiscard]] std::shared_ptr<const waived_messages> of(const std::string& mailbox) const;

  private:
    std::map<std::string, std::shared_ptr<waived_messages>> by_mailbox_; ///< "" holds for the only one
};

} // namespace postferry::app
