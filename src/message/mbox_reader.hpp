#pragma once
#include "message/mbox_fields.hpp"
#include "message/mbox_from.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message {

/// How a file tells where a message ends and what ">From " means (docs/adr/0015-mbox.md). Messages of mbox_writer are
/// known by their From_ line and always read by its rules.
enum class mbox_format : std::uint8_t {
    automatic, ///< mboxcl2 where the first message's Content-Length holds, else mboxrd
    mboxrd,    ///< ">From " is "From ", ">>From " is ">From "
    mboxo,     ///< ">From " may have been either, so it is left as it is
    mboxcl2,   ///< nothing is quoted; Content-Length is believed where a From_ line or the end of the file follows it
};

/// A message as it was found.
struct mbox_message {
    enum class kind : std::uint8_t {
        mail,
        empty,         ///< nothing behind its From_ line
        internal_data, ///< the "FOLDER INTERNAL DATA" of UW-IMAP and Dovecot
        junk,          ///< stands before the first From_ line and does not look like a header
    };
    kind what = kind::mail;
    std::uint64_t begin = 0, end = 0; ///< in the file, From_ line and separating line included
    std::uint64_t octets = 0;         ///< that were given out
    std::optional<message_date> date; ///< of the From_ line
    bool zone_told = false;
    bool without_from = false; ///< the file begins in the middle of a message, or with one that lost its From_ line
    bool ours = false;
    std::vector<std::string> flags;
};

class mbox_sink {
  public:
    virtual ~mbox_sink() = default;
    virtual void begin(std::uint64_t offset) = 0;
    /// Content as it was mailed: CRLF, unquoted, without the mbox's own fields.
    virtual void octets(std::string_view content) = 0;
    virtual void end(mbox_message message) = 0;
};

struct mbox_reading {
    mbox_format format = mbox_format::automatic;
    /// Whether at this octet of the file a From_ line begins, perhaps behind empty lines, or the file ends. Without it
    /// no Content-Length is believed.
    std::function<bool(std::uint64_t)> separator_at;
    bool lengths_hold = false; ///< mbox_reader::lengths_hold() of the file's first message, when one is read alone
    std::uint64_t offset = 0;  ///< of the first octet that feed() will get
};

/// Takes an mbox apart, octet for octet as they come; nothing that it is given is lost: it is in a message, is a From_
/// line, one of the mbox's own fields, or an empty line between messages. A message begins at a From_ line (with a date
/// that can be read) at the beginning, behind an empty line, behind a hole of NULs, or where a header follows it.
/// Line ends are LF or CRLF, also mixed. Holds at most a line's first kilobyte and 64 kB of what goes to the sink.
/// Giving it the octets [begin, end) of a message once more gives the same message.
class mbox_reader {
  public:
    mbox_reader(mbox_reading how, mbox_sink& sink);

    void feed(std::string_view octets);
    void finish();
    [[nodiscard]] bool lengths_hold() const noexcept { return how_.lengths_hold; }

  private:
    enum class place : std::uint8_t { outside, header, body, counted };

    std::size_t counted_part(std::string_view octets);
    std::size_t hole(std::string_view octets);
    void begin_line(std::string_view text, bool ends);
    bool defer(std::string_view text);
    void classify(std::string_view text, bool ends);
    bool is_separator(std::string_view text, bool ends);
    void settle_candidate(std::string_view next);
    void begin_message(std::uint64_t offset, const mbox_from_line* from);
    void end_message(std::uint64_t offset);
    bool take_field(std::string_view text, bool ends);
    void close_field();
    void end_of_header();
    void content(std::string_view text);
    void rest_of_line(std::string_view text);
    void end_line();
    void flush_held();
    void emit(std::string_view octets);
    void push();

    mbox_reading how_;
    mbox_sink& sink_;
    mbox_message message_;
    mbox_from_line from_{};
    mbox_flags fields_;
    place place_ = place::outside;
    bool first_ = true;      ///< no message has ended yet
    std::uint64_t at_ = 0;   ///< of the next octet
    std::uint64_t line_ = 0; ///< where the current line begins
    std::uint64_t counted_until_ = 0;
    std::string prefix_, out_;
    bool begun_ = false;    ///< the current line is classified
    bool dropping_ = false; ///< it is one of the mbox's own fields
    bool blank_ = false;    ///< the current line is empty so far
    bool held_cr_ = false, held_end_ = false, held_blank_ = false, after_hole_ = false;
    bool ends_header_ = false; ///< the current line does
    bool no_more_ = false;     ///< the file has ended
    bool internal_ = false, unquotes_ = false;
    std::optional<mbox_field> field_;
    std::string field_body_;
    struct candidate {
        mbox_from_line from;
        std::string text;
        std::uint64_t offset = 0;
    };
    std::optional<candidate> candidate_; ///< a From_ line with no empty line before it
};

} // namespace postferry::message
