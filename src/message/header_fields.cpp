#include "message/header_fields.hpp"

namespace postferry::message {

namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// The field name that `line` begins with, or an empty view: what comes before the colon has to be free of white space
/// and control characters. 8-bit octets pass: such a field is broken but keeps its place in the block.
std::string_view field_name(std::string_view line) noexcept {
    std::size_t end = 0;
    while (end < line.size()) {
        const auto c = static_cast<unsigned char>(line[end]);
        if (c == ':' || c <= ' ' || c == 0x7f) break;
        ++end;
    }
    std::size_t colon = end;
    while (colon < line.size() && is_blank(line[colon])) ++colon;
    if (colon == line.size() || line[colon] != ':') return {};
    return line.substr(0, end);
}

} // namespace

std::string_view header_fields::take_line() noexcept {
    const std::string_view rest = block_.substr(position_);
    const std::size_t lf = rest.find('\n');
    std::size_t length = lf == std::string_view::npos ? rest.size() : lf;
    position_ += lf == std::string_view::npos ? rest.size() : lf + 1;
    // Without an LF a CR at the end of the text is the half of a line end that was cut off.
    while (length > 0 && rest[length - 1] == '\r') --length;
    return rest.substr(0, length);
}

std::optional<header_field> header_fields::next() noexcept {
    while (!ended_ && position_ < block_.size()) {
        const std::string_view first = take_line();
        if (first.empty()) break;
        const char* end = first.data() + first.size();
        while (position_ < block_.size() && is_blank(block_[position_])) {
            const std::string_view fold = take_line();
            end = fold.data() + fold.size();
        }
        const std::string_view name = is_blank(first.front()) ? std::string_view{} : field_name(first);
        if (name.empty()) continue;
        const char* body = first.data() + first.find(':') + 1;
        return header_field{name, std::string_view(body, static_cast<std::size_t>(end - body))};
    }
    ended_ = true;
    return std::nullopt;
}

} // namespace postferry::message
