#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postferry::smtp {

/// RFC 3463: "5.2.2".
struct enhanced_status {
    std::uint16_t kind = 0; ///< 2, 4 or 5
    std::uint16_t subject = 0, detail = 0;
    bool operator==(const enhanced_status&) const = default;
};

/// One reply of an SMTP or LMTP server (RFC 5321, 4.2), all its lines.
struct reply {
    std::uint16_t code = 0;                  ///< 200 .. 599
    std::optional<enhanced_status> enhanced; ///< of the first line (RFC 2034)
    std::vector<std::string> lines; ///< behind code and enhanced status; as sent, may hold any octet but CR, LF

    [[nodiscard]] bool positive() const noexcept { return code / 100 == 2; }
    [[nodiscard]] bool intermediate() const noexcept { return code / 100 == 3; }
    [[nodiscard]] bool transient() const noexcept { return code / 100 == 4; }
    [[nodiscard]] bool permanent() const noexcept { return code / 100 == 5; }
    /// "552 5.2.2 Quota exceeded / (mailbox full)": for people.
    [[nodiscard]] std::string text() const;
};

} // namespace postferry::smtp
