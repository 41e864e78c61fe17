#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace postferry::message {

struct message_date {
    std::int64_t unix_seconds = 0;
    int zone_minutes = 0; ///< east of UTC, -1439 .. 1439; 0 where the text names no zone or one without a meaning
    bool operator==(const message_date&) const = default;
};

/// RFC 5322 date-time with the obsolete forms of section 4.3 (two- and three-digit years, named and military zones,
/// comments and white space anywhere, no weekday, no seconds, second 60), and what is seen besides: no zone,
/// "01-Jan-2001", "GMT+0200", "+02:00", full month names, and the order of asctime ("Mon Jan  1 10:00:00 2001"). The
/// weekday is not checked against the date. Text after the zone is ignored; the first 512 octets count. Years 1900 to
/// 9999; nothing on a day or time that does not exist and on anything else.
[[nodiscard]] std::optional<message_date> parse_date_time(std::string_view text) noexcept;

/// The date of a message whose server tells none (INTERNALDATE NIL or absurd): that of the topmost Received field with
/// a readable one (what follows its last ";", RFC 5321, 4.4), else that of the first readable Date field, else nothing.
/// `header` may be a whole message or any of its fields, in whatever state (see header_fields).
[[nodiscard]] std::optional<message_date> received_date(std::string_view header) noexcept;

} // namespace postferry::message
