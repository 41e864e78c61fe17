#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::pop3 {

/// "+OK ..." or "-ERR ..." (RFC 1939, section 3), with its response code (RFC 2449, section 8; RFC 3206).
struct status_line {
    bool ok = false;
    std::string code; ///< upper case, without brackets: "IN-USE", "SYS/TEMP"; empty: none
    std::string text; ///< what follows, raw octets of the server
};

/// Lenient about case, missing text and several spaces (docs/quirks.md#pop3-status). Nothing: it is no status line.
[[nodiscard]] std::optional<status_line> parse_status(std::string_view line);

/// One line of LIST or UIDL: a message number and what is told about it.
struct listed_item {
    std::uint32_t number = 0; ///< never 0
    std::string_view value;   ///< without spaces around it; may be empty (docs/quirks.md#uidl-blank)
};
/// RFC 1939 "scan listing" and "unique-id listing". Lenient: several spaces or TABs, "+OK" in front
/// (docs/quirks.md#uidl-spaces). Nothing: no such line.
[[nodiscard]] std::optional<listed_item> parse_listed(std::string_view line);

struct maildrop_size {
    std::uint32_t messages = 0;
    std::optional<std::uint64_t> octets; ///< nothing: not told, or nonsense (docs/quirks.md#stat-negative)
};
/// The text of STAT's +OK: "2 320".
[[nodiscard]] std::optional<maildrop_size> parse_stat(std::string_view text);

/// What CAPA told (RFC 2449), upper case: "SASL PLAIN LOGIN", "PIPELINING".
class capability_list {
  public:
    void add(std::string_view line);
    [[nodiscard]] bool has(std::string_view name) const noexcept; ///< upper case, without arguments
    /// The arguments behind a capability: arguments("SASL") -> {"PLAIN", "LOGIN"}. Empty where there are none.
    [[nodiscard]] std::vector<std::string> arguments(std::string_view name) const;
    [[nodiscard]] const std::vector<std::string>& all() const noexcept { return lines_; }
    [[nodiscard]] bool empty() const noexcept { return lines_.empty(); }

  private:
    std::vector<std::string> lines_;
};

} // namespace postferry::pop3
