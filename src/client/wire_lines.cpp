#include "client/wire_lines.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postferry::client {

namespace {

constexpr std::size_t longest_kept = 4'096;
constexpr std::size_t tail_kept = 32; // "{18446744073709551615+}" and CR

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
        const std::size_t end = std::min(octets.find('\n'), octets.size());
        const std::string_view part = octets.substr(0, end);
        line_ += part.substr(0, longest_kept - std::min(longest_kept, line_.size()));
        tail_ += part.substr(part.size() - std::min(part.size(), tail_kept));
        tail_.erase(0, tail_.size() - std::min(tail_.size(), tail_kept));
        if (end == octets.size()) return;
        octets.remove_prefix(end + 1);
        line_ends(trace);
    }
}

void wire_lines::line_ends(net::wire_trace& trace) {
    for (std::string* s : {&line_, &tail_})
        if (s->ends_with('\r')) s->pop_back();
    const bool secret = std::ranges::any_of(secrets_, [this](const std::string& s) { return line_.contains(s); });
    if (secret)
        trace.secret_line(net::direction::received);
    else
        trace.server_line(line_);
    literal_left_ = announced(tail_);
    if (literal_left_ > 0) trace.literal(literal_left_, net::direction::received);
    line_.clear();
    tail_.clear();
}

} // namespace postferry::client
