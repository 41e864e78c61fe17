#pragma once
#include "message/received_date.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::message {

/// Writes one message as mboxrd, so that mbox_reader gives back the same octets (docs/adr/0015-mbox.md):
/// - a From_ line whose sender is "postferry", with date and zone;
/// - our Status, X-Status, X-Keywords, and nothing else that was not in the message;
/// - ">" before every line that is a From_ line or, in the header, one of the mbox's own fields, whatever the number of
///   ">" it has already;
/// - CRLF becomes LF; an empty line ends the message.
/// A message with a bare LF that is found in its first octets is written verbatim, CRLF and all, and the From_ line
/// says so. A bare LF that comes later becomes CRLF for the reader: altered() tells. Streaming; holds at most one
/// line's beginning.
class mbox_writer {
  public:
    /// @param flags canonical, as mailbox::append_item::flags  @param beginning of the message: at least what is known
    /// of it before it is written  @param whole it is all of it
    mbox_writer(std::string_view flags, std::optional<message_date> date, std::string_view beginning, bool whole);

    /// What stands before the message. Its first line is rewritten by from_line() when that has changed at the end.
    [[nodiscard]] std::string opening() const;
    /// Appends to `out` what `octets` (the next of the message, from its first on) become in the file.
    void put(std::string_view octets, std::string& out);
    /// Appends what ends the message.
    void finish(std::string& out);

    /// The From_ line as it has to be; the same length as in opening() whatever came to light since.
    [[nodiscard]] std::string from_line() const;
    [[nodiscard]] bool altered() const noexcept { return altered_; }

  private:
    /// @param more of the line will come
    void begin_line(std::string_view prefix, bool more, std::string& out);
    void rest_of_line(std::string_view text, std::string& out);
    void end_line(std::string& out);

    std::string flags_;
    std::optional<message_date> date_;
    bool verbatim_;
    bool reserve_; ///< whether the message lacks its line end is known at its end only
    bool lacks_line_end_ = false;
    bool altered_ = false;
    bool in_header_ = true;
    bool begun_ = false;   ///< the current line's beginning is written
    bool held_cr_ = false; ///< a CR that may belong to a line end
    std::string prefix_;   ///< the current line as far as it is not written
};

} // namespace postferry::message
