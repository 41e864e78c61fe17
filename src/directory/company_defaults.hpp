#pragma once
// What a company has set for its domains, and what one domain has set differently. Values and one merge rule.
#include "base/error.hpp"
#include "directory/provisioner.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::directory {

enum class service_state : std::uint8_t { enabled, disabled, suspended };
[[nodiscard]] std::string_view name_of(service_state s) noexcept;
[[nodiscard]] std::optional<service_state> parse_service_state(std::string_view text) noexcept;

/// Where the other addresses of a mailbox are looked for, to be proposed as aliases: nowhere (its user name is all that
/// it has), in the To of its mail, or also in what mail servers wrote when they delivered it.
enum class alias_discovery : std::uint8_t { username, standard, extended };
inline constexpr std::array<std::string_view, 3> words_of_alias_discovery{"username", "standard", "extended"};
[[nodiscard]] constexpr std::string_view name_of(alias_discovery d) noexcept {
    return words_of_alias_discovery[static_cast<std::size_t>(d)];
}

/// Whatever is not set comes from the layer below: a domain's from the company's, the company's from the driver's.
struct domain_settings {
    std::optional<std::string> brand = {};           ///< name of a set of templates; 1 .. 64 of a-z 0-9 - _
    std::optional<std::uint64_t> account_quota = {}; ///< octets, for an account that names none; 0: no limit
    std::optional<std::uint64_t> max_account_quota = {}, total_quota = {}; ///< octets; 0: no limit
    std::optional<std::uint32_t> user_limit = {}, alias_limit = {};        ///< 0: no limit
    std::optional<std::string> language = {};                              ///< RFC 5646: "de-AT"
    std::optional<std::string> time_zone = {};                             ///< IANA: "Europe/Vienna"
    std::optional<directory::alias_discovery> alias_discovery = {};        ///< nowhere set: username
    std::map<std::string, service_state, std::less<>> services =
        {}; ///< "imap", "smtp" ...: 1 .. 32 of a-z 0-9 -, 32 at most
    bool operator==(const domain_settings&) const = default;
};

/// Class config; names the value that is out of its range. Syntax only: whether a time zone exists is not looked up.
[[nodiscard]] result<void> validate(const domain_settings& settings);

/// The domain's where it says something, else the company's; services one by one. Merging with an empty one changes
/// nothing, and a chain may be merged from either end.
[[nodiscard]] domain_settings merge(const domain_settings& company, const domain_settings& domain);

/// What to ask of a driver. `effective` is the merged one. A suspended or disabled "mail" service makes it inactive.
[[nodiscard]] domain_spec to_spec(domain_name name, const domain_settings& effective);
/// Fills in what the account does not say itself.
void complete(account_spec& account, const domain_settings& effective);

} // namespace postferry::directory
