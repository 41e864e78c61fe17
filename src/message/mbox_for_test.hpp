#pragma once
// What mbox_reader finds in a text, in words.
#include "message/mbox_reader.hpp"
#include "message/mbox_writer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

namespace postferry::message::test {

struct found_message {
    mbox_message about;
    std::string content;
};

class collector final : public mbox_sink {
  public:
    std::vector<found_message> found;
    void begin(std::uint64_t) override { found.emplace_back(); }
    void octets(std::string_view content) override { found.back().content += content; }
    void end(mbox_message message) override { found.back().about = std::move(message); }
};

/// Whether a From_ line (behind empty lines) or the end is at `offset` of `file`, as the mailbox asks the file.
inline bool separator_in(std::string_view file, std::uint64_t offset) {
    if (offset > file.size()) return false;
    std::string_view rest = file.substr(offset);
    while (rest.starts_with('\n') || rest.starts_with("\r\n")) rest.remove_prefix(rest.starts_with('\n') ? 1 : 2);
    return rest.empty() || parse_mbox_from(rest.substr(0, rest.find('\n'))).has_value();
}

/// Reads [begin, end) of `file`, `step` octets at a time.
inline std::vector<found_message> read_part(std::string_view file, std::uint64_t begin, std::uint64_t end,
                                            mbox_format format, bool lengths_hold, std::size_t step) {
    collector sink;
    mbox_reader reader({.format = format,
                        .separator_at = [file](std::uint64_t at) { return separator_in(file, at); },
                        .lengths_hold = lengths_hold,
                        .offset = begin},
                       sink);
    for (std::size_t at = begin; at < end; at += step)
        reader.feed(file.substr(at, std::min<std::uint64_t>(step, end - at)));
    reader.finish();
    return std::move(sink.found);
}

inline bool lengths_hold(std::string_view file, mbox_format format) {
    collector sink;
    mbox_reader reader({.format = format, .separator_at = [file](std::uint64_t at) { return separator_in(file, at); }},
                       sink);
    reader.feed(file);
    reader.finish();
    return reader.lengths_hold();
}

inline std::vector<found_message> read_whole(std::string_view file, mbox_format format = mbox_format::automatic,
                                             std::size_t step = SIZE_MAX) {
    return read_part(file, 0, file.size(), format, false, std::min(step, file.size() + 1));
}

/// What the target makes of a message. `known`: so many octets are at hand when it begins.
inline std::string write(std::string_view content, std::string_view flags = "", std::optional<message_date> date = {},
                         std::size_t known = SIZE_MAX, std::size_t step = SIZE_MAX, bool* altered = nullptr) {
    mbox_writer writer(flags, date, content.substr(0, known), known >= content.size());
    std::string out = writer.opening();
    const std::size_t head = writer.from_line().size();
    for (std::size_t at = 0; at < content.size(); at += std::min(step, content.size()))
        writer.put(content.substr(at, step), out);
    writer.finish(out);
    const std::string line = writer.from_line();
    if (line.size() != head) return "the From_ line changed its length";
    out.replace(0, head, line);
    if (altered != nullptr) *altered = writer.altered();
    return out;
}

} // namespace postferry::message::test
