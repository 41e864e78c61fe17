#pragma once
#include "protocol/smtp/reply.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::smtp {

/// What a server offers behind EHLO or LHLO (RFC 5321, 4.1.1.1).
class extension_list {
  public:
    /// Of the positive reply to EHLO or LHLO; its first line is the server's name and greeting.
    [[nodiscard]] static extension_list from(const reply& r);

    [[nodiscard]] bool has(std::string_view keyword) const noexcept; ///< upper case
    /// The parameters of a keyword: "35651584" of "SIZE 35651584"; empty when there are none.
    [[nodiscard]] std::string_view parameters(std::string_view keyword) const noexcept;
    /// RFC 1870; 0: no limit, or none told.
    [[nodiscard]] std::uint64_t size_limit() const noexcept;
    [[nodiscard]] const std::vector<std::string>& all() const noexcept { return lines_; } ///< keyword in upper case
    [[nodiscard]] const std::string& server_name() const noexcept { return name_; }

  private:
    std::vector<std::string> lines_;
    std::string name_;
};

/// "<anna@example.org>", "<\"anna b\"@example.org>" (RFC 5321, 4.1.2), "<anna>" where there is no domain. Nothing when
/// it cannot be said: control characters, or octets beyond ASCII without `utf8` (RFC 6531). What comes out never ends
/// the path or the line early.
[[nodiscard]] std::optional<std::string> path_of(std::string_view mailbox, bool utf8);

/// A name that may stand behind EHLO and LHLO: `host` if it is one, else "localhost".
[[nodiscard]] std::string greeting_name(std::string_view host);

} // namespace postferry::smtp
