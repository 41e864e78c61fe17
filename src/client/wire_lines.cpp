#include "client/wire_lines.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postferry::client {

namespace {

constexpr std::size_t longest_kept = 4'096;

// "{123}" or "{123+}" at the end of a line announces so many octets.
std::uint64_t announced(std::string_view line) {
    if (!line.ends_with('}')) return 0;
    const std::size_t open = line.rfind('{');
    if (open == std::string_view::npos) return 0;
    std::string_view number = line.substr(open + 1, line.size() - open - 2);
    if (number.ends_with('+')) number.remove_suffix(1);
    return parse_u64(number).value_or(0);
}

} // namespace

void wire_lines::show(std::string_view octets, net::wire_trace& trace) {
    while (!octets.empty()) {
        if (literal_left_ > 0) {
            const std::size_t skip = static_cast<std::size_t>(std::min<std::uint64_t>(literal_left_, octets.size()));
            literal_left_ -= skip;
            octets.remove_prefix(skip);
            continue;
        }
        const std::size_t end = octets.find('\n');
        if (line_.size() < longest_kept) line_ += octets.substr(0, std::min(end, longest_kept));
        if (end == std::string_view::npos) return;
        octets.remove_prefix(end + 1);
        if (line_.ends_with('\r')) line_.pop_back();
        trace.server_line(line_);
        literal_left_ = announced(line_);
        if (literal_left_ > 0) trace.literal(literal_left_, net::direction::received);
        line_.clear();
    }
}

} // namespace postferry::client
