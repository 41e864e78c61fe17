#include "app/sse_reader.hpp"

#include <utility>

namespace postferry::app {

void sse_reader::put(std::string_view octets) {
    for (const char c : octets) {
        const bool second_half = c == '\n' && std::exchange(after_cr_, false);
        after_cr_ = c == '\r';
        if (second_half) continue;
        if (c == '\r' || c == '\n') {
            line_ended();
        } else if (++octets_ <= most) {
            line_ += c;
        }
    }
}

void sse_reader::line_ended() {
    std::string line = std::exchange(line_, {});
    constexpr std::string_view mark = "\xef\xbb\xbf";
    if (std::exchange(first_, false) && line.starts_with(mark)) line.erase(0, mark.size());
    if (line.empty()) return event_ended();
    if (line.starts_with(':') || octets_ > most) return;
    const std::size_t colon = line.find(':');
    const std::string_view name = std::string_view(line).substr(0, colon);
    std::string_view value = colon == std::string::npos ? std::string_view{} : std::string_view(line).substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "data") {
        data_ += value;
        data_ += '\n';
    } else if (name == "event") {
        kind_ = value;
    } else if (name == "id" && value.find('\0') == std::string_view::npos) {
        id_ = value;
    }
}

void sse_reader::event_ended() {
    const bool whole = octets_ <= most && !data_.empty();
    octets_ = 0;
    std::string data = std::exchange(data_, {}), kind = std::exchange(kind_, {});
    if (!whole) return;
    data.pop_back();
    take_({.id = id_, .kind = kind.empty() ? "message" : std::move(kind), .data = std::move(data)});
}

} // namespace postferry::app
