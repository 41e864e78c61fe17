#pragma once
#include "message/received_date.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace postferry::message {

/// The sender that stands in the From_ lines we write. It tells our reader (and the repair of a file that a crash left
/// behind) that the message follows mbox_writer's rules to the letter.
inline constexpr std::string_view mbox_sender = "postferry";
inline constexpr std::size_t mbox_from_octets = 1000; ///< a longer line is no From_ line

/// The line that begins a message in an mbox (RFC 4155, appendix A): "From SENDER asctime".
struct mbox_from_line {
    message_date date;
    bool zone_told =
        false;             ///< the date names its zone; otherwise it is read as UTC, though most writers use local time
    bool ours = false;     ///< written by mbox_writer
    bool verbatim = false; ///< ours: octets are as they were, line ends included
    bool no_line_end = false; ///< ours: the line end behind the last octet is not the message's
};

/// Reads a line without its line end. Nothing unless it is "From " and ends in (or holds) a date that exists: words of
/// a letter begin so, too. Any order of month, day, time, year and zone behind the weekday is taken ("Mon Jan  1
/// 10:00:00 +0100 2001", "Mon, 1 Jan 2001 10:00:00"), without weekday right behind the sender only.
[[nodiscard]] std::optional<mbox_from_line> parse_mbox_from(std::string_view line) noexcept;

/// The line that mbox_writer begins a message with, line end included: asctime in the date's zone, then the zone. No
/// date: 1 January 1970.
[[nodiscard]] std::string make_mbox_from(const std::optional<message_date>& date, bool verbatim, bool no_line_end);

} // namespace postferry::message
