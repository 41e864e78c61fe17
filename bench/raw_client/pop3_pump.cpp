#include "pop3_pump.hpp"

#include <algorithm>
#include <cstring>

namespace raw_client {
namespace {

constexpr std::string_view end_mark = "\r\n.\r\n";
constexpr std::string_view added_dot = "\n..";

} // namespace

void pop3_pump::send_fetches() {
    std::string flight;
    for (std::uint64_t n = 1; n <= messages_; ++n) flight += "RETR " + std::to_string(n) + "\r\n";
    if (messages_ == 0) ++folder_;
    source_.send_all(flight);
}

bool pop3_pump::parse_line() {
    if (left_ == 0) return false;
    const auto arrived = [this](std::uint64_t from) { return static_cast<std::size_t>(ring_.head() - from); };
    if (body_ == 0) {
        const char* begin = ring_.at(parsed_);
        const auto* end = static_cast<const char*>(std::memchr(begin, '\n', arrived(parsed_)));
        if (end == nullptr) return false;
        const std::string_view line(begin, static_cast<std::size_t>(end + 1 - begin));
        if (!line.starts_with("+OK")) die(line);
        body_ = parsed_ + line.size();
        scanned_ = body_ - 2; // a message may be empty: its dot stands right behind the status line
        parsed_ = scanned_;
    }
    const std::string_view rest(ring_.at(scanned_), arrived(scanned_));
    const auto at = rest.find(end_mark);
    if (at == std::string_view::npos) {
        if (arrived(body_) > ring_.capacity() / 2) die("a message is larger than half the ring");
        scanned_ += rest.size() - std::min(rest.size(), end_mark.size() - 1);
        return false;
    }
    const std::uint64_t end = scanned_ + at + 2;
    push_message(body_, end);
    parsed_ = end + 3;
    body_ = 0;
    if (--left_ == 0) {
        end_batch();
        ++folder_;
    }
    return true;
}

void pop3_pump::push_message(std::uint64_t begin, std::uint64_t end) {
    if (end <= begin) return;
    // From the line end before it, so that a dot at the very beginning is found as well.
    std::string_view text(ring_.at(begin - 1), static_cast<std::size_t>(end - begin + 1));
    std::size_t dots = 0;
    for (auto at = text.find(added_dot); at != std::string_view::npos; at = text.find(added_dot, at + 1)) ++dots;
    begin_message("* 0 FETCH (BODY[] {" + std::to_string(end - begin - dots) + "}\r\n");
    literal_left_ = 0; // it is here already
    parsed_ = begin;
    std::uint64_t from = begin;
    for (auto at = text.find(added_dot); at != std::string_view::npos; at = text.find(added_dot, at + 1)) {
        const std::uint64_t dot = begin + at; // the first of the two
        if (dot > from) push_ring(from, static_cast<std::size_t>(dot - from));
        from = dot + 1;
        parsed_ = from;
    }
    push_ring(from, static_cast<std::size_t>(end - from));
}

} // namespace raw_client
