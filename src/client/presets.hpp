#pragma once
// What the large providers allow, as far as it is published or was met (docs/cli.md#presets). Limits only; how a server
// is spoken to is another matter (client/quirks.hpp).
#include "base/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace postferry::client {

/// 0 = no limit of this kind.
struct guest_limits {
    std::string_view name;
    std::uint32_t connections_per_account = 0;
    std::uint32_t connections_per_server = 0;
    double logins_per_second = 0;          ///< to the server
    std::uint64_t octets_down_per_day = 0; ///< from an account
    std::uint64_t octets_up_per_day = 0;   ///< to an account
    double messages_when_throttled = 0;    ///< a second and account, for an hour after it asked for a pause
};

[[nodiscard]] std::span<const guest_limits> all_presets() noexcept;
/// Nothing for an unknown name.
[[nodiscard]] const guest_limits* find_preset(std::string_view name) noexcept;
/// "gmail, office365, ..."
[[nodiscard]] std::string preset_names();

struct chosen_preset {
    const guest_limits* what = nullptr; ///< never null after choose_preset()
    std::string why;                    ///< "host imap.gmail.com", "capability X-GM-EXT-1", "--preset", "nothing known"
};

/// By what is known before the login (the host) or after it (capabilities in upper case, greeting); generic when
/// nothing fits.
[[nodiscard]] chosen_preset choose_preset(std::string_view host, std::span<const std::string> capabilities = {},
                                          std::string_view greeting = {});

} // namespace postferry::client
